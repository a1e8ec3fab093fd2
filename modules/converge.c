/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A live migration copies a guest's memory in rounds, each the pages that the guest has written in the round
 * before. Xen stops the guest when fewer than 50 are left, or after five rounds. This policy stops it as soon as a round
 * is not much shorter than the one before: then another one only costs time and network. It goes on, up to the
 * tools' limit, as long as the rounds get shorter.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define FEW 16UL	/* as many pages are copied in about the time that the stop takes anyway */

static u64 last_dirty, rounds, stops;

/* One guest at a time. */
static enum migrate_how round(const struct migrate_round *r)
{
	u64 before = r->round > 1 ? last_dirty : r->pages;
	enum migrate_how how = r->dirty < FEW || r->dirty > before - before / 4 ? MIGRATE_STOP :
										  MIGRATE_GO_ON;

	last_dirty = r->dirty;
	rounds++;
	stops += how == MIGRATE_STOP;
	return how;
}

static const char *counter(u32 i, u64 *value)
{
	if (i > 1)
		return NULL;
	*value = i ? stops : rounds;
	return i ? "stops" : "rounds";
}

static const struct migrate_policy migrate = { .round = round };

const struct policy_module policy_module = {
	.name = "converge",
	.summary = "stops a guest when its rounds no longer get shorter",
	.migrate = &migrate,
	.counter = counter,
};
