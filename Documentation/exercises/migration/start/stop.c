/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: decide when a live migration stops the guest. */
#include <public/policy.h>

/*
 * Called after each round. The network sends 25 pages in a millisecond. The stop takes as long as the last round, which
 * are the pages that the guest writes while those of this round are sent.
 */
static enum migrate_how round_of(const struct migrate_round *r)
{
	(void)r;
	return MIGRATE_AS_XEN;
}
