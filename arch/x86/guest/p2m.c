/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical-to-machine map: nested page tables, which the CPU and Margay walk. Walking and
 * splitting are the same for NPT and EPT; only a leaf's rights differ. Entries change under
 * d->p2m.lock with single stores, so readers need no lock. An entry stays valid for a reader until
 * its vCPU ends the copy (v->copying_guest_memory) or puts its reference: p2m_flush() waits for
 * that before a page is released. APM2 15.25.
 */
#include <margay/domain_parts.h>
#include <margay/guest_copy.h>
#include <x86/mtrr.h>

#include "p2m_priv.h"

#define SLOT_SHIFT 55		/* of P2M_FOREIGN: the slot of the page's domain; ignored, too */
#define TEARDOWN_CHUNK TEARDOWN_BATCH /* cost of a chunk to scrub, in entries */
#define TEARDOWN_TABLE 4U

static void *p2m_new_table(struct page_table *pt)
{
	struct domain *d = container_of(pt, struct domain, p2m.pt);
	void *t = dom_alloc_meta(d, 1);

	d->p2m.table_pages += !!t;
	return t;
}

/*
 * Splits a leaf. A 4K page regains the execute right that p2m_split_code() keeps from larger
 * leaves.
 */
static u64 split_leaf(struct page_table *pt, u64 e, unsigned level)
{
	struct p2m *p = container_of(pt, struct p2m, pt);

	p->entries[level]--;
	p->entries[level - 1] += 512;
	return level == 1 ? e | (hvm->leaf[type_of(e)] & EPT_X) : e;
}

/* In EPT these three bits are read, write and execute. */
static const struct pt_format nested = { .table = PTE_P | PTE_W | PTE_U,
					 .new_table = p2m_new_table,
					 .split = split_leaf };

void p2m_free_table(struct domain *d, u64 *t)
{
	dom_free_meta(d, t, 1);
	d->p2m.table_pages--;
}

static int p2m_init(struct domain *d)
{
	spin_init(&d->p2m.lock, LOCK_P2M);
	list_init(&d->p2m.listeners);
	d->p2m.pt.format = &nested;
	d->p2m.pt.root = p2m_new_table(&d->p2m.pt);
	return d->p2m.pt.root ? 0 : -ENOMEM;
}

struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn)
{
	unsigned level = 0;
	u64 *at, e = gfn < GFN_LIMIT ? pt_walk(&d->p2m.pt, gfn, &level, &at) : 0;

	if (!(e & PTE_P))
		return (struct p2m_entry){ INVALID_MFN, P2M_NONE, (u8)(9 * level) };
	return (struct p2m_entry){ mfn_of(e) + (gfn & ((1UL << 9 * level) - 1)), type_of(e),
				   (u8)(9 * level) };
}

static __noinline void tell_listeners(struct domain *d, gfn_t gfn, unsigned level, u64 before,
				      u64 after)
{
	struct p2m_listener *l;

	list_for_each(l, &d->p2m.listeners, link)
		l->changed(l, d, gfn, 9 * level, mfn_of(after), type_of(before), type_of(after));
}

/* Asks the listeners whether they have what a change needs. With d->p2m.lock. */
static __noinline int ask_listeners(struct domain *d, gfn_t gfn, unsigned level)
{
	struct p2m_listener *l;
	int rc = 0;

	list_for_each(l, &d->p2m.listeners, link)
		if (l->prepare && !rc)
			rc = l->prepare(l, d, gfn, 9 * level);
	return rc;
}

/*
 * Changes a leaf and calls the listeners; every change goes through here. Called with d->p2m.lock
 * held, or when nothing runs in d any more.
 */
static inline u64 change_leaf(struct domain *d, gfn_t gfn, unsigned level, u64 *at, u64 new)
{
	u64 old = atomic_xchg(at, new);

	d->p2m.entries[level] += !!(new &PTE_P) - !!(old & PTE_P);
	if (unlikely(!list_empty(&d->p2m.listeners)))
		tell_listeners(d, gfn, level, old, new);
	return old;
}

/* Returns the entry of gfn in the table that was changed last, or NULL. With d->p2m.lock. */
static inline u64 *find_recent(struct p2m *p, gfn_t gfn)
{
	u64 i = gfn - p->recent_gfn;

	return likely(i < p->recent_pages) ? &p->recent[mask_nospec(i, 512)] : NULL;
}

