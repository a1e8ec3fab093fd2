/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split chunks: chunks with an entry for each page. Their free pages form blocks of 2^order pages,
 * and each node lists its split chunks by their largest block, so that an allocation does not
 * search. The pages that were freed last are in no block yet: the next allocations of single pages
 * take them.
 */

#include "page_priv.h"

/* Blocks form a binary heap: a block's buddy is BLOCK ^ 1, the two merged are BLOCK / 2. */
#define BLOCK(order, i) ((CHUNK_PAGES + (i)) >> (order))

/* Relists a split chunk whose largest free block now has another order. */
static void list_split(struct node *n, struct split *s, unsigned list)
{
	if (s->list) {
		list_del(&s->link);
		if (list_empty(&n->splits[s->list - 1]))
			n->split_lists &= ~(1U << (s->list - 1));
	}
	s->list = (u16)list;
	if (list) {
		list_add(&s->link, &n->splits[list - 1]);
		n->split_lists |= 1U << (list - 1);
	}
}

static __always_inline void put_block(struct split *s, unsigned order, unsigned block, bool is_free)
{
	put_bit(s->blocks, block, is_free);
	s->nr_blocks[order] += is_free ? 1 : -1;
}

/* Adds a free page to the blocks, merged with its buddies. Returns the order of its block. */
static unsigned free_block(struct split *s, unsigned page)
{
	unsigned order = 0, block = BLOCK(0, page);

	for (; block >= 4 && get_bit(s->blocks, block ^ 1); block /= 2)
		put_block(s, order++, block ^ 1, false);
	put_block(s, order, block, true);
	return order;
}

static void page_to_block(struct node *n, struct split *s, unsigned i)
{
	unsigned order = free_block(s, i);

	if (order >= s->list)
		list_split(n, s, order + 1);
}

/* Moves the pages that were freed last to blocks. */
static void flush_hot(struct node *n)
{
	while (n->nr_hot) {
		mfn_t mfn = n->hot[--n->nr_hot];

		page_to_block(n, chunks[mfn / CHUNK_PAGES].split, mfn % CHUNK_PAGES);
	}
}

static void count_free(struct node *n, struct split *s, unsigned i)
{
	s->owner[i] = OWNER_FREE;
	s->nr_free++;
	n->free_pages++;
}

void split_put_hot(struct node *n, struct split *s, unsigned i)
{
	count_free(n, s, i);
	if (n->nr_hot == HOT_PAGES)
		flush_hot(n);
	n->hot[n->nr_hot++] = (mfn_t)s->chunk * CHUNK_PAGES + i;
}

void split_put(struct node *n, struct split *s, unsigned i, bool dirty)
{
	count_free(n, s, i);
	put_bit(s->dirty, i, dirty);
	page_to_block(n, s, i);
}

u64 split_put_all(struct node *n, struct split *s, u16 owner)
{
	u64 freed = CHUNK_PAGES;

	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		BUG_ON(s->owner[i] != owner);
		if (s->ref[i] & REF_MASK) {
			s->ref[i] |= REF_GIVEN;
			freed--;
		} else if (s->ref[i]) {
			split_drop_retired(s, i);
		} else {
			split_put(n, s, i, true);
		}
	}
	return freed;
}

/* Relists s after a block was taken. */
static void block_taken(struct node *n, struct split *s)
{
	unsigned list = s->list;

	while (list && !s->nr_blocks[list - 1])
		list--;
	if (list != s->list)
		list_split(n, s, list);
}

/* Takes count pages from the smallest sufficient block. Returns the first. */
static unsigned alloc_block(struct split *s, unsigned order, unsigned count)
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

