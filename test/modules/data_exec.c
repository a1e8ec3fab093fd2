/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF: jumps into its own data. */
#include "hostile.h"

static u8 data[16] = { 0xc3 };

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	if (due())
		OPAQUE((void (*)(void))(uintptr_t)data)();
	return fair_pick(c, slice);
}

HOSTILE("data_exec", "executes its own data")
