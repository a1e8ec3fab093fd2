/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of policy modules: load, select, eject and unload, for every policy point and for
 * sets of CPUs. An unload waits for grace periods, no pointer to an ejected module remains, and
 * everything is released.
 * unit-sources: common/policy/registry.c common/policy/guest_load.c common/domain/quiesce.c test/unit/mock_cpus.c test/unit/mock_heap.c
 */
#include "host.h"
#include "mock_cpus.h"
#include "mock_heap.h"

#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/guest_copy.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>
#include <x86/exit.h>

#define CPUS 3

struct margay_options opt = { .loglevel = LOG_INFO };
struct spinlock domains_lock;
struct list domain_list = LIST_INIT(domain_list);
const char *const exit_names[NR_EXITS];

static unsigned handed[CPUS], starts, flushed, mapped;
static bool nmis;
static s32 start_says;
static struct policy *eject_in_swap;
static const char *eject_in_start;	/* ejected meanwhile by another CPU */

static stime_t clock_now;

stime_t now(void)
{
	return clock_now;
}
void arch_irqs_on(void)
{
}
void arch_irqs_off(void)
{
}
u64 node_free_pages(unsigned node)
{
	return node;
}
bool policy_allowed(const u8 digest[32])
{
	(void)digest;
	return true;
}
u64 arch_module_base(unsigned slot)
{
	return slot;
}
int arch_module_map(const struct module *m, const void *at)
{
	(void)m;
	(void)at;
	mapped++;
	return 0;
}
void arch_module_unmap(const struct module *m, const void *at)
{
	(void)at;
	mapped--;
	/* From now on, a call to it is a fault. */
	for (unsigned i = 0; i < CPUS; i++) {
		for (unsigned j = 0; j < POINT_PLACE; j++)
			assert_true(!cpu[i].policy[j] || &cpu[i].policy[j]->mod != m);
	}
}
void arch_policy_nmis(bool on)
{
	nmis = on;
}
void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}

void arch_flush_translations(void)
{
	flushed++;
}

/* CPU i passes through the scheduler's loop. */
static void visit(unsigned i)
{
	if (cpu[i].work & CPU_WORK_QUIESCE)
		quiesce_here();
	cpu[i].work &= ~(u32)CPU_WORK_QUIESCE;
}

static void visit_all(void)
{
	for (unsigned i = 0; i < CPUS; i++)
		visit(i);
}

/* Repeats the call until it succeeds, like the control domain. */
static int unload(const char *name)
{
	int rc;

	for (unsigned n = 0; (rc = policy_unload(name)) == -ERESTART; n++) {
		assert_true(n < 4);
		visit_all();
	}
	return rc;
}

void sched_set_policy(struct cpu *c, struct policy *p)
{
	handed[c->id]++;
	if (eject_in_swap)
		policy_eject(eject_in_swap, "pick", "it is bad");
	c->policy[POINT_SCHED] = p;
}

/* A test's "file" is the description itself. */
int module_link_step(struct module_link *l)
{
	assert_true(!l->end == !l->to);
	l->end = 3 * PAGE_SIZE;
	if (l->stage++ < 3)
		return -ERESTART;
	l->m->desc = (const void *)l->file;
	l->m->base = l->base;
	strcopy(l->m->name, l->m->desc->name, sizeof(l->m->name));
	return 0;
}

static int policy_load(const struct policy_module *m, size_t len, char *why)
{
	struct policy_load l = { .file = (const void *)m, .len = len };
	int rc;

	do
		rc = policy_load_step(&l);
	while (rc == -ERESTART);
	assert_null(l.p);
	strcopy(why, l.why, MODULE_REASON);
	return rc;
}

u64 policy_call(u64 a, u64 b, u64 c, u64 d, const struct policy_fn *fn)
{
	assert_non_null(fn->code);
	return ((u64(*)(u64, u64, u64, u64))fn->code)(a, b, c, d);
}

static int start(u32 n)
{
	assert_int_equal(n, CPUS);
	starts++;
	if (eject_in_start)
		policy_eject(policy_find(eject_in_start), "idle", "it is bad");
	return start_says;
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	(void)slice;
	return c->first;
}
static enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns)
{
	(void)c;
	(void)slept;
	(void)ns;
	return IDLE_HALT;
}
static u32 node(const struct place_node *nodes, u32 n, u64 mem, u32 vcpus)
{
	(void)nodes;
	(void)mem;
	(void)vcpus;
	return n - 1;
}

static enum migrate_how migrate_says;
static enum migrate_how round_of(const struct migrate_round *r)
{
	return r->dirty > 1000 ? MIGRATE_GO_ON : migrate_says;
}

