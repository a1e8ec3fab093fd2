/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #GP: loads a segment register with a selector beyond the descriptor table. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		__asm__ volatile("mov %0, %%ds" : : "r"(0xfff8));
	return fair_pick(c, slice);
}

HOSTILE("privileged", "loads a selector that is none")
