/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table records the owner of each 2 MiB chunk of RAM, or of each page of a split chunk.
 * It is also the page allocator. Free pages of a split chunk form blocks of 2^order pages, and each
 * node lists its split chunks by their largest block. Each node lists its free whole chunks by
 * their gigabyte. So the cost of an allocation does not depend on how memory is divided.
 *
 * The contents of a free page are zero, except in dirty chunks: those not used since power-on,
 * which are scrubbed when they are allocated or split. Each node's lock protects the entries and
 * lists of its chunks.
 */
#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/domain.h>
#include <margay/list.h>
#include <margay/page_owner.h>
#include <margay/printk.h>

#define REF_GIVEN (1U << 31)	/* the owner released it: free on the last page_put() */
#define REF_RETIRED (1U << 30)	/* not used again once its owner has released it */
#define REF_MASK (REF_RETIRED - 1)

/* Blocks form a binary heap: a block's buddy is BLOCK ^ 1, the two merged are BLOCK / 2. */
#define SPLIT_ORDERS 9U		/* blocks of 1 to 256 pages */
#define MAX_BLOCK (CHUNK_PAGES / 2)
#define BLOCK(order, i) ((CHUNK_PAGES + (i)) >> (order))
#define GROUP_CHUNKS 512U
#define SCRUB_PAGES 64U		/* between two interrupt windows */

/* One page: a page of the chunk itself if possible, else another page of Margay's. */
struct split {
	struct list link; /* in node->splits[order of the largest free block] while nr_free > 0 */
	u32 chunk;
	u16 nr_free;
	u16 nr_refs;                 /* pages with references, and owned pages to retire */
	u16 hot;                     /* the page freed last, in no block yet; 0: none */
	u16 order;                   /* of the largest free block */
	u16 nr_blocks[SPLIT_ORDERS]; /* free blocks of each order */
	u64 blocks[2 * CHUNK_PAGES /
		   64];              /* free: that of 2^order pages at i is bit BLOCK(order, i) */
	u64 dirty[CHUNK_PAGES / 64]; /* free pages not used since power-on */
	u16 owner[CHUNK_PAGES];
	u32 ref[CHUNK_PAGES];
};

struct chunk {
	struct split *split;	/* NULL: the chunk is whole: one owner, no references */
	u32 group;		/* index into groups */
	u16 owner;		/* of a whole chunk */
	bool dirty;		/* a free whole chunk not used since power-on */
};

/* The chunks of one node within a gigabyte. */
struct group {
	struct list link; /* in node->groups while nr_free > 0; fully free gigabytes come last */
	u64 first;        /* the gigabyte's first chunk */
	u64 free[GROUP_CHUNKS / 64]; /* free whole chunks */
	u16 nr_free;
	u8 node;
};

struct node {
	struct spinlock lock;
	u64 free_pages;		/* in whole and split chunks */
	u64 unused;		/* a chunk that defer_merge() left split; 0: none */
	struct list groups;
	struct list splits[SPLIT_ORDERS];
};

_Static_assert(sizeof(struct chunk) == 16, "16 bytes for 2 MiB");
_Static_assert(sizeof(struct split) <= PAGE_SIZE, "a split fits in a page");

static struct chunk *chunks;
static struct group *groups;
static u64 nr_chunks, total_pages;
static struct node nodes[MAX_NODES];
unsigned nr_nodes = 1;
static u64 margay_pages, split_chunks, retired_pages;

static struct node *lock_chunk(u64 c)
{
	struct node *n = &nodes[groups[chunks[c].group].node];

	spin_lock(&n->lock);
	return n;
}

static u16 owner_locked(mfn_t mfn)
{
	const struct chunk *k = &chunks[mfn / CHUNK_PAGES];

	return k->split ? k->split->owner[mfn % CHUNK_PAGES] : k->owner;
}

