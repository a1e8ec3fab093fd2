/* SPDX-License-Identifier: BSD-2-Clause */
/* Raises #PF in its exit observer, after it has seen some exits. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static void at_exit(struct policy_cpu *c, const struct policy_vcpu *v, u32 reason)
{
	static u32 exits;

	(void)c;
	(void)v;
	if (__atomic_add_fetch(&exits, 1, __ATOMIC_RELAXED) > 20)
		*(volatile u32 *)(uintptr_t)(0x1000 + 4UL * reason) = 1;
}

static const struct exit_policy exits_ops = { .exit = at_exit };

const struct policy_module policy_module = {
	.name = "exit_fault",
	.summary = "writes to nowhere when a guest exits",
	.exit = &exits_ops,
};