mfn_t split_take(struct node *n, unsigned count, u16 owner, bool *dirty)
{
	unsigned order = 0, lists, first;
	struct split *s;

	while (1U << order < count)
		order++;
	if (!(n->split_lists >> order))
		flush_hot(n);
	lists = n->split_lists >> order;
	if (!lists)
		return INVALID_MFN;
	s = list_first(&n->splits[order + (unsigned)__builtin_ctz(lists)], struct split, link);
	first = alloc_block(s, order, count);
	for (unsigned i = first; i < first + count; i++) {
		s->owner[i] = owner;
		*dirty |= get_bit(s->dirty, i);
		put_bit(s->dirty, i, false);
	}
	n->free_pages -= count;
	s->nr_free = (u16)(s->nr_free - count);
	block_taken(n, s);
	return (mfn_t)s->chunk * CHUNK_PAGES + first;
}

/* Returns the index of the page that holds s in its chunk; CHUNK_PAGES if it lies elsewhere. */
static unsigned own_page(const struct split *s)
{
	u64 i = virt_to_mfn(s) - (u64)s->chunk * CHUNK_PAGES;

	return (unsigned)min(i, (u64)CHUNK_PAGES);
}

void split_chunk(u64 c, void *page)
{
	struct split *s = page;

	memset(s, 0, sizeof(*s));
	s->chunk = (u32)c;
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		s->owner[i] = chunks[c].owner;
	if (own_page(s) < CHUNK_PAGES) {
		s->owner[own_page(s)] = OWNER_MARGAY;
		atomic_add(&margay_pages, 1);
	}
	chunks[c].split = s;
	atomic_add(&split_chunks, 1);
}

void split_free(struct node *n, u64 c, unsigned i)
{
	struct split *s;

	chunks[c].owner = OWNER_FREE;
	split_chunk(c, mfn_to_virt(c * CHUNK_PAGES + i));
	s = chunks[c].split;
	for (unsigned p = 0; p < chunks[c].dirty; p++)
		put_bit(s->dirty, p, p != i);
	chunks[c].dirty = 0;
	for (unsigned o = 0; o < SPLIT_ORDERS; o++)
		put_block(s, o, BLOCK(o, i) ^ 1, true);
	s->nr_free = CHUNK_PAGES - 1;
	n->free_pages += CHUNK_PAGES - 1;
	list_split(n, s, SPLIT_ORDERS);
}

void split_retire(struct node *n, struct split *s, unsigned i)
{
	unsigned o = 0;

	flush_hot(n);
	while (!get_bit(s->blocks, BLOCK(o, i)))
		o++;
	put_block(s, o, BLOCK(o, i), false);
	while (o-- > 0)
		put_block(s, o, BLOCK(o, i) ^ 1, true);
	s->owner[i] = OWNER_NONE;
	s->nr_free--;
	n->free_pages--;
	block_taken(n, s);
}

/* Returns whether all pages of s have one owner. */
static bool alike(const struct split *s)
{
	unsigned i = 0;

	while (i < CHUNK_PAGES && s->owner[i] == s->owner[0])
		i++;
	return i == CHUNK_PAGES;
}

void split_merge(struct node *n, u64 c)
{
	struct split *s = chunks[c].split;
	unsigned self = own_page(s), inside = self < CHUNK_PAGES, dirty = 0;

	if (s->nr_refs || (s->nr_free ? s->nr_free < CHUNK_PAGES - inside : inside || !alike(s))) {
		spin_unlock(&n->lock);
		return;
	}
	if (s->nr_free)
		flush_hot(n);
	chunks[c].owner = s->owner[0];
	chunks[c].split = NULL;
	atomic_sub(&split_chunks, 1);
	if (s->nr_free) {
		list_split(n, s, 0);
		if (find_next_bit(s->dirty, CHUNK_PAGES, 0) < CHUNK_PAGES)
			dirty = CHUNK_PAGES;
		else if (inside)
			scrub(c * CHUNK_PAGES + self, 1);
		n->free_pages += inside;
		atomic_sub(&margay_pages, inside);
		chunks_put(n, c, 1, dirty);
	}
	spin_unlock(&n->lock);
	if (!inside)
		free_page(s);
}