/* Scrubs n pages. Opens a window for interrupts after each SCRUB_PAGES pages. */
static void scrub(u64 page, u64 n)
{
	for (u64 part; n; page += part, n -= part) {
		part = min(n, (u64)SCRUB_PAGES);
		memset(mfn_to_virt(page), 0, part * PAGE_SIZE);
		if (n > part)
			arch_poll_irqs();
	}
}

static inline bool get_bit(const u64 *p, u64 i)
{
	return p[i / 64] >> i % 64 & 1;
}

/* Called with the node's lock. */
static __always_inline void put_bit(u64 *p, u64 i, bool set)
{
	if (set)
		p[i / 64] |= 1UL << i % 64;
	else
		p[i / 64] &= ~(1UL << i % 64);
}

/* Marks a whole chunk free; the caller updates free_pages. */
static void chunk_to_free(struct node *n, u64 c)
{
	struct group *g = &groups[chunks[c].group];

	chunks[c].owner = OWNER_FREE;
	put_bit(g->free, c % GROUP_CHUNKS, true);
	g->nr_free++;
	list_del(&g->link);
	if (g->nr_free == GROUP_CHUNKS)
		list_add_tail(&g->link, &n->groups);
	else
		list_add(&g->link, &n->groups);
}

/* Relists a split chunk whose largest free block now has this order. */
static void list_split(struct node *n, struct split *s, unsigned order)
{
	s->order = (u16)order;
	list_del(&s->link);
	list_init(&s->link);
	if (s->nr_free)
		list_add(&s->link, &n->splits[order]);
}

static __always_inline void put_block(struct split *s, unsigned order, unsigned block, bool is_free)
{
	put_bit(s->blocks, block, is_free);
	s->nr_blocks[order] += is_free ? 1 : -1;
}

/* Adds a page to the free blocks, merged with its buddies. Returns the order of its block. */
static unsigned free_block(struct split *s, unsigned page)
{
	unsigned order = 0, block = BLOCK(0, page);

	for (; block >= 4 && get_bit(s->blocks, block ^ 1); block /= 2)
		put_block(s, order++, block ^ 1, false);
	put_block(s, order, block, true);
	return order;
}

/* Marks a page of a split chunk free. Its contents must be zero. */
static void page_to_free(struct node *n, struct split *s, unsigned i)
{
	unsigned order = 0;

	s->owner[i] = OWNER_FREE;
	n->free_pages++;
	if (s->hot || !i)
		order = free_block(s, i ? s->hot : 0);
	if (i)
		s->hot = (u16)i;
	if (s->nr_free++ == 0 || order > s->order)
		list_split(n, s, order);
}

/* Returns the index of the page that holds s in its chunk; CHUNK_PAGES if it lies elsewhere. */
static unsigned own_page(const struct split *s)
{
	u64 i = virt_to_mfn(s) - (u64)s->chunk * CHUNK_PAGES;

	return (unsigned)min(i, (u64)CHUNK_PAGES);
}

/* Splits an owned whole chunk into per-page entries, which live in `page`. */
static struct split *split_chunk(u64 c, void *page)
{
	struct split *s = page;

	s->chunk = (u32)c;
	s->nr_free = s->nr_refs = s->hot = 0;
	list_init(&s->link);
	memset(s->dirty, 0, sizeof(s->dirty));
	memset(s->blocks, 0, sizeof(s->blocks));
	memset(s->nr_blocks, 0, sizeof(s->nr_blocks));
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		s->owner[i] = chunks[c].owner;
		s->ref[i] = 0;
	}
	if (own_page(s) < CHUNK_PAGES) {
		s->owner[own_page(s)] = OWNER_MARGAY;
		atomic_add(&margay_pages, 1);
	}
	chunks[c].split = s;
	atomic_add(&split_chunks, 1);
	return s;
}

/*
 * Merges a split chunk if all its pages are free, or if all have one owner and no references.
 * Returns the page outside the chunk that held the split, if any; the caller frees it after
 * dropping the lock.
 */
