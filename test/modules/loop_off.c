/* SPDX-License-Identifier: BSD-2-Clause */
/* Never returns, with interrupts off. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		__asm__ volatile("cli; 1: jmp 1b");
	return fair_pick(c, slice);
}

HOSTILE("loop_off", "does not return from pick, with interrupts off")
