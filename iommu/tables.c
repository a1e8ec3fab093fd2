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

/* Returns a leaf: devices reach what the domain may use as memory. */
static u64 leaf_of(mfn_t mfn, enum p2m_type type, unsigned level)
{
	static const u8 rights[NR_P2M_TYPES] = {
		[P2M_RAM] = 2, [P2M_GRANT_RW] = 2, [P2M_FOREIGN] = 2, [P2M_GRANT_RO] = 1,
	};
	u64 bits = iommu_driver->leaf_read | (rights[type] > 1 ? iommu_driver->leaf_write : 0);

	return rights[type] ? mfn << PAGE_SHIFT | bits | (level ? PTE_PS : 0) : 0;
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
static void write_leaves(struct iommu_domain *id, u64 *at, unsigned level, mfn_t mfn,
			 enum p2m_type type)
{
	if (level && pt_present(*at) && !pt_is_leaf(*at, level)) {
		u64 *t = pt_table(*at);

		for (u64 i = 0; i < 512; i++)
			write_leaves(id, &t[i], level - 1, mfn + (i << 9 * (level - 1)), type);
		return;
	}
	id->mapped -= pt_present(*at) ? 1UL << 9 * level : 0;
	WRITE_ONCE(*at, leaf_of(mfn, type, level));
	id->mapped += pt_present(*at) ? 1UL << 9 * level : 0;
	if (iommu_driver->format.written)
		iommu_driver->format.written(at, 1);
}

static int put_leaf(struct iommu_domain *id, gfn_t gfn, unsigned order, mfn_t mfn,
		    enum p2m_type type)
{
	u64 *at = make_entry(id, gfn, order);

	if (at)
		write_leaves(id, at, order / 9, mfn, type);
	return at ? 0 : -ENOMEM;
}

static int prepare(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn, unsigned order)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	return !id->pt.root || make_entry(id, gfn, order) ? 0 : -ENOMEM;
}

static void changed(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn, unsigned order,
		    mfn_t mfn, enum p2m_type before __unused, enum p2m_type after)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	/* prepare() made the entry. The tear-down of the p2m comes after that of the tables. */
	if (id->pt.root)
		put_leaf(id, gfn, order, mfn, after);
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
		iommu_check_answer(u);
	}
}

bool iommu_make_root(struct iommu_domain *id)
{
	id->pt.format = &iommu_driver->format;
	id->pt.root = iommu_new_table(&id->pt);
	/* Units with three levels begin at the first of these tables, which stays. */
	return id->pt.root && pt_make(&id->pt, 0, 2);
}

int iommu_create_tables(struct domain *d)
{
	struct iommu_domain *id = kzalloc(sizeof(*id));

	if (!id)
		return -ENOMEM;
	id->d = d;
	id->id = (u16)(d->slot + IOMMU_FIRMWARE_ID + 1);
	id->listener.prepare = prepare;
	id->listener.changed = changed;
	id->listener.flush = flush;
	if (!iommu_make_root(id)) {
		if (id->pt.root)
			dom_free_meta(d, id->pt.root, 1);
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
		if (e.type != P2M_NONE &&
		    put_leaf(id, first, e.order, e.mfn - (id->copied - first), e.type))
			return -ENOMEM;
		id->copied = first + (1UL << e.order);
	}
	return -ERESTART;
}

/* Returns whether a function of the domain's may reach the region. */
static bool is_needed(const struct iommu_region *r, const struct iommu_domain *id)
{
	struct pci_function *f;

	list_for_each(f, &pci_functions, link)
		if (f->dma == id && iommu_region_is_for(r, f->sbdf))
			return true;
	return false;
}

static int map_region(struct iommu_domain *id, const struct iommu_region *r, bool on)
{
	gfn_t end = (r->base + r->size) >> PAGE_SHIFT;
	unsigned order;

	for (gfn_t gfn = r->base >> PAGE_SHIFT; gfn < end; gfn += 1UL << order) {
		struct p2m_entry e = { gfn, r->write ? P2M_RAM : P2M_GRANT_RO, 9 };
		bool large = IS_ALIGNED(gfn, CHUNK_PAGES) && end - gfn >= CHUNK_PAGES;

		if (!on)
			e = p2m_lookup(id->d, gfn);
		order = large && e.order >= 9 ? 9 : 0;
		if (put_leaf(id, gfn, order, e.mfn, e.type))
			return -ENOMEM;
	}
	if (!on)
		flush(&id->listener, id->d);
	return 0;
}

int iommu_map_regions(struct iommu_domain *id, u32 sbdf, bool on)
{
	int rc = 0;

	if (id->d)
		spin_lock(&id->d->p2m.lock);
	for (const struct iommu_region *r = iommu_regions; r && !rc; r = r->next)
		if (r->usable && iommu_region_is_for(r, sbdf) && (on || !is_needed(r, id)))
			rc = map_region(id, r, on);
	if (id->d)
		spin_unlock(&id->d->p2m.lock);
	return rc;
}

void iommu_counters_of_domain(const struct domain *d, counter_fn *put, void *to)
{
	const struct iommu_domain *id = READ_ONCE(d->iommu);

	put(to, "memory", "iommu-mapped", NO_SUB, id ? id->mapped << PAGE_SHIFT : 0);
	put(to, "memory", "iommu-tables", NO_SUB, id ? id->tables << PAGE_SHIFT : 0);
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
