/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a wrong answer: a vCPU that waits or runs on another CPU. */
#include "hostile.h"

static struct policy_vcpu *last[POLICY_MAX_CPUS];

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v;

	for (u32 i = 0; due() && i < POLICY_MAX_CPUS; i++)
		if (i != c->id && last[i])
			return last[i];
	v = fair_pick(c, slice);
	last[c->id] = v;
	return v;
}

HOSTILE("bad_pick_cpu", "picks what waits elsewhere")