static const struct sched_policy sched = { .pick = pick };
static const struct idle_policy idling = { .idle = idle };
static const struct place_policy place = { .node = node };
static const struct migrate_policy migrate = { .round = round_of };
static const struct policy_module all = { .name = "all",
					  .summary = "",
					  .sched = &sched,
					  .idle = &idling,
					  .place = &place,
					  .migrate = &migrate,
					  .start = start },
				  only_sched = { .name = "only", .summary = "", .sched = &sched };

static const struct cpu_set none, first = { { 1 } }, two = { { 5 } },
				  everywhere = { { ~0UL, ~0UL } };

static struct policy *load(const struct policy_module *m)
{
	char why[MODULE_REASON];

	assert_int_equal(policy_load(m, 1, why), 0);
	visit_all();
	return policy_find(m->name);
}

static void forget_work(void)
{
	memset(handed, 0, sizeof(handed));
	for (unsigned i = 0; i < CPUS; i++)
		cpu[i].work = 0;
}

static int setup(void **state)
{
	(void)state;
	mock_cpus_init(CPUS);
	starts = 0;
	start_says = 0;
	eject_in_start = NULL;
	eject_in_swap = NULL;
	forget_work();
	return 0;
}

/* A placement policy's table of nodes holds every node that SRAT may name. */
static void test_many_nodes(void **state)
{
	(void)state;
	nr_nodes = MAX_NODES;
	cpu[1].node = cpu[2].node = MAX_NODES - 1;
	assert_int_equal(policy_select(POINT_PLACE, load(&all), &everywhere), 0);
	assert_int_equal(policy_node(1 << 30, 1, 0), MAX_NODES - 1);
	nr_nodes = 1;
}

/* What the tools do is the policy's choice, as long as it is one that they have. */
static void test_migrate(void **state)
{
	struct migrate_round r = { .domain = 1, .round = 1, .pages = 5000, .dirty = 2000 };

	(void)state;
	assert_int_equal(policy_migrate(&r), MIGRATE_AS_XEN);
	assert_int_equal(policy_select(POINT_MIGRATE, load(&only_sched), &none), -EOPNOTSUPP);
	assert_int_equal(policy_select(POINT_MIGRATE, load(&all), &none), 0);
	assert_int_equal(policy_unload("all"), -EBUSY);
	assert_int_equal(policy_migrate(&r), MIGRATE_GO_ON);
	r.dirty = 1000;
	migrate_says = MIGRATE_STOP;
	assert_int_equal(policy_migrate(&r), MIGRATE_STOP);
	migrate_says = MIGRATE_STOP + 1;
	assert_int_equal(policy_migrate(&r), MIGRATE_AS_XEN);
	assert_true(policy_find("all")->ejected);
	assert_null(policy_selected(POINT_MIGRATE, 0));
	migrate_says = MIGRATE_STOP;
	assert_int_equal(policy_migrate(&r), MIGRATE_AS_XEN);
	migrate_says = MIGRATE_AS_XEN;
}

static int teardown(void **state)
{
	struct policy *p;

	(void)state;
	for (enum policy_point point = POINT_SCHED; point < NR_POINTS; point++)
		assert_int_equal(policy_select(point, NULL, &everywhere), 0);
	while ((p = policy_nth(0)))
		assert_int_equal(unload(p->mod.name), 0);
	assert_false(nmis);
	assert_int_equal(heap_pages, 0);
	assert_int_equal(heap_objects, 0);
	assert_int_equal(mapped, 0);
	return 0;
}

static void selected_on(const struct policy *p, enum policy_point point, u64 mask)
{
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(policy_selected(point, i) == p, mask >> i & 1);
}

/*
 * Selects on exactly the requested CPUs, by the scheduler's own hand-over, and notifies each CPU.
 */
static void test_select(void **state)
{
	struct policy *p = load(&all);

	(void)state;
	assert_true(nmis);
	assert_int_equal(policy_select(POINT_SCHED, p, &none), -EINVAL);
	assert_int_equal(policy_select(POINT_EXIT, p, &everywhere), -EOPNOTSUPP);
	assert_int_equal(policy_select(POINT_SCHED, p, &two), 0);
	selected_on(p, POINT_SCHED, 5);
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(handed[i], i != 1);
		assert_int_equal(cpu[i].work, i != 1 ? CPU_WORK_RESCHED : 0);
	}
	assert_int_equal(policy_select(POINT_IDLE, p, &first), 0);
	selected_on(p, POINT_IDLE, 1);
	selected_on(p, POINT_SCHED, 5);
	assert_int_equal(policy_select(POINT_SCHED, NULL, &first), 0);
	selected_on(p, POINT_SCHED, 4);
	assert_int_equal(starts, 1);
	assert_int_equal(p->selected, 2);
	assert_int_equal(policy_unload("all"), -EBUSY);
	assert_int_equal(policy_select(POINT_SCHED, NULL, &everywhere), 0);
	assert_int_equal(policy_unload("all"), -EBUSY);
	assert_int_equal(policy_select(POINT_IDLE, NULL, &everywhere), 0);
	assert_int_equal(policy_select(POINT_PLACE, p, &none), 0);
	assert_int_equal(policy_unload("all"), -EBUSY);
	assert_int_equal(policy_node(1, 1, 0), 0);
}

