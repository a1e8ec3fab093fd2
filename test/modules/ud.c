/* SPDX-License-Identifier: BSD-2-Clause */
/* #UD: an instruction that is none. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		__asm__ volatile("ud2");
	return fair_pick(c, slice);
}

HOSTILE("ud", "executes an undefined instruction")
