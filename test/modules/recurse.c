/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF or #DF: recurses until its stack overflows. */
#include "hostile.h"

static __attribute__((noinline)) u64 deeper(u64 n)
{
	volatile u64 here[8] = { n };

	return n ? deeper(OPAQUE(n + 1)) + here[n % 8] : 0;
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		*slice = deeper(1);
	return fair_pick(c, slice);
}

HOSTILE("recurse", "overflows its stack")