static struct split *try_merge(struct node *n, u64 c)
{
	struct split *s = chunks[c].split;
	unsigned self = own_page(s), alike = 0;

	if (s->nr_refs)
		return NULL;
	if (s->nr_free) {
		if (s->nr_free < (self < CHUNK_PAGES ? CHUNK_PAGES - 1 : CHUNK_PAGES))
			return NULL;
		chunk_to_free(n, c);
		chunks[c].dirty = find_next_bit(s->dirty, CHUNK_PAGES, 0) < CHUNK_PAGES;
	} else {
		if (self < CHUNK_PAGES)
			return NULL;
		while (alike < CHUNK_PAGES && s->owner[alike] == s->owner[0])
			alike++;
		if (alike < CHUNK_PAGES)
			return NULL;
		chunks[c].owner = s->owner[0];
	}
	list_del(&s->link);
	chunks[c].split = NULL;
	atomic_sub(&split_chunks, 1);
	if (self == CHUNK_PAGES)
		return s;
	scrub(c * CHUNK_PAGES + self, 1);
	n->free_pages++;
	atomic_sub(&margay_pages, 1);
	return NULL;
}

static void merge_unlock(struct node *n, u64 c)
{
	struct split *s = try_merge(n, c);

	spin_unlock(&n->lock);
	if (s)
		free_page(s);
}

/*
 * Called when the last reference to a page of chunk c is gone. Leaves c split, since references
 * come in bursts (copies from grant to grant), and merges the chunk that the last call left split.
 * Called with n->lock; drops it.
 */
static void defer_merge(struct node *n, u64 c)
{
	u64 before = n->unused;

	n->unused = c;
	if (before && before != c && chunks[before].split)
		merge_unlock(n, before);
	else
		spin_unlock(&n->lock);
}

/* Takes count free chunks of g from base on. Called with n->lock. */
static void take_of_group(struct node *n, struct group *g, u64 base, u64 count, u16 owner)
{
	for (u64 c = base; c < base + count; c++) {
		put_bit(g->free, c % GROUP_CHUNKS, false);
		chunks[c].owner = owner;
	}
	g->nr_free = (u16)(g->nr_free - count);
	list_del(&g->link);
	list_init(&g->link);
	if (g->nr_free)
		list_add(&g->link, &n->groups);
	n->free_pages -= count * CHUNK_PAGES;
}

/*
 * Takes count free chunks: 1, from a partly used gigabyte if there is one, or 512, a whole
 * gigabyte. Not scrubbed.
 */
static mfn_t take_chunks(struct node *n, u64 count, u16 owner)
{
	struct group *g;
	u64 base;

	spin_lock(&n->lock);
	g = list_entry(count > 1 ? n->groups.prev : n->groups.next, struct group, link);
	if (list_empty(&n->groups) || g->nr_free < count) {
		spin_unlock(&n->lock);
		return INVALID_MFN;
	}
	base = g->first + find_next_bit(g->free, GROUP_CHUNKS, 0);
	take_of_group(n, g, base, count, owner);
	spin_unlock(&n->lock);
	return base * CHUNK_PAGES;
}

static mfn_t node_alloc_chunks(struct node *n, u64 count, u16 owner)
{
	mfn_t mfn = take_chunks(n, count, owner);
	u64 base = mfn / CHUNK_PAGES;

	for (u64 c = base; mfn != INVALID_MFN && c < base + count; c++) {
		if (chunks[c].dirty)
			scrub(c * CHUNK_PAGES, CHUNK_PAGES);
		chunks[c].dirty = false;
	}
	return mfn;
}

/* Takes count pages from the smallest sufficient block. Returns the first. */
static unsigned take_block(struct split *s, unsigned order, unsigned count)
{
	unsigned o = order, first, block;

	while (!s->nr_blocks[o])
		o++;
	block = find_next_bit(s->blocks, 2 * CHUNK_PAGES, BLOCK(o, 0));
	put_block(s, o, block, false);
	first = (block << o) - CHUNK_PAGES;
	while (o-- > order)
		put_block(s, o, BLOCK(o, first) ^ 1, true);
	for (unsigned i = count; i < 1U << order; i++)
		free_block(s, first + i);
	return first;
}

