/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grace periods: one ends only after each CPU was in its loop since its start; they follow one
 * another, whoever asks.
 * unit-sources: common/domain/quiesce.c test/unit/mock_cpus.c
 */
#include "host.h"
#include "mock_cpus.h"

#include <margay/arch.h>
#include <margay/quiesce.h>

#define CPUS 4

static unsigned flushes[CPUS], raised;

void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
	raised++;
}
void arch_flush_translations(void)
{
	flushes[host_cpu->id]++;
}

static bool visit(unsigned i)
{
	bool asked = cpu[i].work & CPU_WORK_QUIESCE;

	host_cpu = &cpu[i];
	cpu[i].work = 0;
	if (asked)
		quiesce_here();
	return asked;
}

static int setup(void **state)
{
	(void)state;
	mock_cpus_init(CPUS);
	memset(flushes, 0, sizeof(flushes));
	return 0;
}

static void test_all(void **state)
{
	u64 p = quiesce_start();

	(void)state;
	for (unsigned i = 0; i < CPUS; i++) {
		assert_false(quiesce_over(p));
		assert_true(visit(i));
		assert_int_equal(flushes[i], 1);
	}
	raised = 0;
	assert_true(quiesce_over(p));
	assert_true(quiesce_over(p));
	/* A grace period that is over kicks no CPU. */
	assert_int_equal(raised, 0);
	for (unsigned i = 0; i < CPUS; i++)
		assert_false(visit(i));
}

/* A CPU that was in its loop before the start does not count, even during an earlier period. */
static void test_two(void **state)
{
	u64 a = quiesce_start(), b, c;

	(void)state;
	visit(0);
	visit(1);
	b = quiesce_start();
	c = quiesce_start();
	assert_int_equal(b, c);
	assert_int_not_equal(a, b);
	visit(2);
	visit(3);
	/* Any query starts the next one. */
	assert_true(quiesce_over(a));
	assert_false(quiesce_over(b));
	visit(2);
	visit(3);
	assert_false(quiesce_over(b));
	assert_true(quiesce_over(a));
	visit(0);
	assert_false(quiesce_over(c));
	visit(1);
	assert_true(quiesce_over(c));
	assert_true(quiesce_over(b));
	assert_true(quiesce_over(a));
}

/* In any sequence a period ends, and only after each CPU was in its loop since its start. */
static void test_random(void **state)
{
	u64 period[8] = { 0 }, seen[8] = { 0 }, seed = 1;
	unsigned over = 0;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned k, i;

		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		k = seed >> 40 & 7;
		i = seed >> 50 & 3;
		switch (seed >> 60 & 3) {
		case 0:
			if (period[k])
				break;
			period[k] = quiesce_start();
			seen[k] = 0;
			break;
		case 1:
			if (!period[k] || !quiesce_over(period[k]))
				break;
			assert_int_equal(seen[k], BIT(CPUS) - 1);
			period[k] = 0;
			over++;
			break;
		default:
			visit(i);
			for (unsigned j = 0; j < 8; j++)
				seen[j] |= BIT(i);
		}
	}
	assert_true(over > 500);
}

/* An isolated CPU in its guest is neither asked nor waited for. In Margay it is both. */
static void test_outside(void **state)
{
	u64 p = quiesce_start(), q;

	(void)state;
	/* It leaves after the period has begun: its last work includes the acknowledgement. */
	host_cpu = &cpu[3];
	quiesce_outside();
	visit(0);
	visit(1);
	visit(2);
	assert_false(quiesce_over(p));
	assert_true(visit(3));
	assert_true(quiesce_over(p));

	p = quiesce_start();
	visit(0);
	visit(1);
	assert_false(quiesce_over(p));
	visit(2);
	assert_true(quiesce_over(p));
	assert_int_equal(cpu[3].work, 0);
	assert_int_equal(flushes[3], 1);

	/* Nor does a policy's change kick it, as it does the others. */
	raised = 0;
	quiesce_raise(&cpu[3], CPU_WORK_RESCHED);
	assert_int_equal(raised, 0);
	quiesce_raise(&cpu[2], CPU_WORK_RESCHED);
	assert_int_equal(cpu[2].work, CPU_WORK_RESCHED);

	/* It comes back during a period, flushes, has that work, and is in the next one. */
	p = quiesce_start();
	host_cpu = &cpu[3];
	quiesce_inside();
	assert_int_equal(flushes[3], 2);
	assert_int_equal(cpu[3].work, CPU_WORK_RESCHED);
	q = quiesce_start();
	for (unsigned i = 0; i < 3; i++)
		visit(i);
	assert_true(quiesce_over(p));
	assert_false(quiesce_over(q));
	for (unsigned i = 0; i < 3; i++)
		visit(i);
	assert_false(quiesce_over(q));
	assert_true(visit(3));
	assert_true(quiesce_over(q));

	/* If no period has begun meanwhile, its translations are still right. */
	quiesce_outside();
	quiesce_inside();
	assert_int_equal(flushes[3], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all, setup),
		cmocka_unit_test_setup(test_two, setup),
		cmocka_unit_test_setup(test_outside, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
