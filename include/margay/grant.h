/* SPDX-License-Identifier: BSD-2-Clause */
/* Grant tables, version 1. xen/grant_table.h has the words; common/grant.c the objects. */
#ifndef MARGAY_GRANT_H
#define MARGAY_GRANT_H

#include <margay/vcpu.h>

#define GRANT_MAX_FRAMES 64U
#define GRANT_PER_FRAME 512U

int grant_init(struct domain *d);
/*
 * Unmaps all that d has mapped of others: -ERESTART until done. What others map of d stays referenced, and
 * they can begin nothing new, so p2m_teardown() comes after this.
 */
int grant_teardown(struct domain *d);
/* At the last domain_put(): others may unmap d's grants until then. */
void grant_free(struct domain *d);

/* For XENMAPSPACE_grant_table: the machine frame of table page idx, growing the table up to it. */
int grant_frame(struct domain *d, unsigned idx, mfn_t *mfn);
/* Where table page idx is mapped in d, for the caller to keep up to date; INVALID_GFN when nowhere. */
gfn_t *grant_frame_gfn(struct domain *d, unsigned idx);
unsigned grant_nr_frames(struct domain *d);

/*
 * The operations of GRANT_TABLE_OP, for domain ld; they set op->status (GNTST_*) and the output words.
 * No locks held.
 */
void grant_map(struct domain *ld, struct gnttab_map_grant_ref *op);
void grant_unmap(struct domain *ld, struct gnttab_unmap_grant_ref *op);
void grant_copy(struct domain *ld, struct gnttab_copy *op);
int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b);

#endif
