/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walker of four-level tables with 512 entries each: Margay's own, and the nested tables of
 * both vendors. A format describes the differences. Page numbers are addresses without their low 12
 * bits; level 0 maps 4 KiB, level 1 2 MiB, level 2 1 GiB. Readers take no lock; the caller
 * serialises changes. SDM 3A 4.5, 3C 29.3.2; APM2 15.25.
 */
#pragma once

#include <margay/atomic.h>
#include <margay/mm.h>
#include <x86/paging.h>

#define PT_LEVELS 4U

struct pt_format {
	u64 table; /* bits of an entry that points to a table, including PTE_P */
	u64 table_level; /* added to it once for each level of the entry: AMD-Vi has a field */
	void *(*new_table)(struct page_table *pt);	/* returns a zeroed page, or NULL */
	/*
	 * Adjusts e, the first of 512 entries that replace a leaf of the level, and returns it. May
	 * be NULL.
	 */
	u64 (*split)(struct page_table *pt, u64 e, unsigned level);
	/* Called after writes, for a device that does not see the CPU's caches. May be NULL. */
	void (*written)(const u64 *at, unsigned n);
};

static inline bool pt_present(u64 e) { return e & PTE_P; }
static inline bool pt_is_leaf(u64 e, unsigned level) { return !level || (e & PTE_PS); }
static inline u64 *pt_table(u64 e) { return phys_to_virt(e & PTE_ADDR); }
static inline unsigned pt_index(u64 page, unsigned level) { return page >> 9 * level & 511; }

/*
 * Walks to a page. Returns the last entry, a leaf or not present, with its *level and its address
 * *at.
 */
static __always_inline u64 pt_walk(const struct page_table *pt, u64 page, unsigned *level, u64 **at)
{
	u64 *t = pt->root, e = 0;

#pragma GCC unroll 4
	for (unsigned l = PT_LEVELS; l--; t = pt_table(e)) {
		*at = &t[pt_index(page, l)];
		e = READ_ONCE(**at);
		*level = l;
		if (!l || (e & (PTE_P | PTE_PS)) != PTE_P)
			break;
	}
	return e;
}

/* Like pt_walk(), for callers that exclude changes. Returns the address of the entry. */
static inline u64 *pt_find(const struct page_table *pt, u64 page, unsigned *level)
{
	u64 *at;

	pt_walk(pt, page, level, &at);
	return at;
}

/*
 * Returns the entry for a page at the level. Makes tables and splits larger leaves on the way
 * without changing translations. The entry points to a table where smaller leaves exist. Returns
 * NULL if out of memory; translations are then unchanged.
 */
u64 *pt_make(struct page_table *pt, u64 page, unsigned level);

/*
 * Replaces a leaf of the level (not 0), or an entry that is not present, with a table. 0 or
 * -ENOMEM.
 */
int pt_split(struct page_table *pt, u64 *at, unsigned level);
