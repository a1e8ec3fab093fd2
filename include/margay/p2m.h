/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's physical-to-machine map. The nested page tables (AMD NPT, Intel EPT) are its only
 * copy. The functions take LOCK_P2M. APM2 15.25.
 */
#pragma once

#include <margay/atomic.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/mm.h>

/* The type of a mapping, kept in software bits of the leaf entry. */
enum p2m_type {
	P2M_NONE,	/* not mapped */
	P2M_RAM,	/* the domain's own page; released when it is unmapped */
	P2M_SHARED, /* Margay's page shared with the guest (shared_info, grant table): not freed */
	P2M_SHARED_RO,	/* the same, read-only for the guest (a trace ring) */
	P2M_GRANT_RW,	/* another domain's page, by grant */
	P2M_GRANT_RO,
	P2M_FOREIGN,	/* another domain's page, by privilege */
	P2M_MMIO,	/* a device's page, owned by no domain */
	NR_P2M_TYPES
};

static inline bool p2m_read_only(enum p2m_type t)
{
	return t == P2M_GRANT_RO || t == P2M_SHARED_RO;
}

/*
 * Pages that come and go. Copies from and to guest memory keep no translation of such a page, so the
 * end of its mapping leaves the translations that they keep.
 */
#define P2M_TRANSIENT (1U << P2M_GRANT_RW | 1U << P2M_GRANT_RO | 1U << P2M_FOREIGN)

static inline bool p2m_transient(enum p2m_type t)
{
	return t >= P2M_GRANT_RW && t <= P2M_FOREIGN;
}

struct p2m_entry {
	mfn_t mfn;		/* the exact page, also within a large mapping */
	enum p2m_type type;
	u8 order; /* 0, 9 or 18 (27: none): size of the mapping, or hole, that contains it */
};

/*
 * A listener hears of changes: an IOMMU that uses the same map, a log of dirty pages. `prepare`,
 * which may be NULL, is called before an entry changes and may refuse that: 0 or -ENOMEM. `changed`
 * is called for each leaf, under the map's lock, after the entry is written; mfn is that of the new
 * leaf, if it is one. `flush` is called before an unmapped page may be reused. Listeners may be
 * added at any time and stay as long as their domain's map.
 */
struct p2m_listener {
	struct list link;
	int (*prepare)(struct p2m_listener *l, struct domain *d, gfn_t gfn, unsigned order);
	void (*changed)(struct p2m_listener *l, struct domain *d, gfn_t gfn, unsigned order,
			mfn_t mfn, enum p2m_type before, enum p2m_type after);
	void (*flush)(struct p2m_listener *l, struct domain *d);
};

#define GFN_LIMIT (1UL << 36)		/* 4 levels of tables */
#define LOG_PAGES (8 * PAGE_SIZE)	/* a page of bits */

/*
 * The log of a domain's dirty pages. Only domctl_shadow.c uses the state of an operation, which may
 * need several calls.
 */
struct dirty_log {
	bool on;
	bool all; /* somebody wrote where the tables do not show it: all pages count as dirty */
	bool busy, take_all;	/* an operation is not finished; it counts all pages */
	u32 op, caller;
	u64 bitmap;
	gfn_t next;
	u64 dirty, faults;	/* pages found; write faults */
	u32 round;		/* how many were read of a running guest */
	stime_t since;		/* the last one, or the log's begin */
	union {
		u64 *bits;	/* of LOG_PAGES pages; NULL: not logged */
		u64 **tables;	/* at the log's end: to be freed after a grace period */
	};
	unsigned nr_tables;
	u64 period;
};

struct p2m {
	struct spinlock lock;
	struct page_table pt;
	u64 *recent;		/* the table of 4K leaves that was changed last */
	gfn_t recent_gfn;	/* its first page */
	u64 recent_pages;	/* 512; 0: there is none, as long as there are listeners */
	struct list listeners;
	struct dirty_log log;
	u64 generation;		/* incremented by each flush for more than transient pages */
	u64 entries[3];		/* leaf mappings by level: 4K, 2M, 1G */
	u64 table_pages;	/* page-table pages, charged to the domain */
};

