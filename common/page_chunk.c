/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free whole chunks. Each gigabyte of a node has a group with two bitmaps: its clean chunks, which
 * are zero, and its dirty ones, which may hold what firmware or a guest left there. Each node lists
 * its groups by what they have. So an allocation does not search, whatever the layout.
 *
 * Idle CPUs scrub dirty chunks, those of their own node first. An allocation that finds no clean
 * chunk scrubs one itself, a step at a time.
 */
#include <margay/cmdline.h>
#include <margay/errno.h>
#include <margay/hold.h>
#include <margay/percpu.h>

#include "page_priv.h"

#define POLL_PAGES 16U		/* between two interrupt windows */

/* Lists a group by its chunks: partly used gigabytes first, free ones last. */
static void relist(struct list *link, struct list *head, const struct group *g, unsigned count)
{
	list_del(link);
	list_init(link);
	if (count && g->nr_free == GROUP_CHUNKS)
		list_add_tail(link, head);
	else if (count)
		list_add(link, head);
}

static void relist_group(struct node *n, struct group *g)
{
	relist(&g->clean_link, &n->clean, g, g->nr_clean);
	relist(&g->dirty_link, &n->dirty, g, g->nr_dirty);
}

/* Sets or clears the bit of a free chunk. */
static void put_chunk(struct node *n, struct group *g, u64 c, bool set)
{
	int change = set ? 1 : -1;

	if (chunks[c].dirty) {
		put_bit(g->dirty, c % GROUP_CHUNKS, set);
		g->nr_dirty = (u16)(g->nr_dirty + change);
		n->dirty_pages += (u64)change * chunks[c].dirty;
	} else {
		put_bit(g->clean, c % GROUP_CHUNKS, set);
		g->nr_clean = (u16)(g->nr_clean + change);
	}
}

void chunks_put(struct node *n, u64 c, u64 count, unsigned dirty)
{
	struct group *g = &groups[chunks[c].group];

	g->nr_free = (u16)(g->nr_free + count);
	for (u64 end = c + count; c < end; c++) {
		chunks[c].owner = OWNER_FREE;
		chunks[c].dirty = (u16)dirty;
		put_chunk(n, g, c, true);
	}
	relist_group(n, g);
}

void chunks_take(struct node *n, struct group *g, u64 c, u64 count, u16 owner)
{
	bool all = count == GROUP_CHUNKS;	/* and clean: chunks_alloc() */

	if (all) {
		memset(g->clean, 0, sizeof(g->clean));
		g->nr_clean = 0;
	}
	for (u64 end = c + count; c < end; c++) {
		if (!all)
			put_chunk(n, g, c, false);
		chunks[c].owner = owner;
	}
	g->nr_free = (u16)(g->nr_free - count);
	relist_group(n, g);
	n->free_pages -= count * CHUNK_PAGES;
}

static u64 first_chunk(const struct group *g, const u64 *bits)
{
	return g->first + find_next_bit(bits, GROUP_CHUNKS, 0);
}

static struct group *first_clean(const struct node *n)
{
	return list_empty(&n->clean) ? NULL : list_first(&n->clean, struct group, clean_link);
}

static struct group *first_dirty(const struct node *n)
{
	return list_empty(&n->dirty) ? NULL : list_first(&n->dirty, struct group, dirty_link);
}

/*
 * Does a step of scrubbing: some pages of the first dirty chunk of g, with windows for interrupts.
 * `idle`: stops when this CPU has work. Called with n->lock, which is dropped and retaken.
 */
static void scrub_some(struct node *n, struct group *g, bool idle)
{
	unsigned most = SCRUB_PAGES;
	u64 c = first_chunk(g, g->dirty);
	struct chunk *k = &chunks[c];

	put_chunk(n, g, c, false);
	relist_group(n, g);
	n->scrubbing++;
	spin_unlock(&n->lock);
	while (k->dirty && most && !(idle && READ_ONCE(this_cpu()->work))) {
		k->dirty -= POLL_PAGES;
		most -= POLL_PAGES;
		scrub(c * CHUNK_PAGES + k->dirty, POLL_PAGES);
		this_cpu()->stats.scrubbed += POLL_PAGES;
		arch_poll_irqs();
		cpu_relax();	/* other hyperthreads, or an emulator's other CPUs, have work */
	}
	spin_lock(&n->lock);
	n->scrubbing--;
	put_chunk(n, g, c, true);
	relist_group(n, g);
}

void pages_idle(struct cpu *c, stime_t at)
{
	unsigned node = c->node < nr_nodes ? c->node : 0;

	for (unsigned i = 0; i < nr_nodes; i++) {
		struct node *n = &nodes[node + i < nr_nodes ? node + i : node + i - nr_nodes];

		while (!READ_ONCE(c->work) && !list_empty(&n->dirty) && !opt.noidlescrub) {
			hold_look();
			guard(&n->lock);
			if (first_dirty(n))
				scrub_some(n, first_dirty(n), true);
		}
		merge_unused(n, c, at);
	}
}

/* Prefers a partly used gigabyte to a free one, and a clean chunk to a dirty one. */
static struct group *choose(struct node *n)
{
	struct group *clean = first_clean(n), *dirty = first_dirty(n);

	if (!clean || (dirty && clean->nr_free == GROUP_CHUNKS && dirty->nr_free < GROUP_CHUNKS))
		return dirty;
	return clean;
}

u64 chunk_take_any(struct node *n)
{
	struct group *g = choose(n);
	u64 c;

	if (!g)
		return 0;
	c = first_chunk(g, g == first_clean(n) ? g->clean : g->dirty);
	chunks_take(n, g, c, 1, OWNER_MARGAY);
	return c;
}

/* Chooses a free gigabyte: a clean one, one to scrub, or one that another CPU scrubs. */
static struct group *choose_gigabyte(struct node *n)
{
	struct group *clean = list_entry(n->clean.prev, struct group, clean_link);
	struct group *dirty = list_entry(n->dirty.prev, struct group, dirty_link);

	if (!first_clean(n) || clean->nr_clean < GROUP_CHUNKS) {
		if (first_dirty(n) && dirty->nr_free == GROUP_CHUNKS)
			return dirty;
		if (!first_clean(n) || clean->nr_free < GROUP_CHUNKS)
			return NULL;
	}
	return clean;
}

int chunks_alloc(struct node *n, u64 count, u16 owner, mfn_t *mfn)
{
	struct group *g;
	u64 c;

	guard(&n->lock);
	g = count > 1 ? choose_gigabyte(n) : choose(n);
	if (!g)
		return count == 1 && n->scrubbing ? -EAGAIN : -ENOMEM;
	if (g->nr_clean < count || (count == 1 && g != first_clean(n))) {
		if (g->nr_dirty)
			scrub_some(n, g, false);
		return -EAGAIN;
	}
	c = first_chunk(g, g->clean);
	chunks_take(n, g, c, count, owner);
	*mfn = c * CHUNK_PAGES;
	return 0;
}
