/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: interrupt priorities: task priority by TPR and CR8, order by vector, nesting under EOI,
 * and vectors pending in IRR. `tpr_equal` tests a priority equal to the vector's class.
 */
#include "guest.h"

#define LOW	0x41
#define MID	0x62
#define HIGH	0x83

static unsigned int order[8], taken;
static bool nest;

static void on_irq(struct trap_regs *regs)
{
	if (taken < ARRAY_SIZE(order))
		order[taken++] = (unsigned int)regs->vector;
	if (nest && regs->vector == MID) {
		/* In service: a lower vector must wait, a higher one is delivered. */
		CHECK(lapic_vector_bit(LAPIC_ISR, MID), "vector not in service");
		CHECK((lapic_read(LAPIC_PPR) & 0xf0) == (MID & 0xf0), "PPR %x in vector %x",
		      lapic_read(LAPIC_PPR), MID);
		lapic_icr(0, ICR_SELF | ICR_ASSERT | LOW);
		lapic_icr(0, ICR_SELF | ICR_ASSERT | HIGH);
		irq_enable();
		delay_ns(200 * NS_PER_US);
		irq_disable();
		CHECK(taken == 2 && order[1] == HIGH, "%u interrupts while nested, second %x",
		      taken, order[1]);
	}
	lapic_eoi();
}

static void send_all(void)
{
	lapic_icr(0, ICR_SELF | ICR_ASSERT | LOW);
	lapic_icr(0, ICR_SELF | ICR_ASSERT | HIGH);
	lapic_icr(0, ICR_SELF | ICR_ASSERT | MID);
	lapic_icr(0, ICR_SELF | ICR_ASSERT | MID);	/* the same vector again: merged */
}

static void open_window(void)
{
	irq_enable();
	delay_ns(200 * NS_PER_US);
	irq_disable();
}

static void check_order(unsigned int n, const unsigned int *want)
{
	CHECK(taken == n, "%u interrupts, wanted %u", taken, n);
	for (unsigned int i = 0; i < n; i++)
		CHECK(order[i] == want[i], "interrupt %u is %x, wanted %x", i, order[i], want[i]);
	taken = 0;
}

static void check_all(void)
{
	static const unsigned int by_priority[] = { HIGH, MID, LOW };

	send_all();
	CHECK(lapic_vector_bit(LAPIC_IRR, LOW) && lapic_vector_bit(LAPIC_IRR, MID) &&
		      lapic_vector_bit(LAPIC_IRR, HIGH),
	      "vectors do not wait in IRR");
	open_window();
	check_order(3, by_priority);

	lapic_write(LAPIC_TPR, 0x70);
	send_all();
	open_window();
	check_order(1, by_priority);
	write_cr8(5);
	open_window();
	check_order(1, by_priority + 1);
	CHECK(lapic_vector_bit(LAPIC_IRR, LOW), "a blocked vector is gone");
	/* Lowering the priority with interrupts on delivers the vector at once. */
	irq_enable();
	write_cr8(3);
	delay_ns(200 * NS_PER_US);
	irq_disable();
	check_order(1, by_priority + 2);
	write_cr8(0);

	nest = true;
	lapic_icr(0, ICR_SELF | ICR_ASSERT | MID);
	open_window();
	CHECK(taken == 3 && order[2] == LOW, "%u interrupts, third %x", taken, order[2]);
	taken = 0;
	nest = false;
}

int main(void)
{
	set_trap_handler(LOW, on_irq);
	set_trap_handler(MID, on_irq);
	set_trap_handler(HIGH, on_irq);
	lapic_enable();
	lapic_in_each_mode(check_all);
	pass();
}
