/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of devices' interrupts.
 * unit-sources: arch/x86/cpu/irq.c test/unit/mock_heap.c test/unit/mock_cpus.c
 */
#include "mock_cpus.h"

#include "host.h"

#include <margay/arch.h>

#include <margay/domain.h>
#include <margay/errno.h>
#include <x86/irq.h>

void cpu_relax(void) {}

static struct irq irqs[200], *handled;
static unsigned calls;

static void fn(struct irq *i)
{
	handled = i;
	calls++;
}

static void test_vectors(void **state)
{
	u8 vector;

	(void)state;
	mock_cpus_init(2);
	assert_false(irq_handle(VEC_DEVICE_FIRST));
	for (unsigned i = 0; i < 192; i++) {
		irqs[i].fn = fn;
		assert_int_equal(irq_bind(&irqs[i], &cpu[0]), 0);
		assert_in_range(irqs[i].vector, VEC_DEVICE_FIRST, VEC_DEVICE_LAST);
	}
	irqs[192].fn = fn;
	assert_int_equal(irq_bind(&irqs[192], &cpu[0]), -ENOSPC);
	assert_int_equal(irq_bind(&irqs[192], &cpu[1]), 0);
	for (unsigned i = 0; i < 192; i++) {
		assert_true(irq_handle(irqs[i].vector));
		assert_ptr_equal(handled, &irqs[i]);
	}
	host_cpu = &cpu[1];
	assert_true(irq_handle(irqs[192].vector));
	assert_ptr_equal(handled, &irqs[192]);
	assert_false(irq_handle((u8)(irqs[192].vector + 1)));
	assert_false(irq_handle(VEC_DEVICE_FIRST - 1));
	assert_false(irq_handle(VEC_DEVICE_LAST + 1));
	host_cpu = &cpu[0];
	/* One that comes after its end is ignored; its vector is given out again. */
	calls = 0;
	vector = irqs[7].vector;
	irq_unbind(&irqs[7]);
	assert_null(irqs[7].cpu);
	irq_unbind(&irqs[7]);
	assert_true(irq_handle(vector));
	assert_int_equal(calls, 0);
	assert_int_equal(irq_bind(&irqs[7], &cpu[0]), 0);
	assert_int_equal(irqs[7].vector, vector);
}

/* A guest that wants all vectors of a CPU does not get those that others need. */
static void test_greedy(void **state)
{
	static struct domain greedy, modest;

	(void)state;
	mock_cpus_init(2);
	for (unsigned i = 0; i < 200; i++) {
		irq_unbind(&irqs[i]);
		irqs[i] = (struct irq){ .fn = fn, .user = &greedy };
	}
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(irq_bind(&irqs[i], &cpu[0]), 0);
	for (unsigned i = 64; i < 70; i++)
		assert_int_equal(irq_bind(&irqs[i], &cpu[0]), -ENOSPC);
	assert_int_equal(irq_bind(&irqs[64], &cpu[1]), 0);
	irqs[65].user = &modest;
	assert_int_equal(irq_bind(&irqs[65], &cpu[0]), 0);
	for (unsigned i = 66; i < 66 + 127; i++) {
		irqs[i].user = NULL;
		assert_int_equal(irq_bind(&irqs[i], &cpu[0]), 0);
	}
	irqs[193].user = NULL;
	assert_int_equal(irq_bind(&irqs[193], &cpu[0]), -ENOSPC);
	irq_unbind(&irqs[0]);
	assert_int_equal(irq_bind(&irqs[0], &cpu[0]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors),
					    cmocka_unit_test(test_greedy) };

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