/* Counts pages that left s's free blocks, and relists s. */
static void pages_taken(struct node *n, struct split *s, unsigned count)
{
	unsigned o = s->order;

	n->free_pages -= count;
	s->nr_free = (u16)(s->nr_free - count);
	while (o && !s->nr_blocks[o])
		o--;
	if (!s->nr_free || o != s->order)
		list_split(n, s, o);
}

/*
 * Takes count pages, at most MAX_BLOCK, from the split chunk with the smallest sufficient block.
 * Called with the node's lock.
 */
static mfn_t take_pages(struct node *n, unsigned count, u16 owner, bool *dirty)
{
	unsigned order = 0, o, first;
	struct split *s;

	while (1U << order < count)
		order++;
	for (o = order; o < SPLIT_ORDERS && list_empty(&n->splits[o]); o++)
		;
	if (o == SPLIT_ORDERS)
		return INVALID_MFN;
	s = list_first(&n->splits[o], struct split, link);
	first = s->hot;
	if (count == 1 && first)
		s->hot = 0;
	else
		first = take_block(s, order, count);
	for (unsigned i = first; i < first + count; i++) {
		s->owner[i] = owner;
		if (unlikely(get_bit(s->dirty, i))) {
			put_bit(s->dirty, i, false);
			*dirty = true;
		}
	}
	pages_taken(n, s, count);
	return (mfn_t)s->chunk * CHUNK_PAGES + first;
}

/* Splits a free chunk, whose page i holds the split. Called with n->lock. */
static void split_free(struct node *n, u64 c, unsigned i)
{
	struct split *s;

	chunks[c].owner = OWNER_FREE;
	s = split_chunk(c, mfn_to_virt(c * CHUNK_PAGES + i));
	memset(s->dirty, chunks[c].dirty ? 0xff : 0, sizeof(s->dirty));
	put_bit(s->dirty, i, false);
	chunks[c].dirty = false;
	for (unsigned o = 0; o < SPLIT_ORDERS; o++)
		put_block(s, o, BLOCK(o, i) ^ 1, true);
	s->nr_free = CHUNK_PAGES - 1;
	n->free_pages += CHUNK_PAGES - 1;
	list_split(n, s, SPLIT_ORDERS - 1);
}

/* Allocates count contiguous pages, at most MAX_BLOCK. Splits a whole chunk if needed. */
static mfn_t node_alloc_pages(struct node *n, unsigned count, u16 owner)
{
	bool dirty = false;
	mfn_t mfn, chunk;

	spin_lock(&n->lock);
	mfn = take_pages(n, count, owner, &dirty);
	spin_unlock(&n->lock);
	if (mfn == INVALID_MFN) {
		chunk = take_chunks(n, 1, OWNER_MARGAY);
		if (chunk == INVALID_MFN)
			return INVALID_MFN;
		spin_lock(&n->lock);
		split_free(n, chunk / CHUNK_PAGES, 0);
		mfn = take_pages(n, count, owner, &dirty);
		spin_unlock(&n->lock);
	}
	if (dirty)
		scrub(mfn, count);
	return mfn;
}

/* Allocates zeroed pages from `node`, else from the next with memory. INVALID_MFN: none. */
static mfn_t alloc_on(unsigned node, unsigned count, u16 owner)
{
	unsigned first = node < nr_nodes ? node : 0;

	for (unsigned i = 0; i < nr_nodes; i++) {
		struct node *n = &nodes[(first + i) % nr_nodes];
		mfn_t mfn = count <= MAX_BLOCK ? node_alloc_pages(n, count, owner) :
						 node_alloc_chunks(n, count / CHUNK_PAGES, owner);

		if (mfn != INVALID_MFN)
			return mfn;
	}
	return INVALID_MFN;
}

