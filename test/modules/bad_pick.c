/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a wrong answer: a vCPU that does not exist. */
#include "hostile.h"

static struct policy_vcpu nobody;

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		return &nobody;
	return fair_pick(c, slice);
}

HOSTILE("bad_pick", "picks what is no vCPU")
