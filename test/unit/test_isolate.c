/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a CPU: what is refused, the stages of dedicating and sharing, each only after what it waits
 * for, and the mapping of the local APIC for trusted domains.
 * unit-sources: common/isolate.c test/unit/mock_cpus.c
 */
#include "host.h"
#include "mock_cpus.h"

#include <margay/arch.h>
#include <margay/boot_guest.h>
#include <margay/domain_parts.h>
#include <margay/errno.h>
#include <margay/isolate.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>

extern const struct domain_part isolate_part;

struct list domain_list;
struct spinlock domains_lock;
struct cpu_set owned_cpus;
struct cpu *housekeeping_cpu;
static struct {
	struct domain d;
	struct vcpu *room[2];
} dom[2];
static struct vcpu vcpu[4];
static bool posts, over, control_free, mapped, may_be_direct, off_cpus;
static unsigned pauses, left, follows;

u64 quiesce_start(void) { return 1; }
bool quiesce_over(u64 period)
{
	assert_int_equal(period, 1);
	return over;
}
void cpu_raise(struct cpu *c, u32 work) { c->work |= work; }
int vcpu_restrict(struct vcpu *v, const struct cpu_set *set)
{
	v->allowed = isolate_allowed(v, set);
	v->cpu = cpus[cpu_set_next(&v->allowed, 0)];
	return 0;
}
void arch_cpu_isolate(bool on) { assert_int_equal(on, !host_cpu->isolated); }
bool arch_can_isolate(void) { return !posts; }
void pci_follow(void) { follows++; }
bool arch_vcpu_may_be_direct(const struct vcpu *v) { return v->domain && may_be_direct; }
u32 arch_vcpu_apic_id(const struct vcpu *v) { return v->id; }
int arch_map_apic(struct domain *d)
{
	assert_true(d->trusted && !mapped && pauses == 1 && off_cpus);
	mapped = true;
	return 0;
}
void arch_unmap_apic(struct domain *d)
{
	assert_true(d->trusted && mapped && pauses == 1 && off_cpus);
	mapped = false;
}
void timers_leave(void)
{
	assert_true(host_cpu->isolated);
	left++;
}
void domain_pause(struct domain *d)
{
	(void)d;
	pauses++;
}
void domain_unpause(struct domain *d)
{
	(void)d;
	pauses--;
}
bool domain_off_cpus(const struct domain *d)
{
	return d && off_cpus;
}
bool policy_control_enter(void)
{
	return control_free;
}
void policy_control_leave(void)
{
}

static struct cpu_set wanted_at_boot;

struct cpu_set boot_guests_cpus(void)
{
	return wanted_at_boot;
}

static int setup(void **state)
{
	(void)state;
	mock_cpus_init(4);
	memset(dom, 0, sizeof(dom));
	memset(vcpu, 0, sizeof(vcpu));
	memset(&owned_cpus, 0, sizeof(owned_cpus));
	housekeeping_cpu = &cpu[3];
	list_init(&domain_list);
	over = control_free = mapped = off_cpus = false;
	may_be_direct = true;
	pauses = left = follows = 0;
	posts = false;
	wanted_at_boot = (struct cpu_set){ 0 };
	nr_nodes = 1;
	for (unsigned i = 0; i < 4; i++) {
		struct domain *d = &dom[i / 2].d;

		cpu[i].apic_id = i;
		vcpu[i].domain = d;
		vcpu[i].id = i % 2;
		vcpu[i].state = RUN_RUNNING;
		vcpu[i].cpu = &cpu[i];
		cpu_set_fill(&vcpu[i].affinity);
		cpu_set_fill(&vcpu[i].allowed);
		d->vcpus[i % 2] = &vcpu[i];
		d->nr_vcpus = 2;
		d->state = DOM_RUNNING;
		if (i % 2)
			list_add_tail(&d->link, &domain_list);
	}
	return 0;
}

static int dedicate(unsigned n, u64 mask)
{
	struct cpu_set set = { { mask } };

	return isolate_dedicate(&dom[n].d, &set);
}

/* Each CPU does its work. */
static void all_cpus(void)
{
	for (unsigned i = 0; i < 4; i++) {
		host_cpu = &cpu[i];
		if (cpu[i].work & CPU_WORK_ISOLATE)
			isolate_here();
		cpu[i].work = 0;
	}
}

static void make_dedicated(void)
{
	over = true;
	while (dedicate(0, 3) == -ERESTART)
		all_cpus();
	assert_int_equal(dom[0].d.isolation, ISOLATION_DONE);
	all_cpus();
}

