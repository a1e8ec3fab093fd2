/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: decide when a live migration stops the guest. */
#include <public/policy.h>

/*
 * Called after each round. The network sends 25 pages in a millisecond. The stop takes as long as the last round, which
 * are the pages that the guest writes while those of this round are sent.
 */
static enum migrate_how round_of(const struct migrate_round *r)
{
	static u64 before;
	u64 last = r->round == 1 ? r->pages : before;

	before = r->dirty;
	/* A few are gone while the guest stops anyway; and no shorter than before, it never will be. */
	return r->dirty <= 25 || r->dirty > last - last / 8 ? MIGRATE_STOP : MIGRATE_GO_ON;
}
