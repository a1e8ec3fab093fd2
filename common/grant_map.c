/* SPDX-License-Identifier: BSD-2-Clause */
/* Using the grants of other domains: mapping, with the handles that keep track of it, and copying. */
#include "grant_priv.h"

#define UNMAP_STEP 32U

static struct maptrack *maptrack_at(struct grant_table *t, u32 handle)
{
	if (handle >= t->nr_handles)
		return NULL;
	handle = (u32)index_nospec(handle, t->nr_handles);
	return &t->maptrack[handle / MAPTRACK_PER_PAGE][handle % MAPTRACK_PER_PAGE];
}

/* A busy entry, of which only the caller knows; NO_HANDLE at the limit. */
static u32 maptrack_get(struct grant_table *t)
{
	struct maptrack *m;
	u32 handle;

	guard(&t->lock);
	if (t->free_handle == NO_HANDLE && t->nr_handles < MAPTRACK_PAGES * MAPTRACK_PER_PAGE) {
		m = alloc_page();
		if (!m)
			return NO_HANDLE;
		for (u32 i = 0; i < MAPTRACK_PER_PAGE; i++)
			m[i].next = i + 1 < MAPTRACK_PER_PAGE ? t->nr_handles + i + 1 : NO_HANDLE;
		t->maptrack[t->nr_handles / MAPTRACK_PER_PAGE] = m;
		t->free_handle = t->nr_handles;
		t->nr_handles += MAPTRACK_PER_PAGE;
	}
	handle = t->free_handle;
	if (handle == NO_HANDLE)
		return NO_HANDLE;
	m = maptrack_at(t, handle);
	t->free_handle = m->next;
	m->state = MT_BUSY;
	return handle;
}

static void maptrack_put(struct grant_table *t, u32 handle)
{
	struct maptrack *m = maptrack_at(t, handle);

	guard(&t->lock);
	m->state = MT_FREE;
	m->rd = NULL;
	m->next = t->free_handle;
	t->free_handle = handle;
}

static bool is_grant(enum p2m_type type)
{
	return type == P2M_GRANT_RW || type == P2M_GRANT_RO;
}

/* Puts a pinned page into ld's p2m. A GNTST_*. */
static int map_page(struct domain *ld, gfn_t gfn, struct domain *rd, mfn_t mfn, bool write)
{
	struct p2m_entry e = p2m_lookup(ld, gfn);

	/* A mapping by grant ends by its handle and no other way. */
	if (is_grant(e.type) || e.type == P2M_FOREIGN || page_get(rd, mfn))
		return GNTST_general_error;
	if (p2m_map(ld, gfn, mfn, 0, write ? P2M_GRANT_RW : P2M_GRANT_RO)) {
		page_put(mfn);
		return GNTST_general_error;
	}
	return GNTST_okay;
}

void grant_map(struct domain *ld, struct gnttab_map_grant_ref *op)
{
	bool write = !(op->flags & GNTMAP_readonly);
	gfn_t gfn = op->host_addr >> PAGE_SHIFT;
	struct domain *rd;
	u32 handle;
	mfn_t mfn;

	op->status = GNTST_bad_gntref;
	if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map)))
		return;
	op->status = GNTST_general_error;
	if ((op->flags & ~(u32)GNTMAP_readonly) != GNTMAP_host_map)
		return;
	op->status = GNTST_bad_domain;
	rd = op->dom == DOMID_SELF ? NULL : domain_get(op->dom);
	if (!rd)
		return;
	op->status = GNTST_no_device_space;
	handle = maptrack_get(ld->grants);
	if (handle == NO_HANDLE)
		goto put;
	op->status = (s16)grant_pin(rd, op->ref, ld->id, write, &mfn);
	if (op->status != GNTST_okay)
		goto free_handle;
	op->status = (s16)map_page(ld, gfn, rd, mfn, write);
	if (op->status != GNTST_okay)
		goto unpin;

	spin_lock(&ld->grants->lock);
	*maptrack_at(ld->grants, handle) = (struct maptrack){
		.rd = rd,
		.gfn = gfn,
		.mfn = mfn,
		.ref = op->ref,
		.write = write,
		.state = MT_MAPPED,
	};
	spin_unlock(&ld->grants->lock);
	op->handle = handle;
	op->dev_bus_addr = 0;
	return;
unpin:
	grant_unpin(rd, op->ref, write);
free_handle:
	maptrack_put(ld->grants, handle);
put:
	domain_put(rd);
}

