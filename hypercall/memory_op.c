/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_op: the memory map, and the contents of a guest's physical address space. The domain's
 * limit bounds its pages. Long lists restart themselves with the number of finished items in the
 * command's upper bits, as in Xen. d->lock protects the locations of shared_info and the grant
 * table. xen/memory.h
 */
#include <margay/boot_state.h>
#include <margay/grant.h>

#include "hypercall_priv.h"

#define CMD_BITS 6U
#define PAGES_DONE 32	/* pages done of the next extent, in a restarted reservation */
#define UNDO (1U << 16)	/* that many pages are to be removed again */
#define CMD_MASK ((1UL << CMD_BITS) - 1)
#define MAX_ORDER 9U	/* of an extent; 18 where a control domain populates another */
#define MAX_ORDER_32 5U /* for 32-bit callers, whose EBX has no room for PAGES_DONE */
#define HUGE_ORDER 18U
/* XENMAPSPACE_gmfn_foreign of DOMID_XEN: trace rings, as in Xen. Guests cannot pass this number. */
#define MAPSPACE_MARGAY (1UL << 32)

/* Mappings that a memory operation may replace or remove. Others end by their handles. */
#define REPLACEABLE (1U << P2M_RAM | 1U << P2M_SHARED | 1U << P2M_SHARED_RO)
#define REMOVABLE (REPLACEABLE | 1U << P2M_FOREIGN)

static bool may_unmap(enum p2m_type type)
{
	return REPLACEABLE >> type & 1;
}

/* Reservations. */

/*
 * Removes pages of [gfn, gfn + n) in one step: a chunk, or a batch. Returns the number; 0: the
 * first cannot be removed.
 */
static unsigned remove_some(struct domain *d, gfn_t gfn, unsigned n)
{
	if (n == CHUNK_PAGES && !(gfn % CHUNK_PAGES) && p2m_lookup(d, gfn).order &&
	    may_unmap(p2m_lookup(d, gfn).type))
		return p2m_unmap_pages(d, gfn, n, REPLACEABLE);
	return p2m_unmap_pages(d, gfn, min(n, P2M_BATCH), REMOVABLE);
}

static bool may_populate(struct domain *d, gfn_t gfn, unsigned n)
{
	struct p2m_entry e = p2m_lookup(d, gfn);

	if (!(gfn % n) && 1U << e.order >= n)
		return e.type == P2M_NONE || may_unmap(e.type);
	for (unsigned i = 0; i < n; i++) {
		enum p2m_type type = p2m_lookup(d, gfn + i).type;

		if (type != P2M_NONE && !may_unmap(type))
			return false;
	}
	return true;
}

/* Adds RAM to [gfn, gfn + n), at most a batch. Returns the number of pages added. */
static unsigned populate_some(struct domain *d, gfn_t gfn, unsigned n)
{
	unsigned i;
	mfn_t mfn;

	for (i = 0; i < min(n, P2M_BATCH) && !dom_alloc(d, 0, &mfn); i++) {
		if (p2m_map(d, gfn + i, mfn, 0, P2M_RAM)) {
			dom_free(d, mfn, 0);
			break;
		}
	}
	return i;
}

/* Populates a gigabyte with one mapping where nothing smaller is mapped. As populate(). */
static int populate_huge(struct domain *d, gfn_t gfn)
{
	mfn_t mfn;
	int rc;

	if (gfn % (1UL << HUGE_ORDER) || p2m_max_order() < HUGE_ORDER)
		return 0;
	while ((rc = dom_alloc(d, HUGE_ORDER, &mfn)) == -EAGAIN)
		if (hcall_preempt())
			return -ERESTART;
	if (rc)
		return 0;
	if (!p2m_map(d, gfn, mfn, HUGE_ORDER, P2M_RAM))
		return 1;
	for (u64 i = 0; i < 1UL << HUGE_ORDER; i += CHUNK_PAGES)
		dom_free(d, mfn + i, MAX_ORDER);
	return 0;
}

