/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the rounds of live migrations, which end as Xen's tools want. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static u64 rounds;

static enum migrate_how round(const struct migrate_round *r)
{
	rounds += r->dirty <= r->pages;
	return MIGRATE_AS_XEN;
}

static const char *counter(u32 i, u64 *value)
{
	*value = rounds;
	return i ? NULL : "rounds";
}

static const struct migrate_policy migrate = { .round = round };

const struct policy_module policy_module = {
	.name = "rounds",
	.summary = "counts rounds of migrations",
	.migrate = &migrate,
	.counter = counter,
};
