/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a task priority equal to the class of a pending vector holds it back. Not for Xen on
 * QEMU 7.2, whose virtual-interrupt test takes equal as higher: Xen then waits for a window that is
 * always open, and the machine spins.
 */
#include "guest.h"

#define VECTOR	0x41

static unsigned int taken;

static void on_irq(struct trap_regs *regs)
{
	(void)regs;
	taken++;
	lapic_eoi();
}

static void check_all(void)
{
	for (unsigned int by_cr8 = 0; by_cr8 < 2; by_cr8++) {
		taken = 0;
		write_cr8(9);
		lapic_icr(0, ICR_SELF | ICR_ASSERT | VECTOR);
		for (unsigned int priority = 8; priority >= VECTOR >> 4; priority--) {
			if (by_cr8)
				write_cr8(priority);
			else
				lapic_write(LAPIC_TPR, priority << 4);
			delay_ns(100 * NS_PER_US);
			CHECK(!READ_ONCE(taken), "vector %x taken at priority %u", VECTOR,
			      priority);
		}
		CHECK(lapic_vector_bit(LAPIC_IRR, VECTOR), "the vector is gone");
		write_cr8((VECTOR >> 4) - 1);
		CHECK(WAIT_FOR(READ_ONCE(taken) == 1, NS_PER_S), "%u interrupts", taken);
		write_cr8(0);
	}
}

int main(void)
{
	set_trap_handler(VECTOR, on_irq);
	lapic_enable();
	irq_enable();
	lapic_in_each_mode(check_all);
	pass();
}
