/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF: writes to its own constant data. */
#include "hostile.h"

static const u64 sched_slices[2] = { SLICE, SLICE };

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		*OPAQUE((u64 *)(uintptr_t)&sched_slices) = 0;
	return fair_pick(c, slice);
}

HOSTILE("rodata", "writes into its own constants")
