/* SPDX-License-Identifier: BSD-2-Clause */
/* Never returns. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		for (;;)
			__asm__ volatile("");
	return fair_pick(c, slice);
}

HOSTILE("loop", "does not return from pick")
