/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table records the owner of each 2 MiB chunk of RAM, or of each page of a split chunk.
 * It is also the page allocator. This file has what other code calls: it charges, allocates,
 * refers to, frees and retires pages.
 *
 * No page that is not zero reaches a new owner. A guest's page of a split chunk is scrubbed when it
 * is freed, a page of Margay's when it is allocated, a whole chunk by an idle CPU or when it is
 * allocated (page_chunk.c).
 */
#include <margay/domain.h>
#include <margay/percpu.h>

#include "page_priv.h"

struct chunk *chunks;
struct group *groups;
struct node *nodes;
u64 nr_chunks, margay_pages, split_chunks, retired_pages;
unsigned nr_nodes = 1;

/*
 * Allocates count contiguous pages, at most MAX_BLOCK. Splits a chunk if needed. Waits for a CPU
 * that scrubs the last free chunk: a step is short.
 */
static int node_alloc_pages(struct node *n, unsigned count, u16 owner, mfn_t *mfn)
{
	bool dirty = false, wait;

	do {
		u64 c;

		spin_lock(&n->lock);
		*mfn = split_take(n, count, owner, &dirty);
		if (*mfn == INVALID_MFN && (c = chunk_take_any(n))) {
			split_free(n, c, 0);
			*mfn = split_take(n, count, owner, &dirty);
		}
		wait = *mfn == INVALID_MFN && n->scrubbing;
		spin_unlock(&n->lock);
		if (wait)
			cpu_relax();
	} while (wait);
	for (unsigned i = 0; dirty && i < count; i++) {
		scrub(*mfn + i, 1);
		if (i % SCRUB_PAGES == SCRUB_PAGES - 1)
			arch_poll_irqs();
	}
	return *mfn == INVALID_MFN ? -ENOMEM : 0;
}

/* Allocates from `node` or from the next ones, of all of which it tries `tries`. */
static __attribute__((noinline)) int search_nodes(unsigned node, unsigned tries, unsigned count,
						  u16 owner, mfn_t *mfn)
{
	int rc = -ENOMEM;

	for (unsigned i = 0; i < tries && rc == -ENOMEM; i++) {
		rc = count <= MAX_BLOCK ?
			     node_alloc_pages(&nodes[node], count, owner, mfn) :
			     chunks_alloc(&nodes[node], count / CHUNK_PAGES, owner, mfn);
		if (++node == nr_nodes)
			node = 0;
	}
	if (rc == -EAGAIN)
		cpu_relax();	/* another CPU may be scrubbing the last chunk */
	return rc;
}

/* Allocates zeroed pages from `node`, else from the next with memory. */
static int alloc_on(unsigned node, unsigned count, u16 owner, mfn_t *mfn)
{
	struct node *n;

	if (node >= nr_nodes)
		node = 0;
	n = &nodes[node];
	if (count == 1) {
		spin_lock(&n->lock);
		if (likely(n->nr_hot)) {
			*mfn = split_take_hot(n, owner);
			spin_unlock(&n->lock);
			return 0;
		}
		spin_unlock(&n->lock);
	}
	return search_nodes(node, nr_nodes, count, owner, mfn);
}

/* Rounds more than half a chunk up to a whole chunk. */
static unsigned round_to_chunk(unsigned n)
{
	return n > MAX_BLOCK && n < CHUNK_PAGES ? CHUNK_PAGES : n;
}

