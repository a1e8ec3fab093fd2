/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #GP: accesses a non-canonical address. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		return *OPAQUE((struct policy_vcpu **)0x8000000000000000UL);
	return fair_pick(c, slice);
}

HOSTILE("gp", "follows a non-canonical pointer")