/* Who selected what, and where. */
static void test_selection_is_logged(void **state)
{
	struct policy *p = load(&all);
	struct domain d = { .id = 7, .name = "linux" };

	(void)state;
	policy_log_selection(POINT_SCHED, p, &two, &d);
	assert_logged("policy all selected for sched on CPUs 0,2 by linux\n");
	policy_log_selection(POINT_IDLE, p, &first, NULL);
	assert_logged("policy all selected for idle on CPUs 0 by its boot module\n");
	policy_log_selection(POINT_SCHED, NULL, &everywhere, &d);
	assert_logged("policy built-in selected for sched on CPUs 0-2 by linux\n");
	policy_log_selection(POINT_PLACE, p, &everywhere, &d);
	assert_logged("policy all selected for place by linux\n");
	opt.loglevel = LOG_WARN;
	policy_log_selection(POINT_IDLE, NULL, &two, &d);
	opt.loglevel = LOG_INFO;
	assert_int_equal(host_logged("CPUs 0,2"), 1);
}

/* No pointer remains, all CPUs choose again, and the module cannot be selected again. */
static void test_eject(void **state)
{
	struct policy *p = load(&all), *other = load(&only_sched);

	(void)state;
	assert_int_equal(policy_select(POINT_SCHED, p, &two), 0);
	assert_int_equal(policy_select(POINT_SCHED, other, &(struct cpu_set){ { 2 } }), 0);
	assert_int_equal(policy_select(POINT_IDLE, p, &everywhere), 0);
	assert_int_equal(policy_select(POINT_PLACE, p, &none), 0);
	forget_work();
	host_log_clear();
	policy_eject(p, "pick", "it is %s", "bad");
	policy_eject(p, "pick", "once more");
	assert_logged("policy all ejected, the built-in policy decides:\n  pick: it is bad");
	assert_int_equal(host_logged("ejected"), 1);
	assert_string_equal(p->why, "it is bad");
	for (enum policy_point point = POINT_SCHED; point < NR_POINTS; point++)
		selected_on(p, point, 0);
	selected_on(other, POINT_SCHED, 2);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(cpu[i].work, CPU_WORK_RESCHED);
	assert_int_equal(policy_select(POINT_SCHED, p, &everywhere), -EPERM);
	selected_on(p, POINT_SCHED, 0);
}

/* A module that fails to start, or is ejected while it starts, is selected nowhere. */
static void test_start(void **state)
{
	struct policy *p = load(&all);

	(void)state;
	start_says = -POLICY_ENOSPC;
	assert_int_equal(policy_select(POINT_SCHED, p, &everywhere), -ENOSPC);
	start_says = -100000;
	assert_int_equal(policy_select(POINT_SCHED, p, &everywhere), -EINVAL);
	start_says = 0;
	eject_in_start = "all";
	assert_int_equal(policy_select(POINT_SCHED, p, &everywhere), -EIO);
	selected_on(p, POINT_SCHED, 0);
	/* The first CPU calls it, and it fails, before the last CPU has selected it. */
	eject_in_swap = p = load(&only_sched);
	(void)policy_select(POINT_SCHED, p, &everywhere);
	assert_true(p->ejected);
	selected_on(p, POINT_SCHED, 0);
}

/* An unload unmaps nothing until each CPU was in its loop; then each CPU flushes its TLB. */
static void test_unload_waits(void **state)
{
	struct policy *p = load(&all);

	(void)state;
	assert_int_equal(policy_select(POINT_IDLE, p, &everywhere), 0);
	policy_eject(p, "idle", "it is bad");
	assert_int_equal(policy_unload("all"), -ERESTART);
	visit(0);
	visit(1);
	assert_int_equal(policy_unload("all"), -ERESTART);
	assert_int_equal(mapped, 1);
	visit(2);
	assert_int_equal(policy_unload("all"), -ERESTART);
	assert_int_equal(mapped, 0);
	flushed = 0;
	visit(1);
	visit(2);
	assert_int_equal(policy_unload("all"), -ERESTART);
	assert_true(heap_pages > 0);
	visit(0);
	assert_int_equal(flushed, CPUS);
	assert_int_equal(policy_unload("all"), 0);
	assert_int_equal(heap_pages, 0);
	assert_int_equal(policy_unload("all"), -ENOENT);
}

