/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #DE: divides by zero. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		*slice = SLICE / OPAQUE(0UL);
	return fair_pick(c, slice);
}

HOSTILE("de", "divides by zero")