/*
 * Populates an extent from page *at on: all of it or nothing. 1 done, 0 refused, -ERESTART when the
 * CPU has other work. A guest that makes up *at undoes only its own pages. Uses single pages if
 * the extent is unaligned or not of order 9.
 */
static int populate(struct domain *d, gfn_t gfn, unsigned order, unsigned *at)
{
	unsigned n = 1U << order, got;
	mfn_t mfn;
	int rc;

	if (order == HUGE_ORDER)
		return populate_huge(d, gfn);
	if (!*at && !may_populate(d, gfn, n))
		return 0;
	if (!*at && order == MAX_ORDER && !(gfn % CHUNK_PAGES)) {
		while ((rc = dom_alloc(d, order, &mfn)) == -EAGAIN)
			if (hcall_preempt())
				return -ERESTART;
		if (!rc && !p2m_map(d, gfn, mfn, order, P2M_RAM))
			return 1;
		/* A table of small mappings exists: replace them one by one. */
		if (!rc)
			dom_free(d, mfn, order);
	}
	while (*at < n) {	/* not with UNDO */
		got = populate_some(d, gfn + *at, n - *at);
		*at += got;
		if (got < P2M_BATCH && *at < n)
			break;
		if (*at < n && hcall_preempt())
			return -ERESTART;
	}
	if (*at == n)
		return 1;
	*at |= UNDO;
	while (*at > UNDO) {
		n = min(*at - UNDO, P2M_BATCH);
		*at -= n;
		if (remove_some(d, gfn + (*at - UNDO), n) < n)
			break;
		if (hcall_preempt())
			return -ERESTART;
	}
	return 0;
}

/* Like populate(), but does not undo a partial removal. */
static int depopulate(struct domain *d, gfn_t gfn, unsigned order, unsigned *at)
{
	unsigned n = 1U << order, got;

	while (*at < n) {
		got = remove_some(d, gfn + *at, n - *at);
		/* The balloon takes pages that were never touched. */
		if (!got && p2m_lookup(d, gfn + *at).type == P2M_NONE && on_demand(d, gfn + *at))
			got = 1;
		if (!got)
			return 0;
		*at += got;
		if (*at < n && hcall_preempt())
			return -ERESTART;
	}
	return 1;
}

/*
 * Returns whether the extents from i on are the single pages of a chunk, in order: those of a guest
 * that the tools restore.
 */
static bool is_chunk(const struct vcpu *v, const struct xen_memory_reservation *r, u32 i, gfn_t gfn)
{
	xen_pfn_t next;
	unsigned n = 1;

	if (r->extent_order || gfn % CHUNK_PAGES || i + CHUNK_PAGES > r->nr_extents)
		return false;
	while (n < CHUNK_PAGES && !read_long(v, &next, handle_va(r->extent_start), i + n) &&
	       next == gfn + n)
		n++;
	return n == CHUNK_PAGES;
}

/*
 * Returns the number of extents done, whatever the reason to stop. A restart keeps the extents done
 * in bits 6 to 31 of the command, as in Xen, and the pages done of the next extent above.
 * increase_reservation does nothing: a translated domain could not reach the pages.
 */
static long do_extents(struct vcpu *v, struct domain *d, struct regs *h,
		       const struct xen_memory_reservation *r, u32 start)
{
	u32 op = h->rdi & CMD_MASK, i, step;
	unsigned at = (unsigned)(h->rdi >> PAGES_DONE);

	for (i = start; i < r->nr_extents; i += step) {
		xen_pfn_t gfn;
		int done = -ERESTART;

		step = 1;
		if (i == start || !hcall_preempt()) {
			if (read_long(v, &gfn, handle_va(r->extent_start), i))
				break;
			if (op == XENMEM_decrease_reservation) {
				done = depopulate(d, gfn, r->extent_order, &at);
			} else if (d == v->domain) {
				done = populate(d, gfn, r->extent_order, &at);
			} else if (r->mem_flags & XENMEMF_populate_on_demand) {
				done = !on_demand_add(d, gfn, r->extent_order);
			} else if (is_chunk(v, r, i, gfn)) {
				step = CHUNK_PAGES;
				done = populate(d, gfn, MAX_ORDER, &at);
			} else {
				at = r->extent_order ? at : 0;
				done = populate(d, gfn, r->extent_order, &at);
			}
		}
		if (done == -ERESTART) {
			h->rdi = op | (u64)i << CMD_BITS | (u64)at << PAGES_DONE;
			return HCALL_RESTART;
		}
		if (!done)
			break;
		at = 0;
	}
	return (long)i;
}

