/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the functions of a domain reach. The domain has tables for them, which follow its p2m: the
 * p2m asks before a change (prepare), reports it (changed), and waits for the units before a page
 * has a new use (flush). d->p2m.lock protects the tables.
 */
#include <margay/boot_state.h>
#include <margay/domain_parts.h>
#include <margay/pci.h>

#include "iommu_priv.h"

#define COPY_STEP 256U		/* leaves of the p2m */
#define FREE_STEP 32U		/* tables */

void *iommu_new_table(struct page_table *pt)
{
	struct iommu_domain *id = container_of(pt, struct iommu_domain, pt);
	void *t = id->d ? dom_alloc_meta(id->d, 1) : alloc_page();

	id->tables += t != NULL;
	if (t && pt->format->written)
		pt->format->written(t, 512);
	return t;
}

/* Returns what devices may do with pages of a type: 1: read, 2: write, too. */
static unsigned rights(enum p2m_type type)
{
	static const u8 of[NR_P2M_TYPES] = {
		[P2M_RAM] = 2, [P2M_GRANT_RW] = 2, [P2M_FOREIGN] = 2, [P2M_GRANT_RO] = 1,
	};

	return of[type];
}

/*
 * Returns the entry of 2^order pages, with the tables that leaves of at most iommu_max_level need. NULL:
 * no memory.
 */
static u64 *make_entry(struct iommu_domain *id, gfn_t gfn, unsigned order)
{
	gfn_t step = 512UL << 9 * iommu_max_level;

	for (gfn_t at = gfn; order > 9U * iommu_max_level && at < gfn + (1UL << order); at += step)
		if (!pt_make(&id->pt, at, iommu_max_level))
			return NULL;
	return pt_make(&id->pt, gfn, order / 9);
}

/* Writes a leaf, or those of the tables that stand in its place. */
static void write_leaves(struct iommu_domain *id, u64 *at, unsigned level, mfn_t mfn, unsigned may)
{
	u64 leaf = mfn << PAGE_SHIFT | iommu_driver->leaf_read | (level ? PTE_PS : 0);

	if (level && pt_present(*at) && !pt_is_leaf(*at, level)) {
		u64 *t = pt_table(*at);

		for (u64 i = 0; i < 512; i++)
			write_leaves(id, &t[i], level - 1, mfn + (i << 9 * (level - 1)), may);
		return;
	}
	id->mapped += (may ? 1UL << 9 * level : 0) - (pt_present(*at) ? 1UL << 9 * level : 0);
	WRITE_ONCE(*at, may ? leaf | (may > 1 ? iommu_driver->leaf_write : 0) : 0);
	if (iommu_driver->format.written)
		iommu_driver->format.written(at, 1);
}

static int prepare(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn, unsigned order)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	id->prepared = id->pt.root ? make_entry(id, gfn, order) : NULL;
	return id->prepared || !id->pt.root ? 0 : -ENOMEM;
}

static void changed(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn __unused,
		    unsigned order, mfn_t mfn, enum p2m_type before, enum p2m_type after)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	/* The tear-down of the p2m comes after that of the tables. */
	if (id->pt.root && (rights(before) || rights(after)))
		write_leaves(id, id->prepared, order / 9, mfn, rights(after));
}

static void flush(struct p2m_listener *l, struct domain *d __unused)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	/* A unit whose bit is set later reads the tables later. */
	smp_mb();
	for (struct iommu *u = iommu_units; u; u = u->next) {
		if (!(id->units & BIT(u->index)))
			continue;
		guard(&u->lock);
		if (u->in_use)
			u->ops->flush(u, id);
	}
}

static int put_leaf(struct iommu_domain *id, gfn_t gfn, unsigned order, mfn_t mfn, unsigned may)
{
	u64 *at = make_entry(id, gfn, order);

	if (at)
		write_leaves(id, at, order / 9, mfn, may);
	return at ? 0 : -ENOMEM;
}

