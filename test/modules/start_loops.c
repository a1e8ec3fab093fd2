/* SPDX-License-Identifier: BSD-2-Clause */
/* Never returns from its start function. */
#define START .start = start
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	return fair_pick(c, slice);
}

static int start(u32 nr_cpus)
{
	while (nr_cpus)
		__asm__ volatile("");
	return 0;
}

HOSTILE("start_loops", "starts for ever")
