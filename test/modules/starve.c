/* SPDX-License-Identifier: BSD-2-Clause */
/* Stops picking vCPUs while some wait. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		return *slice = SLICE, NULL;
	return fair_pick(c, slice);
}

HOSTILE("starve", "picks nobody")
