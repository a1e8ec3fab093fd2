/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF: reads through a null pointer. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		return *OPAQUE((struct policy_vcpu **)NULL);
	return fair_pick(c, slice);
}

HOSTILE("null", "follows a null pointer")
