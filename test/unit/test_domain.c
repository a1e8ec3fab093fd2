/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a domain: parts are created in order and destroyed in reverse order, in steps.
 * Nothing is freed before a grace period ends. Pauses are counted.
 * unit-sources: common/domain/domain.c common/domain/parts.c common/domain/quiesce.c test/unit/no_policies.c
 * unit-sources: test/unit/mock_cpus.c test/unit/mock_heap.c
 */
#include "host.h"
#include "mock_cpus.h"
#include "mock_heap.h"

#include <stdarg.h>

#include <margay/evtchn.h>
#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/page_owner.h>
#include <margay/quiesce.h>
#include <margay/sched.h>

#define CPUS 2
#define VCPUS 3

static struct vcpu vcpus[VCPUS];
static char history[64]; /* parts: created in lower case, destroyed in upper, freed after a - */
static char failing;
static unsigned shutdowns, ups;

stime_t now(void)
{
	return 0;
}
u64 node_free_pages(unsigned node)
{
	return node;
}
static u64 wallclock;
u64 arch_wallclock(void)
{
	return wallclock;
}
void arch_set_wallclock(u64 ns)
{
	wallclock = ns;
}
void arch_vcpu_dump(struct vcpu *v)
{
	(void)v;
}
void arch_flush_translations(void)
{
}
void sched_wake_idle(void) {}

void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}
void vcpu_up(struct vcpu *v)
{
	v->on_cpu = true;
	ups++;
}
void vcpu_hold(struct vcpu *v, unsigned n)
{
	v->holds += n;
}
void vcpu_release(struct vcpu *v)
{
	v->holds--;
}

static int note(char c, int rc)
{
	history[strlen(history)] = c;
	return rc;
}

/* Each part needs two steps to create and to destroy. */
#define FAKE(name, c, C)                                                  \
	static bool name##_half;                                          \
	static int name##_create(struct domain *d)                        \
	{                                                                 \
		(void)d;                                                  \
		if (failing == c)                                         \
			return -ENOMEM;                                   \
		name##_half = !name##_half;                               \
		return name##_half ? -ERESTART : note(c, 0);              \
	}                                                                 \
	static int name##_destroy(struct domain *d)                       \
	{                                                                 \
		assert_int_equal(d->state, DOM_DYING);                    \
		name##_half = !name##_half;                               \
		return name##_half ? -ERESTART : note(C, 0);              \
	}                                                                 \
	const struct domain_part name##_part = { .create = name##_create, \
						 .destroy = name##_destroy }

void evtchn_update_layout(struct domain *d)
{
	(void)d;
}

FAKE(p2m, 'p', 'P');
FAKE(arch, 'a', 'A');
FAKE(evtchn, 'e', 'E');
FAKE(grant, 'g', 'G');
FAKE(timers, 't', 'T');
FAKE(vioapic, 'i', 'I');
FAKE(policy, 'o', 'O');

const struct domain_part iommu_part, isolate_part, pci_part;

static int vcpus_create(struct domain *d)
{
	vcpus[d->nr_vcpus] = (struct vcpu){ .domain = d, .id = d->nr_vcpus };
	d->vcpus[d->nr_vcpus] = &vcpus[d->nr_vcpus];
	return ++d->nr_vcpus < VCPUS ? -ERESTART : note('v', 0);
}
static int vcpus_destroy(struct domain *d)
{
	d->nr_vcpus = 0;
	return note('V', 0);
}
const struct domain_part vcpus_part = { .create = vcpus_create, .destroy = vcpus_destroy };

static void console_free(struct domain *d)
{
	(void)d;
	note('-', 0);
}
const struct domain_part console_part = { .free = console_free };

static void ended(struct domain *d)
{
	assert_int_equal(d->state, DOM_SHUTDOWN);
	shutdowns++;
}

struct cpu *housekeeping_cpu = &cpu[0];

void evtchn_virq(struct vcpu *v, unsigned virq)
{
	(void)v;
	assert_int_equal(virq, VIRQ_DOM_EXC);
}

static const struct domain_life life = { .ended = ended };

static void visit(unsigned i)
{
	host_cpu = &cpu[i];
	if (cpu[i].work & CPU_WORK_QUIESCE)
		quiesce_here();
	cpu[i].work = 0;
}