/* Rounds more than half a chunk up to a whole chunk. */
static unsigned round_to_chunk(unsigned n)
{
	return n > MAX_BLOCK && n < CHUNK_PAGES ? CHUNK_PAGES : n;
}

void *alloc_pages(unsigned n, unsigned node)
{
	n = round_to_chunk(n);

	mfn_t mfn = n && n <= CHUNK_PAGES ? alloc_on(node, n, OWNER_MARGAY) : INVALID_MFN;

	if (mfn == INVALID_MFN)
		return NULL;
	atomic_add(&margay_pages, n);
	return mfn_to_virt(mfn);
}

/*
 * Frees one owned page; splits a whole chunk, with the split in the freed page. Called with
 * n->lock; drops it.
 */
static void free_one(struct node *n, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	struct split *s = chunks[c].split;

	if (s && s->ref[mfn % CHUNK_PAGES] & REF_RETIRED) {
		s->ref[mfn % CHUNK_PAGES] = 0;
		s->owner[mfn % CHUNK_PAGES] = OWNER_NONE;
		s->nr_refs--;
		merge_unlock(n, c);
		return;
	}
	scrub(mfn, 1);
	if (s) {
		page_to_free(n, s, mfn % CHUNK_PAGES);
		merge_unlock(n, c);
	} else {
		split_chunk(c, mfn_to_virt(mfn));
		spin_unlock(&n->lock);
	}
}

/* Releases one page. Returns false if references keep it: the last page_put() frees it. */
static bool release_page(u16 owner, mfn_t mfn)
{
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(mfn / CHUNK_PAGES);
	struct split *s = chunks[mfn / CHUNK_PAGES].split;

	BUG_ON(owner_locked(mfn) != owner);
	if (s && s->ref[i] & REF_MASK) {
		s->ref[i] |= REF_GIVEN;
		spin_unlock(&n->lock);
		return false;
	}
	free_one(n, mfn);
	return true;
}

/* Releases count pages. Returns the number of pages that are free now. */
static u64 release_pages(u16 owner, mfn_t mfn, u64 count)
{
	u64 c = mfn / CHUNK_PAGES, freed = 0;
	struct node *n = lock_chunk(c);

	if (count != CHUNK_PAGES || mfn % CHUNK_PAGES || chunks[c].split) {
		spin_unlock(&n->lock);
		for (u64 i = 0; i < count; i++) {
			freed += release_page(owner, mfn + i);
			if (i % SCRUB_PAGES == SCRUB_PAGES - 1)
				arch_poll_irqs();
		}
		return freed;
	}
	BUG_ON(chunks[c].owner != owner);
	chunks[c].owner = OWNER_NONE;	/* nobody can take it while it is scrubbed */
	spin_unlock(&n->lock);
	scrub(mfn, CHUNK_PAGES);
	spin_lock(&n->lock);
	chunk_to_free(n, c);
	n->free_pages += CHUNK_PAGES;
	spin_unlock(&n->lock);
	return count;
}

void free_pages(void *va, unsigned n)
{
	n = round_to_chunk(n);
	atomic_sub(&margay_pages, n);
	release_pages(OWNER_MARGAY, virt_to_mfn(va), n);
}

int dom_alloc(struct domain *d, unsigned order, mfn_t *mfn)
{
	u64 n = 1UL << order;

	if (atomic_add(&d->tot_pages, n) > d->max_pages) {
		atomic_sub(&d->tot_pages, n);
		return -E2BIG;
	}
	*mfn = alloc_on(d->node, (unsigned)n, d->id);
	if (*mfn == INVALID_MFN) {
		atomic_sub(&d->tot_pages, n);
		return -ENOMEM;
	}
	return 0;
}

