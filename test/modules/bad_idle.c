/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a wrong answer: an idle method that does not exist. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns)
{
	static u32 calls;

	(void)c;
	(void)slept;
	*ns = 1000;
	return __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) < 20 ? IDLE_POLL : (enum idle_how)7;
}

static const struct idle_policy idle_ops = { .idle = idle };

const struct policy_module policy_module = {
	.name = "bad_idle",
	.summary = "is idle in a way that there is not",
	.idle = &idle_ops,
};