static int map_region(struct iommu_domain *id, const struct iommu_region *r)
{
	gfn_t end = (r->base + r->size) >> PAGE_SHIFT;
	unsigned order;

	for (gfn_t gfn = r->base >> PAGE_SHIFT; gfn < end; gfn += 1UL << order) {
		order = IS_ALIGNED(gfn, CHUNK_PAGES) && end - gfn >= CHUNK_PAGES ? 9 : 0;
		if (put_leaf(id, gfn, order, gfn, r->write ? 2 : 1))
			return -ENOMEM;
	}
	return 0;
}

int iommu_make_tables(struct iommu_domain *id)
{
	const struct iommu_region *r = id->d && !id->d->hardware ? NULL : iommu_regions;

	id->pt.format = &iommu_driver->format;
	id->pt.root = iommu_new_table(&id->pt);
	/* Units with three levels begin at the first of these tables, which stays. */
	if (!id->pt.root || !pt_make(&id->pt, 0, 2))
		return -ENOMEM;
	for (; r; r = r->next)
		if (r->usable && map_region(id, r))
			return -ENOMEM;
	return 0;
}

/* Frees tables, depth first. Returns false when *left are freed. */
static bool free_tables(struct iommu_domain *id, u64 *t, unsigned level, unsigned *left)
{
	for (unsigned i = 0; level && i < 512; i++) {
		u64 e = t[i];

		if (!pt_present(e) || pt_is_leaf(e, level))
			continue;
		if (!free_tables(id, pt_table(e), level - 1, left))
			return false;
		t[i] = 0;
	}
	if (!*left)
		return false;
	--*left;
	dom_free_meta(id->d, t, 1);
	return true;
}

int iommu_create_tables(struct domain *d)
{
	struct iommu_domain *id = kzalloc(sizeof(*id));
	unsigned all = ~0U;

	if (!id)
		return -ENOMEM;
	id->d = d;
	id->id = (u16)(d->slot + IOMMU_FIRMWARE_ID + 1);
	id->listener.prepare = prepare;
	id->listener.changed = changed;
	id->listener.flush = flush;
	if (iommu_make_tables(id)) {
		if (id->pt.root)
			free_tables(id, id->pt.root, PT_LEVELS - 1, &all);
		kfree(id);
		return -ENOMEM;
	}
	guard(&d->p2m.lock);
	list_add_tail(&id->listener.link, &d->p2m.listeners);
	d->p2m.recent_pages = 0;
	d->iommu = id;
	return 0;
}

int iommu_copy_p2m(struct iommu_domain *id)
{
	struct domain *d = id->d;

	guard(&d->p2m.lock);
	for (unsigned n = 0; n < COPY_STEP; n++) {
		struct p2m_entry e;
		gfn_t first;

		if (id->copied >> 9 * PT_LEVELS)
			return 0;
		e = p2m_lookup(d, id->copied);
		first = ALIGN_DOWN(id->copied, 1UL << e.order);
		if (rights(e.type) &&
		    put_leaf(id, first, e.order, e.mfn - (id->copied - first), rights(e.type)))
			return -ENOMEM;
		id->copied = first + (1UL << e.order);
	}
	return -ERESTART;
}

void iommu_counters_of_domain(const struct domain *d, counter_fn *put, void *to)
{
	const struct iommu_domain *id = READ_ONCE(d->iommu);

	put(to, "memory", "iommu-mapped", NO_SUB, id ? id->mapped << PAGE_SHIFT : 0);
	put(to, "memory", "iommu-tables", NO_SUB, id ? id->tables << PAGE_SHIFT : 0);
}

static int iommu_destroy(struct domain *d)
{
	struct iommu_domain *id = d->iommu;
	unsigned left = FREE_STEP;

	if (!id || !id->pt.root)
		return 0;
	BUG_ON(id->units);
	guard(&d->p2m.lock);
	if (!free_tables(id, id->pt.root, PT_LEVELS - 1, &left))
		return -ERESTART;
	id->pt.root = NULL;
	return 0;
}

static void iommu_free(struct domain *d)
{
	kfree(d->iommu);
}

const struct domain_part iommu_part = { .destroy = iommu_destroy, .free = iommu_free };