/* As pt_walk(), with d->p2m.lock. */
static inline u64 *find_leaf(struct p2m *p, gfn_t gfn, unsigned *level)
{
	u64 *at = find_recent(p, gfn);

	*level = 0;
	if (at)
		return at;
	pt_walk(&p->pt, gfn, level, &at);
	if (!*level && list_empty(&p->listeners)) {
		p->recent = at - gfn % 512;
		p->recent_gfn = gfn & ~511UL;
		p->recent_pages = 512;
	}
	return at;
}

/*
 * Maps the 4K page that a guest executes, where large pages are not executable. Needs no flush:
 * other CPUs may keep using the old entry, which is not executable. Returns 0 or -ENOMEM.
 */
int p2m_split_code(struct domain *d, gfn_t gfn)
{
	guard(&d->p2m.lock);
	return pt_make(&d->p2m.pt, gfn, 0) ? 0 : -ENOMEM;
}

/*
 * Sets the entry for gfn at the level. Makes tables and splits larger leaves on the way. Returns
 * -EBUSY if smaller mappings exist there: they are not replaced. Returns -ENOENT if new is 0 and
 * nothing is mapped, -EINVAL if what is mapped has a type that is not in the mask `over`.
 */
static __always_inline int set_entry(struct domain *d, gfn_t gfn, unsigned level, u64 new, u32 over,
				     u64 *old)
{
	unsigned found;
	u64 *at, e;

	if (gfn >= GFN_LIMIT)
		return -ENOENT;
	guard(&d->p2m.lock);
	at = find_leaf(&d->p2m, gfn, &found);
	e = *at;
	if (!(e & PTE_P) && !new)
		return -ENOENT;
	if (found < level)
		return -EBUSY;
	if ((e & PTE_P) && !(over >> type_of(e) & 1))
		return -EINVAL;
	if (found > level)
		at = pt_make(&d->p2m.pt, gfn, level);
	if (!at || (unlikely(!list_empty(&d->p2m.listeners)) && ask_listeners(d, gfn, level)))
		return -ENOMEM;
	*old = change_leaf(d, gfn, level, at, new);
	return 0;
}

/*
 * Frees the RAM that a leaf mapped. Called after the flush. For other types, the owner of the
 * mapping releases the pages.
 */
static inline void free_leaf(struct domain *d, u64 e, unsigned level)
{
	mfn_t mfn = mfn_of(e);

	if (type_of(e) == P2M_FOREIGN) {
		d = domain_slots[e >> SLOT_SHIFT & (POLICY_MAX_DOMAINS - 1)];
		if (e & x86.nested_dirty)
			dirty_log_all(d);
		page_put(d, mfn);
		domain_put(d);
		return;
	}
	if (type_of(e) != P2M_RAM)
		return;
	for (u64 i = 0; level == 2 && i < 512; i++)
		dom_free(d, mfn + i * CHUNK_PAGES, 9);
	if (level < 2)
		dom_free(d, mfn, 9 * level);
}

static inline void flush_after(struct domain *d, bool transient);

static __always_inline int map_entry(struct domain *d, gfn_t gfn, unsigned order, u64 new, u32 over)
{
	unsigned level = order / 9;
	u64 old;
	int rc;

	if (gfn >= GFN_LIMIT)
		return -EINVAL;
	rc = set_entry(d, gfn, level, new, over, &old);
	if (rc)
		return rc;
	d->max_gfn = max(d->max_gfn, gfn + (1UL << order) - 1);
	if (old & PTE_P) {
		flush_after(d, p2m_transient(type_of(old)));
		free_leaf(d, old, level);
	}
	return 0;
}

/*
 * Sets a 4K entry beside the last one: a hole, or a leaf of a type in `over`. Calls nothing. False:
 * set_entry() must do it.
 */
