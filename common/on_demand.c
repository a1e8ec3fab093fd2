/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory on demand. A guest may start with less memory than its maximum: the tools then announce all
 * of its address space (XENMEMF_populate_on_demand), and a page is allocated when the guest, Margay
 * or the control domain first touches it. The guest's balloon driver soon gives the difference back,
 * and leaves alone what it never had. The limit is the highest that the domain has had: a lower one
 * takes effect before the balloon follows. LOCK_ON_DEMAND serialises the allocations of a domain,
 * since two vCPUs may touch a page at once.
 */
#include <margay/domain.h>

int on_demand_add(struct domain *d, gfn_t gfn, unsigned order)
{
	gfn_t end = gfn + (1UL << order);

	if (end < gfn)
		return -EINVAL;
	guard(&d->on_demand_lock);
	if (d->nr_on_demand && d->on_demand[d->nr_on_demand - 1].end == gfn) {
		d->on_demand[d->nr_on_demand - 1].end = end;
		return 0;
	}
	if (d->nr_on_demand == ARRAY_SIZE(d->on_demand))
		return -ENOSPC;
	d->on_demand[d->nr_on_demand] = (struct gfn_range){ gfn, end };
	WRITE_ONCE(d->nr_on_demand, d->nr_on_demand + 1);
	return 0;
}

static const struct gfn_range *range_of(const struct domain *d, gfn_t gfn)
{
	for (unsigned i = 0; i < READ_ONCE(d->nr_on_demand); i++)
		if (gfn >= d->on_demand[i].first && gfn < d->on_demand[i].end)
			return &d->on_demand[i];
	return NULL;
}

bool on_demand(const struct domain *d, gfn_t gfn)
{
	return range_of(d, gfn);
}

/* Allocates 2^order pages for the aligned gfn. Returns 0, -EBUSY (smaller mappings exist) or an error. */
static int allocate(struct domain *d, gfn_t gfn, unsigned order)
{
	mfn_t mfn;
	int rc = dom_alloc_within(d, order, d->most_pages, &mfn);

	if (rc)
		return rc;
	rc = p2m_map(d, gfn, mfn, order, P2M_RAM);
	if (rc)
		dom_free(d, mfn, order);
	return rc;
}

int on_demand_allocate(struct domain *d, gfn_t gfn)
{
	const struct gfn_range *r = range_of(d, gfn);
	gfn_t chunk = ALIGN_DOWN(gfn, CHUNK_PAGES);

	if (!r)
		return -ENOENT;
	guard(&d->on_demand_lock);
	if (p2m_lookup(d, gfn).type != P2M_NONE)
		return 0;
	/* A chunk that still has to be scrubbed takes long: then a single page will do. */
	if (chunk >= r->first && chunk + CHUNK_PAGES <= r->end && !allocate(d, chunk, 9))
		return 0;
	return allocate(d, gfn, 0);
}