/*
 * Maps 2^order pages. Unmaps what was mapped there, as p2m_unmap() does: releases RAM to the owner
 * table. 0, -EINVAL (range, alignment, another domain's page is mapped there), -ENOMEM.
 */
int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type);

/*
 * Maps 2^order pages (0 or 9) at their own addresses, where nothing is mapped: P2M_MMIO, uncached or,
 * where the MTRRs say so, write-back (tables of the firmware). 0, -ENOMEM, -EBUSY (parts are mapped,
 * or have other memory types), -EINVAL (all is mapped).
 */
int p2m_map_device(struct domain *d, gfn_t gfn, unsigned order);

/* Maps a page, over nothing but the types of the mask `over` (a bit each). Also -EINVAL. */
int p2m_map_over(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, u32 over);

/*
 * Maps a page of rd's as P2M_FOREIGN. As p2m_map_over(). The mapping takes over the caller's
 * references to rd and, if it is rd's own, to the page.
 */
int p2m_map_foreign(struct domain *d, gfn_t gfn, mfn_t mfn, const struct domain *rd, u32 over);

/*
 * Unmaps one page, flushes, and releases RAM (dom_free). -ENOENT when nothing is mapped, -EINVAL if
 * its type is not in the mask `types`.
 */
int p2m_unmap(struct domain *d, gfn_t gfn, u32 types);

/*
 * The same for up to P2M_BATCH pages, or for a chunk that one entry maps (n is CHUNK_PAGES), with
 * one flush. Stops at a page that is not mapped, or whose type is not in the mask `types`. Returns
 * the number of pages unmapped. For a chunk
 * the caller holds no lock: its scrub takes interrupts.
 */
#define P2M_BATCH 32U
unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n, u32 types);

/* As p2m_unmap(), but the caller takes over the page. Returns the entry in *old. */
int p2m_detach(struct domain *d, gfn_t gfn, u32 types, struct p2m_entry *old);

/* Makes a page of a large RAM mapping executable; for x86.itlb_multihit. 0 or -ENOMEM. */
int p2m_split_code(struct domain *d, gfn_t gfn);

/* Type P2M_NONE: not mapped. Takes no lock; to keep the page, take a reference. */
struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn);

/*
 * Memory on demand. common/on_demand.c. on_demand_add() announces 2^order pages: 0, -EINVAL, -ENOSPC
 * (too many ranges). on_demand() returns whether gfn is announced. on_demand_allocate() allocates an
 * announced page that is not mapped yet: 0, -ENOENT (not announced), -E2BIG (the domain's limit),
 * -ENOMEM. Takes LOCK_ON_DEMAND.
 */
int on_demand_add(struct domain *d, gfn_t gfn, unsigned order);
bool on_demand(const struct domain *d, gfn_t gfn);
int on_demand_allocate(struct domain *d, gfn_t gfn);

/*
 * Finds the domain's own page at gfn and takes a reference, which keeps it until page_put(). 0 or
 * -EINVAL.
 */
int p2m_get_page(struct domain *d, gfn_t gfn, mfn_t *mfn);

/* The order of the largest mapping that the machine can have. */
unsigned p2m_max_order(void);

/* Waits until no CPU uses an old translation of d. Arch code. */
void p2m_flush(struct domain *d);

/* The log of dirty pages. arch/x86/guest/dirty_log.c */

/*
 * Marks the page dirty: Margay writes to it, or has written. Returns whether d may write to it. Takes
 * no lock.
 */
bool p2m_mark_dirty(struct domain *d, gfn_t gfn);

/* LOG_CLEAN: the pages are clean from now on. LOG_FINAL: pages that others can write to are dirty. */
enum { LOG_CLEAN = 1, LOG_FINAL = 2 };

/*
 * Adds the dirty pages from gfn on to the log's bits, in one step: at most up to `end`. Returns where
 * to go on. The caller flushes after LOG_CLEAN.
 */
gfn_t dirty_log_scan(struct domain *d, gfn_t gfn, gfn_t end, unsigned how);
/* Merges the mappings at gfn, if possible, and adds free tables to the log's. Returns where to go on. */
gfn_t dirty_log_merge(struct domain *d, gfn_t gfn);
/* Frees some of the tables. Returns whether it has freed all, and at the log's end the log, too. */
bool dirty_log_free(struct domain *d, bool end);