static __always_inline bool set_neighbour(struct domain *d, gfn_t gfn, u64 new, u32 over, u64 *old)
{
	struct p2m *p = &d->p2m;
	u64 *at, e;
	bool ok = false;

	spin_lock(&p->lock);
	at = find_recent(p, gfn);
	if (likely(at)) {
		e = *at;
		ok = pt_present(e) ? over >> type_of(e) & 1 : new;
	}
	if (likely(ok)) {
		*old = atomic_xchg(at, new);
		p->entries[0] += !!new - (*old & PTE_P);
	}
	spin_unlock(&p->lock);
	return ok;
}

static __noinline int map_page(struct domain *d, gfn_t gfn, u64 new, u32 over)
{
	return map_entry(d, gfn, 0, new, over);
}

/* Maps a page, most likely in a hole. */
static inline int map_new_page(struct domain *d, gfn_t gfn, u64 new, u32 over)
{
	u64 old;

	if (unlikely(!set_neighbour(d, gfn, new, 0, &old)))
		return map_page(d, gfn, new, over);
	d->max_gfn = max(d->max_gfn, gfn);
	return 0;
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	unsigned level = order / 9;

	if (((gfn | mfn) & ((1UL << order) - 1)) || order % 9 || level > 2)
		return -EINVAL;
	return map_entry(d, gfn, order, p2m_leaf(mfn, type, level), ~P2M_TRANSIENT);
}

int p2m_map_device(struct domain *d, gfn_t gfn, unsigned order)
{
	u64 size = PAGE_SIZE << order, len = size, e;
	u8 type = mtrrs.nr_regs ? mtrr_type(&mtrrs, gfn << PAGE_SHIFT, &len) : MEMTYPE_UC;

	if (len < size)
		return -EBUSY;
	e = p2m_leaf(gfn, type == MEMTYPE_WB ? P2M_SHARED : P2M_MMIO, order / 9);
	return map_entry(d, gfn, order, (e & ~TYPE_MASK) | (u64)P2M_MMIO << TYPE_SHIFT, 0);
}

int p2m_map_over(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, u32 over)
{
	return map_new_page(d, gfn, p2m_leaf(mfn, type, 0), over);
}

int p2m_map_foreign(struct domain *d, gfn_t gfn, mfn_t mfn, const struct domain *rd, u32 over)
{
	u64 e = p2m_leaf(mfn, P2M_FOREIGN, 0) | (u64)rd->slot << SLOT_SHIFT;

	/* Its end shows whether d has written to the page. */
	return map_new_page(d, gfn, rd->p2m.log.on ? e & ~x86.nested_dirty : e, over);
}

static inline void release_leaf(struct domain *d, u64 old)
{
	flush_after(d, p2m_transient(type_of(old)));
	free_leaf(d, old, 0);
}

static __noinline int unmap_page(struct domain *d, gfn_t gfn, u32 types)
{
	u64 old;
	int rc = set_entry(d, gfn, 0, 0, types, &old);

	if (!rc)
		release_leaf(d, old);
	return rc;
}

int p2m_unmap(struct domain *d, gfn_t gfn, u32 types)
{
	u64 old;

	if (unlikely(!set_neighbour(d, gfn, 0, types, &old)))
		return unmap_page(d, gfn, types);
	release_leaf(d, old);
	return 0;
}

unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n, u32 types)
{
	u64 old[P2M_BATCH];
	unsigned i, level = n == CHUNK_PAGES ? 1 : 0;
	bool transient = true;

	if (level)
		n = 1;
	for (i = 0; i < min(n, P2M_BATCH) && !set_entry(d, gfn + i, level, 0, types, &old[i]); i++)
		transient &= p2m_transient(type_of(old[i]));
	if (i)
		flush_after(d, transient);
	for (n = 0; n < i; n++)
		free_leaf(d, old[n], level);
	return level ? i * CHUNK_PAGES : i;
}

int p2m_detach(struct domain *d, gfn_t gfn, u32 types, struct p2m_entry *out)
{
	u64 old;
	int rc = set_entry(d, gfn, 0, 0, types, &old);

	if (rc)
		return rc;
	flush_after(d, p2m_transient(type_of(old)));
	*out = (struct p2m_entry){ mfn_of(old), type_of(old), 0 };
	return 0;
}

unsigned p2m_max_order(void)
{
	return x86.nested_page1g ? 18 : 9;
}

