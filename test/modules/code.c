/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF: writes to its own code. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		*OPAQUE((u8 *)(uintptr_t)fair_pick) = 0xcc;
	return fair_pick(c, slice);
}

HOSTILE("code", "writes into its own code")
