/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #UD: executes an undefined instruction. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		__asm__ volatile("ud2");
	return fair_pick(c, slice);
}

HOSTILE("ud", "executes an undefined instruction")