static void test_refused(void **state)
{
	static const struct {
		u64 mask;
		int rc;
		const char *why;
	} bad[] = {
		{ 1, -EINVAL, "number of CPUs" },    { 7, -EINVAL, "number of CPUs" },
		{ 0x21, -ENOENT, "no such CPU" },    { 9, -EPERM, "housekeeping" },
			};
	struct cpu_set far = { { 1 } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(dedicate(0, bad[i].mask), bad[i].rc);
		assert_non_null(strstr(isolate_why(bad[i].rc), bad[i].why));
	}
	assert_int_equal(dedicate(0, 1UL << 60), -ENOENT);	/* is not an empty set */
	far.bits[15] = 1;
	assert_int_equal(isolate_dedicate(&dom[0].d, &far), -ENOENT);
	posts = true;
	assert_int_equal(dedicate(0, 6), -EOPNOTSUPP);
	assert_non_null(strstr(isolate_why(-EOPNOTSUPP), "noposting"));
	posts = false;
	vcpu[2].affinity = (struct cpu_set){ { 6 } };	/* could run there only */
	assert_int_equal(dedicate(0, 6), -EEXIST);
	assert_non_null(strstr(isolate_why(-EEXIST), "another guest may"));
	dom[0].d.trusted = true;
	assert_int_equal(dedicate(0, 6), -EXDEV);
	dom[0].d.control = true;
	assert_int_equal(dedicate(0, 3), -EPERM);
	for (unsigned i = 0; i < 4; i++)
		assert_true(!cpu[i].owner && !vcpu[i].core && !cpu[i].work);
	assert_int_equal(dom[0].d.isolation, ISOLATION_NONE);
}

static void test_stages(void **state)
{
	(void)state;
	vcpu[0].cpu = &cpu[2];
	cpu[2].loaded = &vcpu[0];
	cpu[1].loaded = &vcpu[3];
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_ptr_equal(cpu[0].owner, &vcpu[0]);
	assert_ptr_equal(cpu[1].owner, &vcpu[1]);
	assert_int_equal(vcpu[0].allowed.bits[0], 1);
	assert_int_equal(vcpu[2].allowed.bits[0] & 0xf, 0xc);
	/* Not before the grace period, and the leave of others. */
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_TAKES);
	over = true;
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_TAKES);
	assert_true(cpu[1].work & CPU_WORK_EXPEL);
	cpu[1].loaded = NULL;
	cpu[0].view.nr_queued = 1;
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_TAKES);
	cpu[0].view.nr_queued = 0;
	cpu[1].device_vectors = 1;
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_TAKES);
	cpu[1].device_vectors = 0;
	follows = 0;
	assert_int_equal(dedicate(0, 3), -ERESTART);
	assert_int_equal(follows, 1);
	assert_int_equal(dom[0].d.isolation, ISOLATION_BEGINS);
	assert_int_equal(dedicate(0, 3), -ERESTART);	/* the CPUs have not done it */
	all_cpus();
	assert_int_equal(left, 2);
	assert_int_equal(dedicate(0, 3), 0);
	assert_int_equal(dedicate(0, 3), -EBUSY);
	assert_int_equal(dedicate(1, 6), -EBUSY);

	vcpu[1].direct = true;
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_LEAVES);
	vcpu[1].direct = over = false;
	assert_int_equal(follows, 1);
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_int_equal(follows, 2);
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_int_equal(dom[0].d.isolation, ISOLATION_WAITS);
	assert_true(cpu[0].isolated);
	over = true;
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_int_equal(isolate_share(&dom[0].d), -ERESTART);
	assert_true(cpu[0].owner && cpu[0].isolated);
	all_cpus();
	assert_int_equal(isolate_share(&dom[0].d), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(!cpu[i].owner && !cpu[i].isolated && !vcpu[i].core);
		assert_int_equal(vcpu[i].allowed.bits[0] & 0xf, 0xf);
	}
	assert_int_equal(isolate_share(&dom[0].d), 0);
}

/* A device's interrupt that stays on a CPU: all is as before. */
static void test_vectors_stay(void **state)
{
	int rc;

	(void)state;
	over = true;
	cpu[1].device_vectors = 1;
	do
		rc = dedicate(0, 3);
	while (rc == -ERESTART);
	assert_int_equal(rc, -EEXIST);
	assert_int_equal(dom[0].d.isolation, ISOLATION_NONE);
	assert_true(!cpu[0].owner && !cpu[1].owner && !vcpu[0].core);
	cpu[1].device_vectors = 0;
	make_dedicated();
}

