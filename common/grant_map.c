/* SPDX-License-Identifier: BSD-2-Clause */
/* Use of other domains' grants: mapping, tracked by handles, and copying. */
#include <margay/guest_copy.h>

#include "grant_priv.h"

#define UNMAP_STEP 32U

static struct maptrack *maptrack_at(struct grant_table *t, u32 handle)
{
	if (handle >= t->nr_handles)
		return NULL;
	handle = (u32)index_nospec(handle, t->nr_handles);
	return &t->maptrack[handle / MAPTRACK_PER_PAGE][handle % MAPTRACK_PER_PAGE];
}

/* Allocates a busy handle that only the caller knows. NO_HANDLE at the limit. */
static u32 maptrack_get(struct domain *d)
{
	struct grant_table *t = d->grants;
	struct maptrack *m;
	u32 handle;

	guard(&t->lock);
	if (t->free_handle == NO_HANDLE && t->nr_handles < MAPTRACK_PAGES * MAPTRACK_PER_PAGE) {
		m = dom_alloc_meta(d, 1);
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

/* Maps a pinned page in ld's p2m. Returns a GNTST_*. */
static int map_page(struct domain *ld, gfn_t gfn, mfn_t mfn, bool write)
{
	/* Only grant_unmap() ends a grant mapping. */
	const u32 over = ~(1U << P2M_GRANT_RW | 1U << P2M_GRANT_RO | 1U << P2M_FOREIGN);

	return p2m_map_over(ld, gfn, mfn, write ? P2M_GRANT_RW : P2M_GRANT_RO, over) ?
		       GNTST_general_error :
		       GNTST_okay;
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
	rd = domain_get(op->dom);
	if (!rd)
		return;
	op->status = GNTST_no_device_space;
	handle = maptrack_get(ld);
	if (handle == NO_HANDLE)
		goto put;
	op->status = (s16)grant_pin(rd, op->ref, ld->id, write, &mfn);
	if (op->status != GNTST_okay)
		goto free_handle;
	op->status = (s16)map_page(ld, gfn, mfn, write);
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

/*
 * Ends the mapping of a handle that the caller made MT_BUSY. If another vCPU replaces the mapping
 * at this moment, flush first: the pin must outlast the translation.
 */
static void drop_mapping(struct domain *ld, u32 handle, const struct maptrack *m, bool mapped)
{
	if (!mapped || p2m_unmap(ld, m->gfn))
		p2m_flush(ld);
	grant_unpin(m->rd, m->ref, m->write);
	domain_put(m->rd);
	maptrack_put(ld->grants, handle);
}

static bool still_mapped(struct domain *ld, const struct maptrack *m)
{
	struct p2m_entry e = p2m_lookup(ld, m->gfn);

	return is_grant(e.type) && e.mfn == m->mfn;
}

/* Makes the handle MT_BUSY and copies its entry. Returns a GNTST_*. */
static int claim_mapping(struct domain *ld, const struct gnttab_unmap_grant_ref *op,
			 struct maptrack *copy)
{
	struct grant_table *t = ld->grants;
	struct maptrack *m;

	guard(&t->lock);
	m = maptrack_at(t, op->handle);
	if (!m || m->state != MT_MAPPED)
		return GNTST_bad_handle;
	/* The caller does not ask to remove the CPU mapping, and there is no other. */
	if (!op->host_addr)
		return GNTST_okay;
	if (m->gfn != op->host_addr >> PAGE_SHIFT || !still_mapped(ld, m))
		return GNTST_general_error;
	m->state = MT_BUSY;
	*copy = *m;
	return GNTST_okay;
}

void grant_unmap(struct domain *ld, struct gnttab_unmap_grant_ref *op)
{
	struct maptrack m = { .rd = NULL };

	op->status = (s16)claim_mapping(ld, op, &m);
	if (m.rd)
		drop_mapping(ld, op->handle, &m, true);
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
	bool by_ref, write;
	grant_ref_t ref;
	mfn_t mfn;
};

/* Takes references to one side's domain and page, for copy_release() to drop. Returns a GNTST_*. */
static int copy_claim(struct domain *ld, const struct gnttab_copy_ptr *p, struct copy_end *c)
{
	int st;

	if (p->domid != DOMID_SELF && !c->by_ref)
		return GNTST_permission_denied;
	if (p->domid == DOMID_SELF || p->domid == ld->id) {
		domain_hold(ld);
		c->d = ld;
	} else {
		c->d = domain_get(p->domid);
	}
	if (!c->d)
		return GNTST_bad_domain;
	c->ref = p->u.ref;
	if (c->by_ref)
		st = grant_pin(c->d, c->ref, ld->id, c->write, &c->mfn);
	else
		st = p2m_get_page(ld, p->u.gmfn, &c->mfn) ? GNTST_bad_page : GNTST_okay;
	if (st != GNTST_okay)
		domain_put(c->d);
	return st;
}

static void copy_release(struct copy_end *c)
{
	if (c->by_ref)
		grant_unpin(c->d, c->ref, c->write);
	else
		page_put(c->d, c->mfn);
	domain_put(c->d);
}

void grant_copy(struct domain *ld, struct gnttab_copy *op)
{
	struct copy_end src = { .by_ref = op->flags & GNTCOPY_source_gref };
	struct copy_end dst = { .by_ref = op->flags & GNTCOPY_dest_gref, .write = true };

	op->status = (s16)copy_claim(ld, &op->source, &src);
	if (op->status != GNTST_okay)
		return;
	op->status = (s16)copy_claim(ld, &op->dest, &dst);
	if (op->status == GNTST_okay) {
		if ((u32)op->source.offset + op->len > PAGE_SIZE ||
		    (u32)op->dest.offset + op->len > PAGE_SIZE)
			op->status = GNTST_bad_copy_arg;
		else
			memmove(guest_write_page(dst.d, dst.mfn, op->dest.offset),
				guest_read_page(src.mfn, op->source.offset), op->len);
		copy_release(&dst);
	}
	copy_release(&src);
}