static __noinline long reservation(struct vcpu *v, struct regs *h)
{
	u32 op = h->rdi & CMD_MASK, start = (u32)h->rdi >> CMD_BITS;
	struct xen_memory_reservation r;
	unsigned most = v->arg64 ? MAX_ORDER_32 : MAX_ORDER, order;
	struct domain *d puts_domain = NULL;
	long ret = start;

	if (guest_read(&r, h->rsi, 0) || r.nr_extents > ~0U >> CMD_BITS || start >= r.nr_extents ||
	    hcall_domain(v, r.domid, &d))
		return ret;
	if (d != v->domain && op == XENMEM_populate_physmap)
		most = HUGE_ORDER;
	order = r.extent_order || most <= MAX_ORDER ? r.extent_order : MAX_ORDER; /* is_chunk() */
	if (op == XENMEM_increase_reservation)
		hcall_unsupported(v, "memory_op", op);
	else if (r.extent_order <= most &&
		 (r.extent_order <= MAX_ORDER || most == r.extent_order) &&
		 (unsigned)(h->rdi >> PAGES_DONE & ~(u64)UNDO) < 1U << order)
		ret = do_extents(v, d, h, &r, start);
	return ret;
}

/*
 * A control domain announces how many pages it is about to populate: libxl asks before it builds a
 * domain, so that one that does not fit fails early. Nothing is set aside for it.
 */
static long claim_pages(struct vcpu *v, gvaddr_t arg)
{
	struct xen_memory_reservation r;
	struct mem_stats st;
	struct domain *d puts_domain = NULL;
	long ret;

	if (!v->domain->control)
		return -EPERM;
	if (guest_read(&r, arg, 0))
		return -EFAULT;
	if (r.extent_order || r.mem_flags)
		return -EINVAL;
	ret = hcall_domain(v, r.domid, &d);
	if (ret)
		return ret;
	mem_stats(&st);
	if (r.nr_extents > READ_ONCE(d->tot_pages) &&
	    r.nr_extents - READ_ONCE(d->tot_pages) > st.free_pages)
		ret = -ENOMEM;
	return ret;
}

static long query(struct vcpu *v, u32 op, gvaddr_t arg)
{
	struct domain *d puts_domain = NULL;
	domid_t id;
	long ret;

	if (guest_read(&id, arg, 0))
		return -EFAULT;
	ret = hcall_domain(v, id, &d);
	if (ret)
		return ret;
	switch (op) {
	case XENMEM_current_reservation: return (long)READ_ONCE(d->tot_pages);
	case XENMEM_maximum_reservation: return (long)READ_ONCE(d->max_pages);
	default: return (long)READ_ONCE(d->max_gfn);
	}
}

/* The address space. */

/* Moves Margay's page, or one of the grant table, to gfn. Called with d->lock. */
static int place_shared(struct domain *d, gfn_t gfn, mfn_t mfn, gfn_t *where)
{
	int err = p2m_map_over(d, gfn, mfn, P2M_SHARED, REPLACEABLE);
	struct p2m_entry e;

	if (err)
		return err;
	e = p2m_lookup(d, *where);
	if (*where != gfn && e.type == P2M_SHARED && e.mfn == mfn)
		p2m_unmap(d, *where, 1U << P2M_SHARED);
	*where = gfn;
	return 0;
}