/* Ends the mapping of a handle that is MT_BUSY for us. The p2m flushes before it puts its reference. */
static void drop_mapping(struct domain *ld, u32 handle, const struct maptrack *m, bool mapped)
{
	if (mapped)
		p2m_unmap(ld, m->gfn);
	grant_unpin(m->rd, m->ref, m->write);
	domain_put(m->rd);
	maptrack_put(ld->grants, handle);
}

static bool still_mapped(struct domain *ld, const struct maptrack *m)
{
	struct p2m_entry e = p2m_lookup(ld, m->gfn);

	return is_grant(e.type) && e.mfn == m->mfn;
}

void grant_unmap(struct domain *ld, struct gnttab_unmap_grant_ref *op)
{
	struct grant_table *t = ld->grants;
	struct maptrack *m, copy;

	spin_lock(&t->lock);
	m = maptrack_at(t, op->handle);
	op->status = GNTST_bad_handle;
	if (!m || m->state != MT_MAPPED)
		goto out;
	/* No address: the caller does not ask for the CPU mapping to go, and there is no other. */
	op->status = GNTST_okay;
	if (!op->host_addr)
		goto out;
	op->status = GNTST_general_error;
	if (m->gfn != op->host_addr >> PAGE_SHIFT || !still_mapped(ld, m))
		goto out;
	m->state = MT_BUSY;
	copy = *m;
	spin_unlock(&t->lock);
	drop_mapping(ld, op->handle, &copy, true);
	op->status = GNTST_okay;
	return;
out:
	spin_unlock(&t->lock);
}

int grant_teardown(struct domain *d)
{
	struct grant_table *t = d->grants;
	unsigned done = 0;

	if (!t)
		return 0;
	spin_lock(&t->lock);
	t->dying = true;
	spin_unlock(&t->lock);
	for (u32 handle = 0; handle < t->nr_handles; handle++) {
		struct maptrack *m = maptrack_at(t, handle);

		if (m->state != MT_MAPPED)
			continue;
		if (done++ == UNMAP_STEP)
			return -ERESTART;
		m->state = MT_BUSY;
		drop_mapping(d, handle, m, still_mapped(d, m));
	}
	return 0;
}

/* Copying */

struct copy_end {
	struct domain *d;
	bool write, by_ref;
	grant_ref_t ref;
	mfn_t mfn;
};

static int copy_domain(struct domain *ld, const struct gnttab_copy_ptr *p, bool by_ref,
		       struct copy_end *c)
{
	c->by_ref = by_ref;
	if (p->domid != DOMID_SELF && !by_ref)
		return GNTST_permission_denied;
	if (p->domid == DOMID_SELF || p->domid == ld->id) {
		domain_hold(ld);
		c->d = ld;
	} else {
		c->d = domain_get(p->domid);
	}
	return c->d ? GNTST_okay : GNTST_bad_domain;
}

static int copy_claim(struct domain *ld, const struct gnttab_copy_ptr *p, struct copy_end *c)
{
	if (c->by_ref) {
		c->ref = p->u.ref;
		return grant_pin(c->d, c->ref, ld->id, c->write, &c->mfn);
	}
	return p2m_get_page(c->d, p->u.gmfn, c->write, &c->mfn) ? GNTST_bad_page : GNTST_okay;
}

static void copy_release(struct copy_end *c)
{
	if (c->by_ref)
		grant_unpin(c->d, c->ref, c->write);
	else
		page_put(c->mfn);
}

void grant_copy(struct domain *ld, struct gnttab_copy *op)
{
	struct copy_end src = { .d = NULL }, dst = { .d = NULL, .write = true };
	int st;

	st = copy_domain(ld, &op->source, op->flags & GNTCOPY_source_gref, &src);
	if (st == GNTST_okay)
		st = copy_domain(ld, &op->dest, op->flags & GNTCOPY_dest_gref, &dst);
	if (st != GNTST_okay)
		goto put;
	st = GNTST_bad_copy_arg;
	if ((u32)op->source.offset + op->len > PAGE_SIZE ||
	    (u32)op->dest.offset + op->len > PAGE_SIZE)
		goto put;
	st = copy_claim(ld, &op->source, &src);
	if (st != GNTST_okay)
		goto put;
	st = copy_claim(ld, &op->dest, &dst);
	if (st == GNTST_okay) {
		memmove((char *)mfn_to_virt(dst.mfn) + op->dest.offset,
			(char *)mfn_to_virt(src.mfn) + op->source.offset, op->len);
		copy_release(&dst);
	}
	copy_release(&src);
put:
	if (src.d)
		domain_put(src.d);
	if (dst.d)
		domain_put(dst.d);
	op->status = (s16)st;
}
