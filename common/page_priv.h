/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table, for the files page_*.c: page_owner.c allocates and frees, page_chunk.c lists and
 * scrubs free whole chunks, page_split.c divides chunks into pages, and page_boot.c sets all up.
 * n->lock protects the entries and lists of node n's chunks.
 */
#pragma once

#include <margay/arch.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/page_owner.h>

#define REF_GIVEN (1U << 31)	/* the owner released it: free on the last page_put() */
#define REF_RETIRED (1U << 30)	/* not used again once its owner has released it */
#define REF_MASK (REF_RETIRED - 1)

#define SPLIT_ORDERS 9U		/* blocks of 1 to 256 pages */
#define MAX_BLOCK (CHUNK_PAGES / 2)
#define GROUP_CHUNKS 512U
#define HOT_PAGES 64U
#define SCRUB_PAGES 64U		/* in one step */
#define DEFERRED 128U		/* chunks that a node leaves split */
#define DEFER_USED (1UL << 63)	/* since merge_unused() looked at it */
#define DEFER_NS 1000000000UL

/* One page: a page of the chunk itself if possible, else another page of Margay's. */
struct split {
	struct list link; /* in node->splits[list - 1] */
	u32 chunk;
	u16 nr_free;
	u16 nr_refs;                 /* pages with references, and owned pages to retire */
	u16 list;    /* order of the largest free block, plus 1; 0: none, not listed */
	u16 nr_blocks[SPLIT_ORDERS]; /* free blocks of each order */
	u64 blocks[2 * CHUNK_PAGES / 64];
	u64 dirty[CHUNK_PAGES / 64]; /* free pages that are not zero */
	u16 owner[CHUNK_PAGES];
	u32 ref[CHUNK_PAGES];
};

struct chunk {
	struct split *split;	/* NULL: the chunk is whole: one owner, no references */
	u32 group : 24;		/* index into groups */
	u32 node  : 8;
	u16 owner;		/* of a whole chunk */
	u16 dirty;		/* of a free whole chunk: the first so many pages are not zero */
};

/* The free whole chunks of one node within a gigabyte. */
struct group {
	struct list clean_link; /* in node->clean while nr_clean > 0 */
	struct list
		dirty_link; /* in node->dirty while nr_dirty > 0; fully free gigabytes come last */
	u64 first;          /* the gigabyte's first chunk */
	u64 clean[GROUP_CHUNKS / 64], dirty[GROUP_CHUNKS / 64];
	u16 nr_clean, nr_dirty;
	u16 nr_free; /* both, and those being scrubbed */
	u8 node;
};

struct node {
	struct spinlock lock;
	unsigned nr_hot;
	u64 total_pages; /* at boot; not what is no RAM */
	u64 free_pages;	 /* in whole and split chunks */
	u64 dirty_pages; /* in whole chunks, less those being scrubbed */
	u64 unused[DEFERRED]; /* chunks that defer_merge() left split, with DEFER_USED; 0: none */
	bool deferred;	      /* there are some */
	stime_t looked;	      /* when merge_unused() last looked at all of them */
	unsigned scrubbing; /* chunks that a CPU scrubs now */
	unsigned split_lists; /* mask of the lists in use */
	struct list clean, dirty;
	struct list splits[SPLIT_ORDERS];
	mfn_t hot[HOT_PAGES]; /* the pages freed last, in no block yet */
};

_Static_assert(sizeof(struct chunk) == 16, "16 bytes for 2 MiB");
_Static_assert(sizeof(struct split) <= PAGE_SIZE, "a split fits in a page");

extern struct chunk *chunks;
extern struct group *groups;
extern struct node *nodes;
extern u64 nr_chunks, margay_pages, split_chunks, retired_pages;

static inline struct node *lock_chunk(u64 c)
{
	struct node *n = &nodes[chunks[c].node];

	spin_lock(&n->lock);
	return n;
}

