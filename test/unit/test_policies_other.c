/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies of modules/ that do not schedule: polling before a halt, placement on nodes and exit
 * counts; and the list of functions that modules may call.
 * unit-sources: modules/haltpoll.c modules/numa.c modules/exitstat.c common/policy/exports.c
 */
#include "host.h"

#include <margay/lib.h>
#include <margay/module.h>

extern const struct policy_module module_haltpoll, module_numa, module_exitstat;

static u64 time_now;

u64 policy_now(void)
{
	return time_now;
}

void policy_resched(u32 cpu)
{
	(void)cpu;
}

void policy_log(const char *text)
{
	(void)text;
}

const char *policy_exit_name(u32 reason)
{
	static const char *const names[] = { "interrupt", "hlt", "cpuid" };

	return reason < ARRAY_SIZE(names) ? names[reason] : NULL;
}

/* In the hypervisor the linker script defines these around the note. */
__asm__(".section .rodata\n.globl build_id_note, build_id_end\n"
	"build_id_note: .long 4, 20, 3\n.ascii \"GNU\\0abcdefghijklmnopqrst\"\nbuild_id_end:\n.previous\n");

static u64 counter(const struct policy_module *m, const char *name)
{
	const char *found;
	u64 value;

	for (u32 i = 0; (found = m->counter(i, &value)); i++)
		if (!strcmp(found, name))
			return value;
	fail_msg("%s has no counter %s", m->name, name);
	return 0;
}

static void test_exports(void **state)
{
	static const char *const names[] = { "policy_now", "policy_resched", "policy_log",
					     "policy_exit_name", "memcpy", "memset", "memcmp" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(module_export(names[i]) != 0);
	assert_true(module_export("policy_now") == (u64)policy_now);
	assert_true(module_export("memcmp") != module_export("memset"));
	assert_true(module_export("") == 0);
	assert_true(module_export("policy_no") == 0);
	assert_true(module_export("policy_now2") == 0);
	assert_true(module_export("printk") == 0);
	assert_memory_equal(module_hypervisor_id(), "abcdefghijklmnopqrst", 20);
}

/* Simulates one idle time of ns; returns how long the CPU polled before it halted. */
static u64 idle_time(struct policy_cpu *c, u64 ns, bool *halted)
{
	static u64 slept[2];
	u64 poll = 0, start = time_now, last;

	*halted = true;
	last = slept[c->id];
	slept[c->id] = ns;
	if (module_haltpoll.idle->idle(c, last, &poll) == IDLE_POLL) {
		assert_in_range(poll, 1, 200000);
		if (poll >= ns) {
			*halted = false;
		} else {
			time_now += poll;
			slept[c->id] = ns - poll;
			assert_int_equal(module_haltpoll.idle->idle(c, poll + 300, &(u64){ 0 }),
					 IDLE_HALT);
		}
	}
	time_now = start + ns + 1000;
	return poll;
}

static void test_haltpoll(void **state)
{
	struct policy_cpu c = { .id = 0 }, other = { .id = 1 };
	bool halted;
	u64 poll = 0;

	(void)state;
	time_now = 1000;
	/* Ping-pong: soon it no longer halts. */
	for (unsigned i = 0; i < 10; i++)
		poll = idle_time(&c, 30000 + i, &halted);
	assert_false(halted);
	assert_in_range(poll, 30000, 60000);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(idle_time(&c, 30000 + i % 2, &halted), poll);
		assert_false(halted);
	}
	/* The other CPU's guests sleep: it never polls. Soon this one stops polling too. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(idle_time(&other, 5000000 + i, &halted), 0);
	for (unsigned i = 0; i < 10; i++)
		poll = idle_time(&c, 5000000 + i, &halted);
	assert_int_equal(poll, 0);
	assert_true(halted);
	/* It never polls longer than 200 us. */
	for (unsigned i = 0; i < 20; i++)
		poll = idle_time(&c, 199000 + i, &halted);
	assert_int_equal(poll, 200000);
	assert_true(counter(&module_haltpoll, "looks") > 100);
	assert_true(counter(&module_haltpoll, "halts") > 10);
}

#define GIB (1UL << 30)

static void test_numa(void **state)
{
	const struct place_node nodes[] = {
		{ 40 * GIB, 8, 4 },
		{ 32 * GIB, 8, 2 },
		{ 8 * GIB, 8, 0 },
		{ 64 * GIB, 0, 0 },	/* memory only */
	};
	const struct place_node equal[] = { { 40 * GIB, 4, 2 },
					    { 30 * GIB, 8, 6 },
					    { 20 * GIB, 4, 2 } };
	u32 (*node)(const struct place_node *, u32, u64, u32) = module_numa.place->node;

	(void)state;
	assert_int_equal(node(nodes, 4, 4 * GIB, 2), 2);
	assert_int_equal(node(nodes, 4, 16 * GIB, 2), 1);
	assert_int_equal(node(nodes, 4, 36 * GIB, 2), 0);
	assert_int_equal(node(nodes, 4, 50 * GIB, 2), 3);
	assert_int_equal(node(nodes, 4, 100 * GIB, 2), 3);
	assert_int_equal(node(nodes, 3, 100 * GIB, 2), 0);
	assert_int_equal(node(nodes, 1, GIB, 200), 0);
	/*
	 * With two more vCPUs the loads are equal, one per CPU: take the smallest hole that fits.
	 */
	assert_int_equal(node(equal, 3, GIB, 2), 2);
	assert_int_equal(node(equal, 3, 25 * GIB, 2), 1);
	assert_int_equal(node(equal, 3, GIB, 3), 1);
	assert_int_equal(node(equal, 1, GIB, 2), 0);
	assert_int_equal(node((struct place_node[]){ equal[0], equal[2] }, 2, GIB, 2), 1);
	assert_int_equal(counter(&module_numa, "domains-without-room"), 2);
}

static void test_exitstat(void **state)
{
	struct policy_cpu c = { .id = 0 };
	struct policy_vcpu a = { .domain = 7, .slot = 3 }, b = { .domain = 0, .slot = 255 };
	u64 value;

	(void)state;
	assert_null(module_exitstat.counter(0, &value));
	for (unsigned i = 0; i < 5; i++) {
		module_exitstat.exit->exit(&c, &a, 2);
		module_exitstat.exit->exit(&c, &b, 0);
	}
	module_exitstat.exit->exit(&c, &a, 1);
	module_exitstat.exit->exit(&c, &a, 64);	/* no such exit reason */
	assert_string_equal(module_exitstat.counter(0, &value), "7.cpuid");
	assert_int_equal(value, 5);
	assert_string_equal(module_exitstat.counter(1, &value), "0.interrupt");
	assert_string_equal(module_exitstat.counter(2, &value), "7.hlt");
	assert_int_equal(value, 1);
	assert_null(module_exitstat.counter(3, &value));
	assert_null(module_exitstat.counter(~0U, &value));

	/* Another domain in the same slot: its counts begin at zero, with its own id. */
	a.domain = 60000;
	module_exitstat.exit->exit(&c, &a, 2);
	assert_int_equal(counter(&module_exitstat, "60000.cpuid"), 1);
	assert_int_equal(counter(&module_exitstat, "60000.hlt"), 0);
	assert_int_equal(counter(&module_exitstat, "0.interrupt"), 5);
	assert_null(module_exitstat.counter(3, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exports),
		cmocka_unit_test(test_haltpoll),
		cmocka_unit_test(test_numa),
		cmocka_unit_test(test_exitstat),
	};

	return cmocka_run_group_tests_name("policies_other", tests, NULL, NULL);
}