/* Moves a page of RAM between gfns. Called with d->lock. */
static int move_page(struct domain *d, gfn_t from, gfn_t to)
{
	struct p2m_entry e = p2m_lookup(d, from), target = p2m_lookup(d, to);
	int err;

	if (e.type != P2M_RAM || (target.type != P2M_NONE && !may_unmap(target.type)))
		return -EINVAL;
	if (from == to)
		return 0;
	err = p2m_detach(d, from, 1U << P2M_RAM, &e);
	if (err)
		return err;
	err = p2m_map_over(d, to, e.mfn, P2M_RAM, REPLACEABLE);
	if (err && p2m_map_over(d, from, e.mfn, P2M_RAM, REPLACEABLE))
		dom_free(d, e.mfn, 0);
	return err;
}

/*
 * Maps page idx of rd to gfn of the control domain d (P2M_FOREIGN). The mapping holds a reference
 * to rd and, if the page is rd's own, to the page. Pages of its grant table are Margay's, have no
 * references, and last as long as the domain.
 */
static int add_foreign(struct domain *d, struct domain *rd, gfn_t idx, gfn_t gfn)
{
	struct p2m_entry e;
	mfn_t mfn;
	int err;

	/* What a guest of a control domain's writes to the last initial domain would be lost. */
	if (rd->initial)
		return -EPERM;
	if (unlikely(p2m_get_page(rd, idx, &mfn))) {
		e = p2m_lookup(rd, idx);
		if (e.type != P2M_SHARED || !grant_has_frame(rd, e.mfn))
			return -EINVAL;
		mfn = e.mfn;
	}
	domain_hold(rd);
	err = p2m_map_foreign(d, gfn, mfn, rd, REPLACEABLE);
	if (unlikely(err)) {
		page_put(rd, mfn);
		domain_put(rd);
	}
	return err;
}

/* Adds one page to d, which the caller may name. */
static int add_one(struct domain *d, u64 space, u64 idx, gfn_t gfn)
{
	mfn_t mfn;
	int err;

	guard(&d->lock);
	switch (space) {
	case XENMAPSPACE_shared_info:
		mfn = virt_to_mfn(d->shared_info);
		return idx ? -EINVAL : place_shared(d, gfn, mfn, &d->shared_info_gfn);
	case XENMAPSPACE_grant_table:
		if (idx >= GRANT_MAX_FRAMES)
			return -EINVAL;
		err = grant_frame(d, (unsigned)idx, &mfn);
		return err ? err : place_shared(d, gfn, mfn, grant_frame_gfn(d, (unsigned)idx));
	case XENMAPSPACE_gmfn:
	case XENMAPSPACE_gmfn_range:
		return move_page(d, idx, gfn);
	case MAPSPACE_MARGAY:
		if (!d->control)
			return -EPERM;
		return trace_page(idx) ? p2m_map_over(d, gfn, idx, P2M_SHARED_RO, REPLACEABLE) :
					 -EINVAL;
	default:
		return -EINVAL;
	}
}

static long add_range(struct domain *d, struct regs *h, const struct xen_add_to_physmap *a)
{
	u64 done = h->rdi >> CMD_BITS;
	int err;

	if (a->space != XENMAPSPACE_gmfn_range)
		return done ? -EINVAL : add_one(d, a->space, a->idx, a->gpfn);
	if (done > a->size)
		return -EILSEQ;
	for (; done < a->size; done++) {
		err = add_one(d, a->space, a->idx + done, a->gpfn + done);
		if (err)
			return err;
		if (done + 1 < a->size && hcall_preempt()) {
			h->rdi = XENMEM_add_to_physmap | (done + 1) << CMD_BITS;
			return HCALL_RESTART;
		}
	}
	return 0;
}

static __noinline long add_to_physmap(struct vcpu *v, struct regs *h)
{
	struct xen_add_to_physmap a;
	struct domain *d puts_domain = NULL;
	long ret;

	if (guest_read(&a, h->rsi, 0))
		return -EFAULT;
	if (a.space == XENMAPSPACE_gmfn_foreign)
		return -ENOSYS;
	ret = hcall_domain(v, a.domid, &d);
	return ret ? ret : add_range(d, h, &a);
}

/* other: the domain of foreign pages; or NULL: each page is refused for the reason `refusal`. */
static long add_batch(struct vcpu *v, struct regs *h, const struct xen_add_to_physmap_batch *a,
		      struct domain *other, int refusal)
{
	u64 done = h->rdi >> CMD_BITS;
	bool xen = a->u.foreign_domid == DOMID_XEN;
	int err;

