/* SPDX-License-Identifier: BSD-2-Clause */
/* Use of other domains' grants: mapping, tracked by handles, and copying. */
#include <margay/guest_copy.h>

#include "grant_priv.h"

#define UNMAP_STEP 32U

static inline struct maptrack *entry_of(struct grant_table *t, u64 handle)
{
	return &t->maptrack[handle / MAPTRACK_PER_PAGE][handle % MAPTRACK_PER_PAGE];
}

/* The same for a handle from a guest. NULL: there is none. */
static struct maptrack *maptrack_at(struct grant_table *t, u32 handle)
{
	return handle < t->nr_handles ? entry_of(t, index_nospec(handle, t->nr_handles)) : NULL;
}

/* Adds a page of free handles. False at the limit. */
static __noinline bool more_handles(struct domain *d, struct grant_table *t)
{
	struct maptrack *m = NULL;

	if (t->nr_handles < MAPTRACK_PAGES * MAPTRACK_PER_PAGE)
		m = dom_alloc_meta(d, 1);
	if (!m)
		return false;
	for (u32 i = 0; i < MAPTRACK_PER_PAGE; i++)
		m[i].next = i + 1 < MAPTRACK_PER_PAGE ? t->nr_handles + i + 1 : NO_HANDLE;
	t->maptrack[t->nr_handles / MAPTRACK_PER_PAGE] = m;
	t->free_handle = t->nr_handles;
	t->nr_handles += MAPTRACK_PER_PAGE;
	return true;
}

/* Allocates a busy handle that only the caller knows. NO_HANDLE at the limit. */
static u32 maptrack_get(struct domain *d)
{
	struct grant_table *t = d->grants;
	struct maptrack *m;
	u32 handle;

	guard(&t->lock);
	if (unlikely(t->free_handle == NO_HANDLE) && !more_handles(d, t))
		return NO_HANDLE;
	handle = t->free_handle;
	m = entry_of(t, handle);
	t->free_handle = m->next;
	m->state = MT_BUSY;
	return handle;
}

static void maptrack_put(struct grant_table *t, struct maptrack *m, u32 handle)
{
	guard(&t->lock);
	m->state = MT_FREE;
	m->next = t->free_handle;
	t->free_handle = handle;
}

#define GRANT_TYPES (1U << P2M_GRANT_RW | 1U << P2M_GRANT_RO)

/* Maps a pinned page in ld's p2m. Returns a GNTST_*. */
static int map_page(struct domain *ld, gfn_t gfn, mfn_t mfn, bool write)
{
	enum p2m_type type = write ? P2M_GRANT_RW : P2M_GRANT_RO;

	/* Only drop_mapping() ends a grant mapping. */
	return p2m_map_over(ld, gfn, mfn, type, ~P2M_TRANSIENT) ? GNTST_general_error : GNTST_okay;
}

/* rd: the domain that op names, or NULL. */
static void map_one(struct domain *ld, struct domain *rd, struct gnttab_map_grant_ref *op)
{
	struct grant_table *t = ld->grants;
	bool write = !(op->flags & GNTMAP_readonly);
	gfn_t gfn = op->host_addr >> PAGE_SHIFT;
	struct maptrack *m;
	u32 handle;

	op->status = GNTST_bad_gntref;
	if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map)))
		return;
	op->status = GNTST_general_error;
	if ((op->flags & ~(u32)GNTMAP_readonly) != GNTMAP_host_map)
		return;
	op->status = GNTST_bad_domain;
	if (!rd)
		return;
	op->status = GNTST_no_device_space;
	handle = maptrack_get(ld);
	if (handle == NO_HANDLE)
		return;
	m = entry_of(t, handle);
	op->status = (s16)grant_pin(rd, op->ref, ld->id, write, &m->mfn);
	if (op->status != GNTST_okay)
		goto free_handle;
	op->status = (s16)map_page(ld, gfn, m->mfn, write);
	if (op->status != GNTST_okay)
		goto unpin;
	domain_hold(rd);
	m->rd = rd;
	m->gfn = gfn;
	m->ref = op->ref;
	m->write = write;
	atomic_store(&m->state, MT_MAPPED);	/* last: now others may claim it */
	op->handle = handle;
	op->dev_bus_addr = 0;
	return;
unpin:
	grant_unpin(rd, op->ref, write);
free_handle:
	maptrack_put(t, m, handle);
}

void grant_map(struct domain *ld, struct gnttab_map_grant_ref *ops, unsigned n)
{
	struct domain *rd = NULL;

	for (struct gnttab_map_grant_ref *op = ops; op < ops + n; op++) {
		if (!rd || rd->id != op->dom) {
			if (rd)
				domain_put(rd);
			rd = domain_get(op->dom);
		}
		map_one(ld, rd, op);
	}
	if (rd)
		domain_put(rd);
}

/* Ends the mapping of a handle that the caller made MT_BUSY. The pin outlasts the translation. */
static void drop_mapping(struct domain *ld, u32 handle, struct maptrack *m)
{
	struct domain *rd = m->rd;

	BUG_ON(p2m_unmap(ld, m->gfn, GRANT_TYPES));
	grant_unpin(rd, m->ref, m->write);
	domain_put(rd);
	maptrack_put(ld->grants, m, handle);
}

/* Makes the handle MT_BUSY and sets *found to its entry. Returns a GNTST_*. */
static int claim_mapping(struct domain *ld, const struct gnttab_unmap_grant_ref *op,
			 struct maptrack **found)
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
	if (m->gfn != op->host_addr >> PAGE_SHIFT)
		return GNTST_general_error;
	m->state = MT_BUSY;
	*found = m;
	return GNTST_okay;
}

void grant_unmap(struct domain *ld, struct gnttab_unmap_grant_ref *op)
{
	struct maptrack *m = NULL;

	op->status = (s16)claim_mapping(ld, op, &m);
	if (m)
		drop_mapping(ld, op->handle, m);
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
		drop_mapping(d, handle, m);
	}
	return 0;
}

/* Copying */

struct copy_end {
	struct domain *d;
	bool by_ref, write;
	grant_ref_t ref;
	gfn_t gfn;
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
	c->gfn = p->u.gmfn;
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
	if (c->write && !c->by_ref)
		dirty_log_page(c->d, c->gfn);
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
			memmove(guest_write_page(dst.mfn, op->dest.offset),
				guest_read_page(src.mfn, op->source.offset), op->len);
		copy_release(&dst);
	}
	copy_release(&src);
}