static int setup(void **state)
{
	(void)state;
	mock_cpus_init(CPUS);
	memset(history, 0, sizeof(history));
	shutdowns = ups = 0;
	failing = 0;
	return 0;
}

static struct domain *create(int expected)
{
	static const struct domain_config config = { .id = DOMID_INVALID, .name = "d",
						     .vcpus = VCPUS, .pages = 256,
						     .node = NODE_ANY };
	struct domain *d;
	int rc;

	assert_int_equal(domain_create(&config, &life, &d), 0);
	while ((rc = domain_parts_create(d)) == -ERESTART)
		;
	assert_int_equal(rc, expected);
	return d;
}

/* Performs all steps. Each CPU passes through its loop between them. */
static void destroy(struct domain *d)
{
	for (unsigned n = 0; domain_destroy(d); n++) {
		assert_true(n < 100);
		for (unsigned i = 0; i < CPUS; i++)
			visit(i);
	}
}

static void all_given_back(void)
{
	assert_true(list_empty(&domain_list));
	assert_int_equal(heap_objects, 0);
	assert_int_equal(heap_pages, 0);
}

static void test_order(void **state)
{
	struct domain *d = create(0);

	(void)state;
	assert_string_equal(history, "pavegtio");
	domain_start(d);
	assert_int_equal(ups, 1);
	vcpus[0].on_cpu = false;
	destroy(d);
	assert_string_equal(history, "pavegtioOITGEVAP-");
	all_given_back();
}

/* A creation that fails at any part is undone in the same way and waits only for the CPUs. */
static void test_failures(void **state)
{
	(void)state;
	for (const char *at = "paegtio"; *at; at++) {
		memset(history, 0, sizeof(history));
		failing = *at;
		destroy(create(-ENOMEM));
		assert_non_null(strstr(history, "OITGEVAP-"));
		all_given_back();
	}
}

/*
 * A domain that shut down stays until its creator destroys it. No part goes while a CPU may use it.
 */
static void test_end(void **state)
{
	struct domain *d = create(0), *held;

	(void)state;
	domain_start(d);
	domain_shutdown(d, SHUTDOWN_reboot);
	domain_shutdown(d, SHUTDOWN_crash);
	assert_int_equal(shutdowns, 1);
	assert_int_equal(d->shutdown_code, SHUTDOWN_reboot);
	held = domain_get(d->id);
	assert_ptr_equal(held, d);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(vcpus[i].holds, 1);
	memset(history, 0, sizeof(history));
	assert_int_equal(domain_destroy(d), -ERESTART);
	assert_null(domain_get(d->id));
	/* A vCPU is still on its CPU. */
	visit(0);
	visit(1);
	assert_int_equal(domain_destroy(d), -ERESTART);
	vcpus[0].on_cpu = false;
	assert_int_equal(domain_destroy(d), -ERESTART);
	visit(0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(domain_destroy(d), -ERESTART);
	assert_string_equal(history, "");
	visit(1);
	destroy(d);
	assert_string_equal(history, "OITGEVAP");
	/* Only the tools find it, until the last reference is gone. */
	assert_null(domain_get(d->id));
	assert_ptr_equal(domain_find(d->id), d);
	domain_put(d);
	assert_int_equal(domain_destroy(d), 0);
	domain_put(held);
	assert_string_equal(history, "OITGEVAP-");
	all_given_back();
}

/* The domain counts pauses. Destruction ignores them, as does an unpause after it. */
static void test_pause(void **state)
{
	struct domain *d = create(0);

	(void)state;
	domain_start(d);
	domain_pause(d);
	domain_pause(d);
	assert_int_equal(vcpus[2].holds, 1);
	assert_false(domain_off_cpus(d));
	vcpus[0].on_cpu = false;
	assert_true(domain_off_cpus(d));
	domain_unpause(d);
	assert_int_equal(vcpus[2].holds, 1);
	domain_unpause(d);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(vcpus[i].holds, 0);
	assert_false(domain_off_cpus(d));
	domain_pause(d);
	domain_shutdown(d, SHUTDOWN_poweroff);
	assert_int_equal(vcpus[1].holds, 2);
	assert_int_equal(domain_destroy(d), -ERESTART);
	domain_unpause(d);
	assert_int_equal(vcpus[1].holds, 1);
	destroy(d);
	all_given_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_failures, setup),
		cmocka_unit_test_setup(test_end, setup),
		cmocka_unit_test_setup(test_pause, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
