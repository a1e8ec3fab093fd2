/* SPDX-License-Identifier: BSD-2-Clause */
/* Grant tables, version 1: the objects of common/grant.c. xen/grant_table.h defines the words. */
#pragma once

#include <margay/vcpu.h>

#define GRANT_MAX_FRAMES 64U
#define GRANT_PER_FRAME 512U

/*
 * Returns the machine frame of table page idx and grows the table up to it. For
 * XENMAPSPACE_grant_table.
 */
int grant_frame(struct domain *d, unsigned idx, mfn_t *mfn);
/* Returns where table page idx is mapped, for the caller to update; INVALID_GFN: nowhere. */
gfn_t *grant_frame_gfn(struct domain *d, unsigned idx);
/* Returns whether mfn is a page of d's table. Any locks. */
bool grant_has_frame(const struct domain *d, mfn_t mfn);
unsigned grant_nr_frames(struct domain *d);

/*
 * The GRANT_TABLE_OP operations, for domain ld. They set op->status (GNTST_*) and the output words.
 * Called without locks.
 */
void grant_map(struct domain *ld, struct gnttab_map_grant_ref *ops, unsigned n);
void grant_unmap(struct domain *ld, struct gnttab_unmap_grant_ref *op);
void grant_copy(struct domain *ld, struct gnttab_copy *op);
int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b);