void *alloc_pages(unsigned n, unsigned node)
{
	mfn_t mfn;
	int rc;

	n = round_to_chunk(n);
	do
		rc = n && n <= CHUNK_PAGES ? alloc_on(node, n, OWNER_MARGAY, &mfn) : -EINVAL;
	while (rc == -EAGAIN);
	if (rc)
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
	unsigned i = mfn % CHUNK_PAGES;
	struct split *s = chunks[c].split;

	if (!s) {
		split_chunk(c, mfn_to_virt(mfn));
		spin_unlock(&n->lock);
		return;
	}
	if (s->ref[i] & REF_RETIRED) {
		split_drop_retired(s, i);
	} else {
		scrub(mfn, 1);
		split_put_hot(n, s, i);
	}
	split_merge_unlock(n, c);
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

/* Releases a chunk, which is not scrubbed now. Returns the number of pages that are free now. */
static u64 release_chunk(u16 owner, u64 c)
{
	struct node *n = lock_chunk(c);
	u64 freed;

	if (chunks[c].split) {	/* perhaps only since it had references */
		split_merge(n, c);
		n = lock_chunk(c);
	}
	if (chunks[c].split) {
		freed = split_put_all(n, chunks[c].split, owner);
		split_merge_unlock(n, c);
		return freed;
	}
	BUG_ON(chunks[c].owner != owner);
	chunks_put(n, c, 1, CHUNK_PAGES);
	n->free_pages += CHUNK_PAGES;
	spin_unlock(&n->lock);
	return CHUNK_PAGES;
}

/* Releases count pages, at most a chunk. Returns the number of pages that are free now. */
static u64 release_pages(u16 owner, mfn_t mfn, u64 count)
{
	u64 freed = 0;

	if (count == CHUNK_PAGES)
		return release_chunk(owner, mfn / CHUNK_PAGES);
	for (u64 i = 0; i < count; i++) {
		freed += release_page(owner, mfn + i);
		if (i % (SCRUB_PAGES / 4) == SCRUB_PAGES / 4 - 1)
			arch_poll_irqs();
	}
	return freed;
}

/* Frees one of Margay's pages, to be scrubbed later: the end of a domain frees many. */
static void release_dirty(mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	if (!s || s->ref[mfn % CHUNK_PAGES]) {
		spin_unlock(&n->lock);
		release_pages(OWNER_MARGAY, mfn, 1);
		return;
	}
	BUG_ON(s->owner[mfn % CHUNK_PAGES] != OWNER_MARGAY);
	split_put(n, s, mfn % CHUNK_PAGES, true);
	split_merge_unlock(n, c);
}

void free_pages(void *va, unsigned n)
{
	n = round_to_chunk(n);
	atomic_sub(&margay_pages, n);
	if (n == CHUNK_PAGES)
		release_chunk(OWNER_MARGAY, virt_to_mfn(va) / CHUNK_PAGES);
	else
		for (unsigned i = 0; i < n; i++)
			release_dirty(virt_to_mfn(va) + i);
}

int dom_alloc(struct domain *d, unsigned order, mfn_t *mfn)
{
	return dom_alloc_within(d, order, d->max_pages, mfn);
}

int dom_alloc_within(struct domain *d, unsigned order, u64 limit, mfn_t *mfn)
{
	u64 n = 1UL << order;
	int rc = -E2BIG;

	if (atomic_add(&d->tot_pages, n) <= limit)
		rc = alloc_on(d->node, (unsigned)n, d->id, mfn);
	if (rc)
		atomic_sub(&d->tot_pages, n);
	return rc;
}

int dom_alloc_on(struct domain *d, unsigned node, unsigned order, mfn_t *mfn)
{
	u64 n = 1UL << order;
	int rc = -E2BIG;

	if (atomic_add(&d->tot_pages, n) <= d->max_pages)
		rc = search_nodes(node, 1, (unsigned)n, d->id, mfn);
	if (rc)
		atomic_sub(&d->tot_pages, n);
	return rc;
}

void dom_free(struct domain *d, mfn_t mfn, unsigned order)
{
	atomic_sub(&d->tot_pages, release_pages(d->id, mfn, 1UL << order));
}

void *dom_alloc_meta(struct domain *d, unsigned n)
{
	u64 most = META_PAGES + d->max_pages / 128 + d->max_vcpus * META_PER_VCPU;
	void *pages = NULL;

	if (atomic_add(&d->meta_pages, n) <= most)
		pages = alloc_pages(n, d->node);
	if (!pages)
		atomic_sub(&d->meta_pages, n);
	return pages;
}

void dom_free_meta(struct domain *d, void *pages, unsigned n)
{
	atomic_sub(&d->meta_pages, n);
	free_pages(pages, n);
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

/* Takes a reference to page i of chunk c. Called with n->lock; drops it. */
static inline int get_unlock(struct node *n, u64 c, unsigned i, u16 owner)
{
	struct split *s = chunks[c].split;
	int rc = 0;

	if (!s || s->owner[i] != owner || (s->ref[i] & REF_GIVEN))
		rc = -EINVAL;
	else if ((s->ref[i] & REF_MASK) == REF_MASK)
		rc = -EBUSY;
	else if (!(s->ref[i]++ & REF_MASK))
		s->nr_refs++;
	spin_unlock(&n->lock);
	return rc;
}

static __noinline int split_and_get(u64 c, unsigned i, u16 owner)
{
	struct node *n = lock_split(c, owner);

	return n ? get_unlock(n, c, i, owner) : -ENOMEM;
}

int page_get(const struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	struct node *n;

	if (c >= nr_chunks)
		return -EINVAL;
	c = index_nospec(c, nr_chunks);
	n = lock_chunk(c);
	if (likely(chunks[c].split))
		return get_unlock(n, c, mfn % CHUNK_PAGES, d->id);
	spin_unlock(&n->lock);
	return split_and_get(c, mfn % CHUNK_PAGES, d->id);
}

/*
 * Called when the last reference to a page of chunk c is gone. Leaves c split, since references
 * come in bursts (copies from grant to grant, the packets of a network card), and merges another
 * chunk that was left split. Called with n->lock; drops it.
 */
static __noinline void defer_merge(struct node *n, u64 c)
{
	unsigned i = c % DEFERRED;
	u64 before;

	/* Two chunks that alternate would merge each other if each had only one place. */
	if (n->unused[i] && (n->unused[i] & ~DEFER_USED) != c)
		i ^= 1;
	before = n->unused[i] & ~DEFER_USED;
	n->unused[i] = c | DEFER_USED;
	n->deferred = true;
	if (before && before != c && chunks[before].split)
		split_merge_unlock(n, before);
	else
		spin_unlock(&n->lock);
}

void merge_unused(struct node *n, struct cpu *c, stime_t at)
{
	u64 left = 0;

	if (!READ_ONCE(n->deferred) || at - n->looked < DEFER_NS)
		return;
	WRITE_ONCE(n->deferred, false);
	for (unsigned i = 0; i < DEFERRED; i++) {
		u64 slot;

		spin_lock(&n->lock);
		slot = n->unused[i];
		n->unused[i] = slot & DEFER_USED ? slot & ~DEFER_USED : 0;
		left |= n->unused[i];
		if (slot && !(slot & DEFER_USED) && chunks[slot].split)
			split_merge_unlock(n, slot);
		else
			spin_unlock(&n->lock);
		if (READ_ONCE(c->work)) {
			left = true;
			break;
		}
	}
	if (!READ_ONCE(c->work))
		n->looked = at;
	if (left)
		WRITE_ONCE(n->deferred, true);
}

/* Frees a page that its owner has released before. Called with n->lock; drops it. */
static __noinline void free_given(struct domain *d, struct node *n, struct split *s, mfn_t mfn)
{
	s->ref[mfn % CHUNK_PAGES] &= ~REF_GIVEN;
	free_one(n, mfn);
	atomic_sub(&d->tot_pages, 1);
}

void page_put(struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	if (unlikely(!s || s->owner[i] != d->id || !(s->ref[i] & REF_MASK))) {
		BUG_ON(owner_locked(mfn) != OWNER_MARGAY);
		spin_unlock(&n->lock);
		return;
	}
	if (--s->ref[i] & REF_MASK) {
		spin_unlock(&n->lock);
		return;
	}
	s->nr_refs--;
	if (unlikely(s->ref[i] & REF_GIVEN))
		free_given(d, n, s, mfn);
	else if (likely(n->unused[c % DEFERRED] == (c | DEFER_USED)))
		spin_unlock(&n->lock);	/* as the last time */
	else
		defer_merge(n, c);
}

bool page_referenced(mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	const struct split *s;
	struct node *n;
	bool ret;

	if (likely(!READ_ONCE(chunks[c].split)))
		return false;
	n = lock_chunk(c);
	s = chunks[c].split;
	ret = s && s->ref[mfn % CHUNK_PAGES] & REF_MASK;
	spin_unlock(&n->lock);
	return ret;
}

/* Marks a page of a split chunk as not to be used again. Returns its owner. */
static u16 retire(struct node *n, struct split *s, unsigned i)
{
	u16 owner = s->owner[i];

	if (owner == OWNER_FREE) {
		split_retire(n, s, i);
	} else if (owner != OWNER_NONE && !(s->ref[i] & REF_RETIRED)) {
		s->ref[i] |= REF_RETIRED;
		s->nr_refs++;
	} else {
		return owner;
	}
	atomic_add(&retired_pages, 1);
	return owner;
}

u16 page_owner(mfn_t mfn)
{
	struct node *n;
	u16 owner;

	if (mfn / CHUNK_PAGES >= nr_chunks)
		return OWNER_NONE;
	n = lock_chunk(mfn / CHUNK_PAGES);
	owner = owner_locked(mfn);
	spin_unlock(&n->lock);
	return owner;
}

int page_retire(mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = NULL;
	u16 owner;

	if (c >= nr_chunks)
		return OWNER_NONE;
	do {
		if (n)	/* somebody took, merged or scrubs the chunk */
			spin_unlock(&n->lock);
		n = lock_chunk(c);
		owner = owner_locked(mfn);
		if (chunks[c].split || owner == OWNER_NONE)
			break;
		if (owner != OWNER_FREE) {
			spin_unlock(&n->lock);
			n = lock_split(c, owner);
			if (!n)
				return -ENOMEM;
		} else if (chunk_is_listed(c)) {
			chunks_take(n, &groups[chunks[c].group], c, 1, OWNER_MARGAY);
			split_free(n, c, !i);
		}
	} while (!chunks[c].split);
	if (chunks[c].split)
		owner = retire(n, chunks[c].split, i);
	spin_unlock(&n->lock);
	return owner;
}

void mem_stats(struct mem_stats *st)
{
	*st = (struct mem_stats){ .margay_pages = margay_pages, .split_chunks = split_chunks,
				  .retired_pages = retired_pages };
	for (unsigned i = 0; i < nr_nodes; i++) {
		st->total_pages += nodes[i].total_pages;
		st->free_pages += nodes[i].free_pages;
		st->dirty_pages += nodes[i].dirty_pages;
	}
}

unsigned page_node(mfn_t mfn)
{
	return chunks[mfn / CHUNK_PAGES].node;
}

u64 node_free_pages(unsigned node)
{
	return nodes[node].free_pages;
}

u64 node_total_pages(unsigned node)
{
	return nodes[node].total_pages;
}