/* A domain that ends gives its CPUs back, in whatever stage it is. */
static void test_destroy(void **state)
{
	(void)state;
	over = true;
	for (unsigned stage = ISOLATION_TAKES; stage <= ISOLATION_DONE; stage++) {
		while (dom[0].d.isolation != stage) {
			(void)dedicate(0, 3);
			all_cpus();
		}
		control_free = false;
		assert_int_equal(isolate_part.destroy(&dom[0].d), -ERESTART);
		assert_int_equal(dom[0].d.isolation, stage);
		control_free = true;
		while (isolate_part.destroy(&dom[0].d) == -ERESTART)
			all_cpus();
		assert_null(cpu[0].owner);
	}
}

static void test_trusted(void **state)
{
	struct domain *d = &dom[0].d;

	(void)state;
	d->trusted = true;
	assert_int_equal(isolate_trusted(d), 0);
	make_dedicated();
	vcpu[1].state = RUN_OFFLINE;
	assert_int_equal(isolate_trusted(d), 0);
	assert_int_equal(pauses, 0);
	vcpu[1].state = RUN_RUNNING;
	assert_int_equal(isolate_trusted(d), -ERESTART);
	assert_int_equal(pauses, 1);
	vcpu[1].state = RUN_OFFLINE;	/* meanwhile: then not */
	assert_int_equal(isolate_trusted(d), 0);
	assert_int_equal(pauses, 0);
	vcpu[1].state = RUN_RUNNING;
	assert_int_equal(isolate_trusted(d), -ERESTART);
	off_cpus = true;
	assert_int_equal(isolate_trusted(d), 0);
	assert_true(mapped && d->apic_mapped && !pauses);
	assert_int_equal(isolate_trusted(d), 0);
	/* No more, when a vCPU goes offline or the CPUs are shared. */
	may_be_direct = false;
	assert_int_equal(isolate_trusted(d), 0);
	assert_false(mapped || pauses);
	may_be_direct = true;
	assert_int_equal(isolate_trusted(d), 0);
	while (isolate_share(d) == -ERESTART)
		all_cpus();
	assert_false(mapped || pauses);
}

static u64 choose(unsigned vcpus, u8 node)
{
	struct cpu_set set;

	dom[0].d.max_vcpus = vcpus;
	dom[0].d.node = node;
	return isolate_choose(&dom[0].d, &set) ? 0 : set.bits[0];
}

/* Two nodes of three cores with two threads each, the last for Margay. */
static void test_chosen(void **state)
{
	static struct cpu many[12];
	struct cpu_set told = { { 3 } };

	(void)state;
	nr_cpus = 12;
	nr_nodes = 2;
	for (unsigned i = 0; i < 12; i++) {
		many[i] = (struct cpu){ .id = i, .node = (u8)(i / 6), .sibling = &many[i ^ 1] };
		cpus[i] = &many[i];
	}
	housekeeping_cpu = &many[11];
	assert_int_equal(choose(2, 0), 0x3);
	assert_int_equal(choose(6, 0), 0x3f);
	assert_int_equal(choose(2, 1), 0xc0);
	assert_int_equal(choose(5, 1), 0x7c0);	/* with the other thread of Margay's core */
	assert_int_equal(choose(7, 0), 0x7f);
	assert_int_equal(choose(11, 1), 0x7ff);
	assert_int_equal(choose(12, 0), 0);
	assert_non_null(strstr(isolate_why(-ENOSPC), "not so many"));
	/* Not where a boot guest will be, or another was told to be, or must run. */
	wanted_at_boot.bits[0] = 2;
	dom[1].d.own_cpus = &told;
	assert_int_equal(choose(2, 0), 0xc);
	vcpu[2].affinity = (struct cpu_set){ { 0xc } };
	assert_int_equal(choose(2, 0), 0x14);	/* leaves it CPU 3 */
	assert_int_equal(choose(3, 0), 0x34);
	assert_int_equal(choose(4, 0), 0x74);
	/* A guest goes where its CPUs were before, if it may. */
	dom[0].d.own_cpus = &told;
	wanted_at_boot.bits[0] = 0;
	dom[1].d.own_cpus = NULL;
	vcpu[2].affinity = (struct cpu_set){ { ~0UL } };
	assert_int_equal(dedicate(0, 0), -ERESTART);
	assert_ptr_equal(vcpu[1].core, &many[1]);
	nr_nodes = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_stages, setup),
		cmocka_unit_test_setup(test_vectors_stay, setup),
		cmocka_unit_test_setup(test_destroy, setup),
		cmocka_unit_test_setup(test_trusted, setup),
		cmocka_unit_test_setup(test_chosen, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
