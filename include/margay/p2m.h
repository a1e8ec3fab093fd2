/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's physical-to-machine map: the nested page tables themselves (AMD NPT, Intel EPT), there is
 * no second copy. Takes LOCK_P2M inside. APM2 15.25.
 */
#ifndef MARGAY_P2M_H
#define MARGAY_P2M_H

#include <margay/lock.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/mm.h>

/* What a mapping is; kept in software bits of the leaf entry. */
enum p2m_type {
	P2M_NONE,	/* nothing there */
	P2M_RAM,	/* a page of the domain's own; freed when it is unmapped */
	P2M_SHARED, /* Margay's page shared with the guest (shared_info, grant table): not freed */
	P2M_SHARED_RO,	/* ... that the guest may only read (a trace ring) */
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

struct p2m_entry {
	mfn_t mfn;		/* of the very page asked for, also inside a large mapping */
	enum p2m_type type;
	u8 order;		/* 0, 9 or 18: size of the mapping it lies in */
};

/*
 * Who is told of changes: an IOMMU that translates by the same map, a log of dirty pages. `changed` is called for each
 * leaf, under the map's lock, after the entry is written; `flush` before a page that was unmapped may be used by others.
 * Listeners are added before the domain runs, and stay until its map is gone.
 */
struct p2m_listener {
	struct list link;
	void (*changed)(struct p2m_listener *l, struct domain *d, gfn_t gfn, unsigned order,
			enum p2m_type before, enum p2m_type after);
	void (*flush)(struct p2m_listener *l, struct domain *d);
};

struct p2m {
	struct spinlock lock;
	struct page_table pt;
	struct list listeners;
	u64 generation;		/* counts flushes */
	u64 entries[3];		/* leaf mappings by level: 4K, 2M, 1G */
	u64 table_pages;	/* page-table pages, charged to the domain */
};

int p2m_init(struct domain *d);

/*
 * Maps 2^order pages. Whatever was mapped there before is gone, as by p2m_unmap: RAM is given back to the
 * owner table, references are put. 0, -EINVAL (range, alignment), -ENOMEM.
 */
int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type);

/* Unmaps one page, flushes, and gives back RAM (dom_free). -ENOENT when nothing is mapped. */
int p2m_unmap(struct domain *d, gfn_t gfn);

/*
 * The same for up to P2M_BATCH pages, or for a chunk that one entry maps (n is CHUNK_PAGES), with one flush. Returns how
 * many pages went; it stops at a page that is not mapped. No lock may be held for a chunk: its scrub takes interrupts.
 */
#define P2M_BATCH 32U
unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n);

/* Unmaps without giving the page back: for callers that own the page's fate. The entry is returned. */
int p2m_take(struct domain *d, gfn_t gfn, struct p2m_entry *old);

/* For a CPU with x86.itlb_multihit: makes the page of a large RAM mapping executable. 0 or -ENOMEM. */
int p2m_split_code(struct domain *d, gfn_t gfn);

/* Type P2M_NONE when nothing is mapped. No lock; a caller that keeps the page takes a reference. */
struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn);

/*
 * Finds the page behind gfn and takes a reference on it, so that it stays until page_put(). write asks
 * for a page the guest may write. 0, -EINVAL (no such page or not allowed).
 */
int p2m_get_page(struct domain *d, gfn_t gfn, bool write, mfn_t *mfn);

/* Frees up to some bound of mappings at the domain's death; -ERESTART until all is gone. */
int p2m_teardown(struct domain *d);

/* No CPU uses an old translation of d any more when this returns. Arch code. */
void p2m_flush(struct domain *d);

#endif