	if (done > a->size || (done && done == a->size))
		return -EILSEQ;
	while (done < a->size) {
		xen_ulong_t idx;
		xen_pfn_t gpfn;

		if (read_long(v, &idx, handle_va(a->idxs), done) ||
		    read_long(v, &gpfn, handle_va(a->gpfns), done))
			return -EFAULT;
		err = refusal                              ? refusal :
		      a->space != XENMAPSPACE_gmfn_foreign ? add_one(other, a->space, idx, gpfn) :
		      xen ? add_one(other, MAPSPACE_MARGAY, idx, gpfn) :
			    add_foreign(v->domain, other, idx, gpfn);
		if (guest_write(handle_va(a->errs), done, &err))
			return -EFAULT;
		if (++done < a->size && hcall_preempt()) {
			h->rdi = XENMEM_add_to_physmap_batch | done << CMD_BITS;
			return HCALL_RESTART;
		}
	}
	return 0;
}

/* Only a control domain may name another, and foreign pages go to the caller's own space. */
static __noinline long add_to_physmap_batch(struct vcpu *v, struct regs *h)
{
	struct xen_add_to_physmap_batch a;
	struct domain *other puts_domain = NULL;
	int refusal = 0;
	long ret;

	if (guest_read(&a, h->rsi, 0))
		return -EFAULT;
	if (a.space == XENMAPSPACE_gmfn_range)
		return -EOPNOTSUPP;
	if (a.space == XENMAPSPACE_gmfn_foreign && a.u.foreign_domid != DOMID_XEN) {
		if (a.domid != DOMID_SELF && a.domid != v->domain->id)
			return -EPERM;
		refusal = hcall_foreign(v, a.u.foreign_domid, &other);
	} else {
		ret = hcall_domain(v, a.domid, &other);
		if (ret)
			return ret;
	}
	return add_batch(v, h, &a, other, refusal);
}

static __noinline long remove_from_physmap(struct vcpu *v, gvaddr_t arg)
{
	struct xen_remove_from_physmap a;
	struct domain *d puts_domain = NULL;
	long ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = hcall_domain(v, a.domid, &d);
	return ret ? ret : p2m_unmap(d, a.gpfn, REMOVABLE) ? -ENOENT : 0;
}

/* Maps page i of rd's grant table to gfn of the control domain d. */
static int acquire_frame(struct domain *d, struct domain *rd, u64 i, gfn_t gfn)
{
	mfn_t mfn;
	int err = i < GRANT_MAX_FRAMES ? grant_frame(rd, (unsigned)i, &mfn) : -EINVAL;

	if (err)
		return err;
	domain_hold(rd);
	err = p2m_map_foreign(d, gfn, mfn, rd, REPLACEABLE);
	if (err)
		domain_put(rd);
	return err;
}

/* A control domain maps the grant table of a domain that it builds. */
static long acquire_resource(struct vcpu *v, gvaddr_t arg)
{
	struct xen_mem_acquire_resource a;
	struct domain *rd puts_domain = NULL;
	long ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	if (a.pad)
		return -EINVAL;
	ret = hcall_foreign(v, a.domid, &rd);
	if (ret)
		return ret;
	if (a.type != XENMEM_resource_grant_table ||
	    a.id != XENMEM_resource_grant_table_id_shared) {
		ret = -EOPNOTSUPP;
	} else if (!handle_va(a.frame_list)) {
		ret = -EINVAL;
		if (!a.nr_frames) {
			a.nr_frames = GRANT_MAX_FRAMES;
			ret = guest_write(arg, 0, &a);
		}
	} else if (a.nr_frames > GRANT_MAX_FRAMES) {
		ret = -E2BIG;
	}
	for (u32 i = 0; !ret && handle_va(a.frame_list) && i < a.nr_frames; i++) {
		xen_pfn_t gfn;

		if (guest_read(&gfn, handle_va(a.frame_list), i))
			ret = -EFAULT;
		else
			ret = acquire_frame(v->domain, rd, a.frame + i, gfn);
	}
	return ret;
}