/* A caller may stop an unload halfway and another may continue; meanwhile nobody can select it. */
static void test_unload_half(void **state)
{
	struct policy *p = load(&all);

	(void)state;
	assert_int_equal(policy_unload("all"), -ERESTART);
	assert_int_equal(policy_select(POINT_SCHED, p, &everywhere), -EPERM);
	assert_int_equal(policy_load(&all, 1, (char[MODULE_REASON]){ "" }), -EEXIST);
	assert_int_equal(unload("all"), 0);
}

static bool bad_copy;

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	memset(dst, 0, n);
	/* The first page holds the description. */
	if (src % PAGE_SIZE == 0 && n >= sizeof(all) && src == 16 * PAGE_SIZE)
		memcpy(dst, &all, sizeof(all));
	return bad_copy ? -EFAULT : 0;
}

static int load_by(struct vcpu *v)
{
	char why[MODULE_REASON];

	return policy_load_guest(v, 16 * PAGE_SIZE, 3 * PAGE_SIZE, why);
}

/* A load by a hypercall takes many steps, which others cannot disturb, but end if it is given up. */
static void test_guest_load(void **state)
{
	static struct domain d, e;
	struct vcpu v = { .domain = &d }, w = { .domain = &e };
	unsigned steps = 1;

	(void)state;
	while (load_by(&v) == -ERESTART) {
		steps++;
		assert_int_equal(load_by(&w), -EBUSY);
	}
	assert_true(steps > 8);
	assert_non_null(policy_find("all"));
	assert_int_equal(unload("all"), 0);
	assert_int_equal(heap_pages, 0);

	/* The caller's domain dies. */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(load_by(&v), -ERESTART);
	assert_true(heap_pages > 0);
	policy_load_gone(&e);
	assert_int_equal(load_by(&w), -EBUSY);
	policy_load_gone(&d);
	assert_int_equal(heap_pages, 0);

	/* The caller does not restart its call: another load begins anew a second later. */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(load_by(&v), -ERESTART);
	clock_now += 2000000000;
	for (steps = 1; load_by(&w) == -ERESTART; steps++)
		;
	assert_true(steps > 8);
	assert_int_equal(unload("all"), 0);

	bad_copy = true;
	assert_int_equal(load_by(&v), -ERESTART);
	assert_int_equal(load_by(&v), -EFAULT);
	bad_copy = false;
	assert_int_equal(heap_pages, 0);
	assert_int_equal(load_by(&w), -ERESTART);
	policy_load_gone(&e);
	assert_int_equal(heap_pages, 0);
}

/* Slots are reused, and the registry refuses modules beyond the limit. */
static void test_slots(void **state)
{
	char names[33][8], why[MODULE_REASON];
	struct policy_module m[33];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 33; i++) {
			snprintf(names[i], sizeof(names[i]), "m%u", i);
			m[i] = only_sched;
			m[i].name = names[i];
			assert_int_equal(policy_load(&m[i], 1, why), i < 32 ? 0 : -ENOSPC);
		}
		assert_int_equal(unload("m7"), 0);
		assert_int_equal(policy_load(&m[8], 1, why), -EEXIST);
		assert_int_equal(load(&m[7])->slot, 7);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(unload(names[i]), 0);
	}
}

/* Lines that come too fast are counted, and the next line says how many there were. */
static void test_log(void **state)
{
	struct policy *p = load(&all);

	(void)state;
	cpu[0].policy_called = &p->fn[0];
	host_log_clear();
	clock_now = 1000000000;
	policy_log("first");
	for (unsigned i = 0; i < 7; i++)
		policy_log("flood");
	assert_int_equal(host_logged("policy all: "), 1);
	clock_now += 1000000000;
	policy_log("second");
	policy_log("flood");
	clock_now += 1000000000;
	policy_log("third");
	clock_now += 1000000000;
	policy_log("fourth");
	assert_logged("policies: lines left out: 7\npolicy all: second");
	assert_logged("policies: lines left out: 1\npolicy all: third\npolicy all: fourth");
	clock_now = 0;
	assert_int_equal(unload("all"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_select),   TEST(test_eject),	      TEST(test_start),
		TEST(test_unload_waits), TEST(test_unload_half), TEST(test_slots),
		TEST(test_guest_load), TEST(test_selection_is_logged),
		TEST(test_many_nodes), TEST(test_log),	      TEST(test_migrate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
