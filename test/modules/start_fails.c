/* SPDX-License-Identifier: BSD-2-Clause */
/* Refuses to start. */
#define START .start = start
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	return fair_pick(c, slice);
}

static int start(u32 nr_cpus)
{
	(void)nr_cpus;
	return -POLICY_EINVAL;
}

HOSTILE("start_fails", "does not want to start")