void dom_free(struct domain *d, mfn_t mfn, unsigned order)
{
	atomic_sub(&d->tot_pages, release_pages(d->id, mfn, 1UL << order));
}

void *dom_alloc_meta(struct domain *d)
{
	void *page = NULL;

	if (atomic_add(&d->meta_pages, 1) <= META_PAGES + d->max_pages / 128)
		page = alloc_pages(1, d->node);
	if (!page)
		atomic_sub(&d->meta_pages, 1);
	return page;
}

void dom_free_meta(struct domain *d, void *page)
{
	atomic_sub(&d->meta_pages, 1);
	free_page(page);
}

/*
 * Locks the node of chunk c. Splits c if it is whole and `owner` owns it; NULL when there is no
 * memory for that.
 */
static struct node *lock_split(u64 c, u16 owner)
{
	void *page = NULL;
	struct node *n;

	/* alloc_page() is called without the lock. The chunk may be split or freed meanwhile. */
	for (;;) {
		bool whole;

		n = lock_chunk(c);
		whole = !chunks[c].split && chunks[c].owner == owner;
		if (whole == !!page)
			break;
		spin_unlock(&n->lock);
		if (page)
			free_page(page);
		page = whole ? alloc_page() : NULL;
		if (whole && !page)
			return NULL;
	}
	if (page)
		split_chunk(c, page);
	return n;
}

int page_get(const struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n;
	int rc = 0;

	if (c >= nr_chunks)
		return -EINVAL;
	c = index_nospec(c, nr_chunks);
	n = lock_split(c, d->id);
	if (!n)
		return -ENOMEM;

	struct split *s = chunks[c].split;

	if (!s || s->owner[i] != d->id || (s->ref[i] & REF_GIVEN))
		rc = -EINVAL;
	else if ((s->ref[i] & REF_MASK) == REF_MASK)
		rc = -EBUSY;
	else if (!(s->ref[i]++ & REF_MASK))
		s->nr_refs++;
	spin_unlock(&n->lock);
	return rc;
}

void page_put(struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	BUG_ON(!s || s->owner[i] != d->id || !(s->ref[i] & REF_MASK));
	if (--s->ref[i] & REF_MASK) {
		spin_unlock(&n->lock);
		return;
	}
	s->nr_refs--;
	if (s->ref[i] & REF_GIVEN) {
		s->ref[i] &= ~REF_GIVEN;
		free_one(n, mfn);
		atomic_sub(&d->tot_pages, 1);
	} else {
		defer_merge(n, c);
	}
}

/* Retires a free page of a split chunk. Called with the node's lock. */
static void retire_free(struct node *n, struct split *s, unsigned i)
{
	unsigned o = 0;

	if (i && s->hot == i) {
		s->hot = 0;
	} else {
		while (!get_bit(s->blocks, BLOCK(o, i)))
			o++;
		put_block(s, o, BLOCK(o, i), false);
		while (o-- > 0)
			put_block(s, o, BLOCK(o, i) ^ 1, true);
	}
	s->owner[i] = OWNER_NONE;
	pages_taken(n, s, 1);
}

int page_retire(mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n;
	u32 *ref;
	u16 owner;

	if (c >= nr_chunks)
		return OWNER_NONE;
	n = lock_chunk(c);
	owner = owner_locked(mfn);
	if (owner == OWNER_FREE) {
		if (!chunks[c].split) {
			take_of_group(n, &groups[chunks[c].group], c, 1, OWNER_MARGAY);
			split_free(n, c, !i);
		}
		retire_free(n, chunks[c].split, i);
		atomic_add(&retired_pages, 1);
	} else if (owner != OWNER_NONE) {
		spin_unlock(&n->lock);
		n = lock_split(c, owner);
		if (!n)
			return -ENOMEM;
		ref = owner_locked(mfn) == owner ? &chunks[c].split->ref[i] : NULL;
		if (!ref) {	/* released or given away meanwhile */
			spin_unlock(&n->lock);
			return page_retire(mfn);
		}
		if (!(*ref & REF_RETIRED)) {
			*ref |= REF_RETIRED;
			chunks[c].split->nr_refs++;
			atomic_add(&retired_pages, 1);
		}
	}
	spin_unlock(&n->lock);
	return owner;
}