static inline u16 owner_locked(mfn_t mfn)
{
	const struct chunk *k = &chunks[mfn / CHUNK_PAGES];

	return k->split ? k->split->owner[mfn % CHUNK_PAGES] : k->owner;
}

static inline void scrub(mfn_t mfn, unsigned n)
{
	memset(mfn_to_virt(mfn), 0, n * PAGE_SIZE);
}

static inline bool get_bit(const u64 *p, u64 i)
{
	return p[i / 64] >> i % 64 & 1;
}

static __always_inline void put_bit(u64 *p, u64 i, bool set)
{
	if (set)
		p[i / 64] |= 1UL << i % 64;
	else
		p[i / 64] &= ~(1UL << i % 64);
}

/* page_chunk.c. Called with n->lock. */

/* Lists chunks of one group as free; the caller updates free_pages. dirty: 0 or all pages. */
void chunks_put(struct node *n, u64 c, u64 count, unsigned dirty);
/* Takes listed chunks of g from c on. */
void chunks_take(struct node *n, struct group *g, u64 c, u64 count, u16 owner);
/* Takes any chunk, dirty or not, for OWNER_MARGAY. 0: none. */
u64 chunk_take_any(struct node *n);

/* Returns whether a free chunk is listed; if not, a CPU scrubs it. Called with the node's lock. */
static inline bool chunk_is_listed(u64 c)
{
	const struct group *g = &groups[chunks[c].group];

	return get_bit(g->clean, c % GROUP_CHUNKS) || get_bit(g->dirty, c % GROUP_CHUNKS);
}

/* Takes scrubbed chunks: 1, or 512, a whole gigabyte. Takes n->lock. See dom_alloc(). */
int chunks_alloc(struct node *n, u64 count, u16 owner, mfn_t *mfn);

/* page_owner.c. Merges chunks that stayed split and were not used for a second. An idle CPU calls it. */
void merge_unused(struct node *n, struct cpu *c, stime_t at);

/* page_split.c. Called with the lock of the chunk's node, n. */

/* Splits an owned whole chunk into per-page entries, which live in `page`. */
void split_chunk(u64 c, void *page);
/* Splits a chunk that chunks_take() took. Its page i holds the split; all others become free. */
void split_free(struct node *n, u64 c, unsigned i);
/* Takes count pages, at most MAX_BLOCK. INVALID_MFN: no split chunk has them. */
mfn_t split_take(struct node *n, unsigned count, u16 owner, bool *dirty);
/* Frees a page of a split chunk: soon used again, and zero, or not. */
void split_put_hot(struct node *n, struct split *s, unsigned i);
void split_put(struct node *n, struct split *s, unsigned i, bool dirty);
/* Frees all pages, which `owner` owns, but those with references. Returns their number. */
u64 split_put_all(struct node *n, struct split *s, u16 owner);
void split_retire(struct node *n, struct split *s, unsigned i);
/*
 * Merges a split chunk if all its pages are free, or if all have one owner and no references.
 * Drops n->lock.
 */
void split_merge(struct node *n, u64 c);

/* The same; most chunks have some free pages. */
static __always_inline void split_merge_unlock(struct node *n, u64 c)
{
	if (likely(chunks[c].split->nr_free - 1U < CHUNK_PAGES - 2))
		spin_unlock(&n->lock);
	else
		split_merge(n, c);
}

/* A page to retire has been released. */
static inline void split_drop_retired(struct split *s, unsigned i)
{
	s->ref[i] = 0;
	s->owner[i] = OWNER_NONE;
	s->nr_refs--;
}

/* Takes the page that was freed last. */
static __always_inline mfn_t split_take_hot(struct node *n, u16 owner)
{
	mfn_t mfn = n->hot[--n->nr_hot];
	struct split *s = chunks[mfn / CHUNK_PAGES].split;

	s->owner[mfn % CHUNK_PAGES] = owner;
	s->nr_free--;
	n->free_pages--;
	return mfn;
}
