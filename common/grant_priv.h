/* SPDX-License-Identifier: BSD-2-Clause */
/* Internals of grants, private to grant.c (the table) and grant_map.c (use by others). */
#pragma once

#include <margay/domain.h>
#include <margay/grant.h>

#define MAPTRACK_PAGES 64U
#define MAPTRACK_PER_PAGE (PAGE_SIZE / sizeof(struct maptrack))
#define NO_HANDLE (~0U)

/* The use of one entry by others. The entry is pinned while reads + writes is not 0. */
struct active {
	mfn_t mfn;
	domid_t domid;
	u16 reads, writes;
};

#define ACTIVE_PER_PAGE (PAGE_SIZE / sizeof(struct active))

enum maptrack_state { MT_FREE, MT_BUSY, MT_MAPPED };

/* A mapping that this domain made. Its index is the handle. */
struct maptrack {
	struct domain *rd;	/* the granting domain, referenced */
	gfn_t gfn;
	mfn_t mfn;
	union {
		grant_ref_t ref;
		u32 next;	/* MT_FREE */
	};
	u8 state;
	bool write;
};

struct grant_table {
	struct spinlock lock;
	bool dying;		/* no entry may be pinned: the p2m is torn down */
	unsigned nr_frames;
	struct grant_entry_v1 *frame[GRANT_MAX_FRAMES];
	struct active *active[GRANT_MAX_FRAMES * GRANT_PER_FRAME / ACTIVE_PER_PAGE]; /* if used */
	gfn_t gfn[GRANT_MAX_FRAMES];
	u32 free_handle, nr_handles;
	struct maptrack *maptrack[MAPTRACK_PAGES];
};

_Static_assert(sizeof(struct grant_entry_v1) * GRANT_PER_FRAME == PAGE_SIZE, "a frame is a page");

/*
 * Begins a use of entry ref of rd by domain `who`. Sets *mfn to the page, which stays referenced
 * until grant_unpin(). Returns a GNTST_*. Takes rd's grant lock.
 */
int grant_pin(struct domain *rd, grant_ref_t ref, domid_t who, bool write, mfn_t *mfn);
void grant_unpin(struct domain *rd, grant_ref_t ref, bool write);

/*
 * Unmaps all foreign pages that d mapped by grant: -ERESTART until done. Pages of d that other
 * domains mapped stay referenced, and no new use can begin, so the p2m is destroyed after this.
 */
int grant_teardown(struct domain *d);