void mem_stats(struct mem_stats *st)
{
	*st = (struct mem_stats){ .total_pages = total_pages, .margay_pages = margay_pages,
				  .split_chunks = split_chunks, .retired_pages = retired_pages };
	for (unsigned i = 0; i < nr_nodes; i++)
		st->free_pages += nodes[i].free_pages;
}

u64 node_free_pages(unsigned node)
{
	return nodes[node].free_pages;
}

/* Boot-time setup. Ranges that boot code allocated or reserved stay out of the free memory. */

#define MAX_BOOT_RESERVED 96

static __initdata struct boot_reserved {
	paddr_t base, end;
	u16 owner;
} boot_reserved[MAX_BOOT_RESERVED];
static __initdata unsigned nr_boot_reserved;
static __initdata const struct boot_info *boot;
static __initdata paddr_t image_end, image_chunk_end;

static void __init keep(paddr_t base, paddr_t end, u16 owner)
{
	if (nr_boot_reserved == MAX_BOOT_RESERVED)
		panic("too many boot modules and reserved ranges\n");
	boot_reserved[nr_boot_reserved++] = (struct boot_reserved){ ALIGN_DOWN(base, PAGE_SIZE),
								    ALIGN_UP(end, PAGE_SIZE),
								    owner };
}

void __init early_reserve(paddr_t base, u64 size)
{
	keep(base, base + size, OWNER_NONE);
}

void __init early_init(const struct boot_info *bi, paddr_t image, u64 image_size)
{
	boot = bi;
	/* Leave memory below 1 MiB alone: firmware data and the trampoline live there. */
	keep(0, 1 << 20, OWNER_NONE);
	keep(image, image + image_size, OWNER_MARGAY);
	image_end = image + image_size;
	image_chunk_end = image + CHUNK_SIZE;
}

static const struct boot_reserved *__init boot_reserved_overlap(paddr_t base, paddr_t end)
{
	for (unsigned i = 0; i < nr_boot_reserved; i++)
		if (boot_reserved[i].base < end && boot_reserved[i].end > base)
			return &boot_reserved[i];
	return NULL;
}

/* Returns the highest unreserved range of `size` bytes in [base, end); 0 when there is none. */
static paddr_t __init highest_free(paddr_t base, paddr_t end, u64 size)
{
	while (end >= base + size) {
		paddr_t at = ALIGN_DOWN(end - size, PAGE_SIZE);
		const struct boot_reserved *k = at >= base ? boot_reserved_overlap(at, at + size) :
							     NULL;

		if (at < base)
			break;
		if (!k)
			return at;
		end = k->base;
	}
	return 0;
}

/* Allocates from the image's own chunk if possible, else the highest free RAM below 4 GiB. */
void *__init early_alloc(u64 size)
{
	struct boot_reserved *last = &boot_reserved[nr_boot_reserved - 1];
	paddr_t at;

	size = ALIGN_UP(size, PAGE_SIZE);
	at = highest_free(image_end, image_chunk_end, size);
	if (at && !mem_is_ram(boot->mem, boot->nr_mem, at, size))
		at = 0;
	for (unsigned i = boot->nr_mem; i-- > 0 && !at;) {
		const struct mem_range *r = &boot->mem[i];

		if (r->type == MEM_RAM && r->base < 1UL << 32)
			at = highest_free(r->base, min(r->base + r->size, 1UL << 32), size);
	}
	if (!at)
		panic("no %lu KiB of memory below 4 GiB for Margay's tables\n", size >> 10);
	/* Grow the last entry where possible: the table stays short. */
	if (last->base == at + size && last->owner == OWNER_MARGAY)
		last->base = at;
	else
		keep(at, at + size, OWNER_MARGAY);
	return memset(phys_to_virt(at), 0, size);
}