/* The limit of memory on demand is the domain's (max_mem), so there is no target to follow. */
static long pod_target(struct vcpu *v, gvaddr_t arg)
{
	struct xen_pod_target t;
	struct domain *d puts_domain = NULL;
	long ret;

	if (guest_read(&t, arg, 0))
		return -EFAULT;
	/* Of itself, too: `xl mem-set 0`, and what makes room for a new guest. */
	ret = v->domain->control ? hcall_domain(v, t.domid, &d) : -EPERM;
	if (ret)
		return ret;
	t.tot_pages = READ_ONCE(d->tot_pages);
	t.pod_cache_pages = t.pod_entries = 0;
	return guest_write(arg, 0, &t);
}

static long set_memory_map(struct vcpu *v, gvaddr_t arg)
{
	struct xen_foreign_memory_map a;
	struct domain *d puts_domain = NULL;
	long ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = hcall_foreign(v, a.domid, &d);
	if (ret)
		return ret;
	if (a.map.nr_entries > MEMORY_MAP_MAX)
		ret = -E2BIG;
	else if (copy_from_guest(d->memory_map, handle_va(a.map.buffer),
				 a.map.nr_entries * sizeof(d->memory_map[0])))
		ret = -EFAULT;
	d->nr_memory_map = ret ? 0 : a.map.nr_entries;
	return ret;
}

static long memory_map(struct vcpu *v, gvaddr_t arg)
{
	const struct domain *d = v->domain;
	struct xen_memory_map map;

	if (guest_read(&map, arg, 0))
		return -EFAULT;
	map.nr_entries = min(map.nr_entries, READ_ONCE(d->nr_memory_map));
	if (copy_to_guest(handle_va(map.buffer), d->memory_map,
			  map.nr_entries * sizeof(d->memory_map[0])))
		return -EFAULT;
	return guest_write(arg, 0, &map);
}

/* What does not begin again by itself. */
static __noinline long short_op(struct vcpu *v, u32 op, gvaddr_t arg)
{
	switch (op) {
	case XENMEM_maximum_ram_page: return (long)(boot_info.ram_end >> PAGE_SHIFT);
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
	case XENMEM_maximum_gpfn: return query(v, op, arg);
	case XENMEM_memory_map: return memory_map(v, arg);
	case XENMEM_exchange:
	case XENMEM_get_vnumainfo:
		hcall_unsupported(v, "memory_op", op);
		return -EOPNOTSUPP;
	case XENMEM_claim_pages: return claim_pages(v, arg);
	case XENMEM_set_memory_map: return set_memory_map(v, arg);
	case XENMEM_set_pod_target:
	case XENMEM_get_pod_target: return pod_target(v, arg);
	case XENMEM_acquire_resource: return acquire_resource(v, arg);
	default:
		return hcall_unsupported(v, "memory_op", op);
	}
}

static __noinline long long_op(struct vcpu *v, struct regs *h)
{
	u32 op = h->rdi & CMD_MASK;
	bool continued = h->rdi >> CMD_BITS;

	if (continued)
		hcall_recount(v, __HYPERVISOR_memory_op, h->rdi, op);
	switch (op) {
	case XENMEM_add_to_physmap_batch: return add_to_physmap_batch(v, h);
	case XENMEM_increase_reservation:
	case XENMEM_decrease_reservation:
	case XENMEM_populate_physmap: return reservation(v, h);
	case XENMEM_add_to_physmap: return add_to_physmap(v, h);
	default: return continued ? -EINVAL : short_op(v, op, h->rsi);
	}
}

/* First what a control domain does for each page of a foreign mapping. */
long do_memory_op(struct vcpu *v, struct regs *h)
{
	if (h->rdi == XENMEM_remove_from_physmap)
		return remove_from_physmap(v, h->rsi);
	if (h->rdi == XENMEM_add_to_physmap_batch)
		return add_to_physmap_batch(v, h);
	return long_op(v, h);
}
