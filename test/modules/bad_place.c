/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a wrong answer: places a waking vCPU on a CPU that does not exist. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	return fair_pick(c, slice);
}

static u32 place(const struct policy_vcpu *v, const u64 *idle)
{
	(void)idle;
	return due() ? POLICY_MAX_CPUS : v->cpu;
}

HOSTILE("bad_place", "places on a CPU that is not there", .place = place)
