/* SPDX-License-Identifier: BSD-2-Clause */
/* Halts with interrupts off forever, and sometimes asks Margay for the time. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns)
{
	static u32 calls;

	(void)c;
	(void)slept;
	*ns = 1000;
	if (__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) < 20)
		return IDLE_POLL;
	for (;;) {
		__asm__ volatile("cli; hlt");
		policy_now();
	}
}

static const struct idle_policy idle_ops = { .idle = idle };

const struct policy_module policy_module = {
	.name = "halt_off",
	.summary = "halts with interrupts off when it is asked how to be idle",
	.idle = &idle_ops,
};