void *early_or_alloc_page(void)
{
	return chunks ? alloc_page() : early_alloc(PAGE_SIZE);
}

static u8 __init node_of(const struct acpi_info *acpi, paddr_t pa)
{
	for (unsigned i = 0; i < acpi->nr_mem; i++)
		if (pa >= acpi->mem[i].base && pa - acpi->mem[i].base < acpi->mem[i].size)
			return acpi->mem[i].node;
	return 0;
}

static u16 __init boot_owner(paddr_t pa)
{
	const struct boot_reserved *k = boot_reserved_overlap(pa, pa + PAGE_SIZE);

	if (k)
		return k->owner;
	return mem_is_ram(boot->mem, boot->nr_mem, pa, PAGE_SIZE) ? OWNER_FREE : OWNER_NONE;
}

/* Sets up a chunk that is partly RAM or partly reserved. */
static void __init init_mixed(struct node *n, u64 c)
{
	paddr_t base = c << CHUNK_SHIFT;
	unsigned first_free = CHUNK_PAGES;
	struct split *s;

	for (unsigned i = CHUNK_PAGES; i-- > 0;) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner == OWNER_FREE)
			first_free = i;
		else if (owner == OWNER_MARGAY)
			margay_pages++;
		total_pages += owner != OWNER_NONE;
		/*
		 * A chunk with no free page stays whole. Margay owns it, so that it can free its
		 * pages there later.
		 */
		if (owner == OWNER_MARGAY)
			chunks[c].owner = OWNER_MARGAY;
	}
	if (first_free == CHUNK_PAGES)
		return;
	s = split_chunk(c, phys_to_virt(base + first_free * PAGE_SIZE));
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner != OWNER_FREE) {
			s->owner[i] = owner;
		} else if (i != first_free) {
			put_bit(s->dirty, i, true);
			page_to_free(n, s, i);
		}
	}
}

void __init owner_init(const struct boot_info *bi, const struct acpi_info *acpi)
{
	paddr_t max = 0;
	struct chunk *table;
	u32 g = 0;

	for (unsigned i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == MEM_RAM)
			max = max(max, bi->mem[i].base + bi->mem[i].size);
	nr_chunks = (max + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	groups = early_alloc((nr_chunks / GROUP_CHUNKS + 2 * acpi->nr_mem + 2) * sizeof(*groups));
	table = early_alloc(nr_chunks * sizeof(*table));
	chunks = table;
	nr_nodes = max(acpi->nr_nodes, 1U);
	for (unsigned i = 0; i < nr_nodes; i++) {
		spin_init(&nodes[i].lock, LOCK_OWNER);
		list_init(&nodes[i].groups);
		for (unsigned o = 0; o < SPLIT_ORDERS; o++)
			list_init(&nodes[i].splits[o]);
	}
	for (u64 c = 0; c < nr_chunks; c++) {
		paddr_t base = c << CHUNK_SHIFT;
		u8 node = node_of(acpi, base);

		if (!c || c % GROUP_CHUNKS == 0 || groups[g].node != node) {
			g += !!c;
			groups[g] = (struct group){ .first = ALIGN_DOWN(c, GROUP_CHUNKS),
						    .node = node };
			list_init(&groups[g].link);
		}
		chunks[c] = (struct chunk){ .group = g, .owner = OWNER_NONE };
		if (mem_is_ram(bi->mem, bi->nr_mem, base, CHUNK_SIZE) &&
		    !boot_reserved_overlap(base, base + CHUNK_SIZE)) {
			chunk_to_free(&nodes[node], c);
			chunks[c].dirty = true;
			nodes[node].free_pages += CHUNK_PAGES;
			total_pages += CHUNK_PAGES;
		} else {
			init_mixed(&nodes[node], c);
		}
	}
}