int p2m_get_page(struct domain *d, gfn_t gfn, mfn_t *mfn)
{
	unsigned level;
	u64 e, *at;
	int rc;

	if (gfn >= GFN_LIMIT)
		return -EINVAL;
	e = pt_walk(&d->p2m.pt, gfn, &level, &at);
	if (unlikely(!(e & PTE_P) && d->nr_on_demand && !on_demand_allocate(d, gfn)))
		e = pt_walk(&d->p2m.pt, gfn, &level, &at);
	/* Only the domain's own pages: other domains may revoke the pages they granted. */
	if (type_of(e) != P2M_RAM)
		return -EINVAL;
	*mfn = mfn_of(e) + (gfn & ((1UL << 9 * level) - 1));
	rc = page_get(d, *mfn);
	/* The mapping may have been removed, or split, before the reference was taken. */
	if (!rc && unlikely(READ_ONCE(*at) != e) && p2m_lookup(d, gfn).mfn != *mfn) {
		page_put(d, *mfn);
		rc = -EINVAL;
	}
	return rc;
}

static __noinline void flush_others(struct domain *d, const struct vcpu *self)
{
	struct p2m_listener *l;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];

		if (!v || v == self)
			continue;
		atomic_or(&v->pending, VCPU_WORK_FLUSH);
		if (READ_ONCE(v->in_guest))
			arch_cpu_kick(v->cpu);
	}
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];

		if (!v || v == self)
			continue;
		while ((READ_ONCE(v->in_guest) && (READ_ONCE(v->pending) & VCPU_WORK_FLUSH)) ||
		       READ_ONCE(v->copying_guest_memory))
			cpu_relax();
	}
	list_for_each(l, &d->p2m.listeners, link)
		l->flush(l, d);
}

/*
 * Requests a flush of every vCPU of d and waits for those that run the guest or copy from it on
 * other CPUs. They leave without taking a lock, so the caller may hold locks. transient: no
 * translation that copies keep has changed.
 */
static inline void flush_after(struct domain *d, bool transient)
{
	struct vcpu *self = this_cpu()->current;
	bool own = self && self->domain == d;

	if (!transient)
		atomic_add(&d->p2m.generation, 1);
	if (likely(own))
		hvm->request_flush(self);
	if (d->nr_vcpus > own || unlikely(!list_empty(&d->p2m.listeners)))
		flush_others(d, self);
}

void p2m_flush(struct domain *d)
{
	flush_after(d, false);
}

/* Removes leaves and then tables, depth first. Returns false when the batch is used up. */
static bool teardown_table(struct domain *d, u64 *t, gfn_t gfn, unsigned level, unsigned *left)
{
	for (unsigned i = 0; i < 512; i++, gfn += 1UL << 9 * level) {
		u64 e = t[i];

		if (!(e & PTE_P))
			continue;
		if (!*left)
			return false;
		/*
		 * A 1 GiB leaf is 512 chunks to scrub: split it and free it by chunks, over many
		 * steps.
		 */
		if (level == 2 && pt_is_leaf(e, level) && type_of(e) == P2M_RAM &&
		    !pt_split(&d->p2m.pt, &t[i], level))
			e = t[i];
		if (pt_is_leaf(e, level)) {
			free_leaf(d, change_leaf(d, gfn, level, &t[i], 0), level);
			*left -= min(*left, level ? TEARDOWN_CHUNK : 1U);
		} else {
			if (!teardown_table(d, pt_table(e), gfn, level - 1, left))
				return false;
			t[i] = 0;
			p2m_free_table(d, pt_table(e));
			*left -= min(*left, TEARDOWN_TABLE);
		}
	}
	return true;
}

/* Unmaps a bounded number of pages. */
static int p2m_teardown(struct domain *d)
{
	unsigned left = TEARDOWN_BATCH;

	if (!d->p2m.pt.root)
		return 0;
	d->p2m.recent_pages = 0;
	if (!dirty_log_free(d, true))
		return -ERESTART;
	if (!teardown_table(d, d->p2m.pt.root, 0, PT_LEVELS - 1, &left))
		return -ERESTART;
	p2m_free_table(d, d->p2m.pt.root);
	d->p2m.pt.root = NULL;
	return 0;
}

const struct domain_part p2m_part = { .create = p2m_init, .destroy = p2m_teardown };
