/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domctl shadow_op: the log of a domain's dirty pages. One operation at a time works on a domain's log,
 * in steps: it restarts itself until it is done. The domain runs meanwhile. xen/domctl.h
 */
#include <margay/guest_copy.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>

#include "domctl.h"

#define TOOLS_FEW 50UL	/* SPP_TARGET_DIRTY_COUNT of libxenguest */
#define MAX_TABLES (PAGE_SIZE / sizeof(u64 *) - 1)

static void log_begin(const struct vcpu *v, struct domain *d, const struct xen_domctl_shadow_op *s)
{
	struct dirty_log *l = &d->p2m.log;

	l->busy = true;
	l->op = s->op;
	l->caller = v->domain->id;
	l->bitmap = handle_va(s->dirty_bitmap);
	l->next = l->dirty = 0;
	l->take_all = s->op == XEN_DOMCTL_SHADOW_OP_CLEAN ? atomic_xchg(&l->all, false) : l->all;
	memset(l->bits, 0, PAGE_SIZE);
}

/* Scans the domain, and copies the bits to the caller's map; 0: it wants none. */
static long scan(struct domain *d, gvaddr_t map, gfn_t end, unsigned how)
{
	struct dirty_log *l = &d->p2m.log;
	long rc = 0;

	/* The last look comes after the last write of a guest that stops. */
	if (how & LOG_FINAL && domain_stopped(d) == -ERESTART)
		return -ERESTART;
	while (l->next < end && !rc) {
		gfn_t first = l->next - l->next % LOG_PAGES, stop = min(end, first + LOG_PAGES);

		l->next = dirty_log_scan(d, l->next, map ? stop : end, how);
		if (l->next >= stop) {
			if (map && copy_to_guest(map + first / 8, l->bits, (stop - first + 7) / 8))
				rc = -EFAULT;
			memset(l->bits, 0, PAGE_SIZE);
		}
		if (!rc && hcall_preempt())
			return -ERESTART;
	}
	/* Until here a CPU could write without setting the bit again. */
	if (how & LOG_CLEAN)
		p2m_flush(d);
	if (rc && how & LOG_CLEAN)
		dirty_log_all(d);
	l->busy = false;
	return rc;
}

static long enable(struct domain *d)
{
	struct dirty_log *l = &d->p2m.log;

	if (l->on)
		return -EINVAL;
	l->bits = dom_alloc_meta(d, 1);
	if (!l->bits)
		return -ENOMEM;
	l->faults = 0;
	l->round = 0;
	l->since = now();
	WRITE_ONCE(l->on, true);
	smp_mb();
	if (!pci_owns_some(d))
		return 0;
	/* No log shows what a device writes. */
	dirty_log_free(d, true);
	return -EINVAL;
}

/*
 * Returns the number of dirty pages that a round is said to have: Xen's tools copy them all, and
 * then stop the guest if they were fewer than TOOLS_FEW.
 */
static u64 dirty_for_tools(struct domain *d)
{
	static struct migrate_round r;
	struct dirty_log *l = &d->p2m.log;
	stime_t t = now();

	r = (struct migrate_round){ d->id, ++l->round, d->tot_pages, l->dirty, t - l->since };
	l->since = t;
	switch (policy_migrate(&r)) {
	case MIGRATE_GO_ON: return max(l->dirty, TOOLS_FEW);
	case MIGRATE_STOP: return min(l->dirty, 1UL);
	default: return l->dirty;
	}
}

static long report(struct domain *d, struct xen_domctl_shadow_op *s)
{
	struct dirty_log *l = &d->p2m.log;
	bool clean = s->op == XEN_DOMCTL_SHADOW_OP_CLEAN;
	long rc;

	s->pages = min(s->pages, GFN_LIMIT);
	rc = scan(d, l->bitmap, l->bitmap || clean ? s->pages : d->max_gfn + 1,
		  (clean ? LOG_CLEAN : 0) |
			  (s->mode & XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL ? LOG_FINAL : 0));
	if (!rc && clean && !(s->mode & XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL))
		l->dirty = dirty_for_tools(d);
	s->stats.dirty_count = (u32)min(l->dirty, (u64)UINT32_MAX);
	s->stats.fault_count = (u32)min(l->faults, (u64)UINT32_MAX);
	if (!rc && clean)
		l->faults = 0;
	return rc;
}

/*
 * Ends the log and merges mappings. The tables that this frees wait for the end of a grace period. A
 * caller that died may have left another operation unfinished.
 */
static long disable(const struct vcpu *v, struct domain *d, const struct xen_domctl_shadow_op *s)
{
	struct dirty_log *l = &d->p2m.log;

	if (l->on) {
		WRITE_ONCE(l->on, false);
		log_begin(v, d, s);
	}
	while (l->bits) {
		if (l->period) {
			if (quiesce_over(l->period) && dirty_log_free(d, l->next > d->max_gfn))
				l->period = 0;
			cpu_relax();
		} else if (l->next <= d->max_gfn && l->nr_tables < MAX_TABLES) {
			l->next = dirty_log_merge(d, l->next);
		} else {
			p2m_flush(d);
			l->period = quiesce_start();
		}
		if (hcall_preempt())
			return -ERESTART;
	}
	return 0;
}

/* An operation of any kind but OFF. */
static long log_op(const struct vcpu *v, struct domain *d, struct xen_domctl_shadow_op *s)
{
	struct dirty_log *l = &d->p2m.log;
	bool on = s->op == XEN_DOMCTL_SHADOW_OP_ENABLE ||
		  s->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;

	if (l->busy && (l->op != s->op || l->caller != v->domain->id ||
			l->bitmap != handle_va(s->dirty_bitmap)))
		return -EBUSY;
	if (!l->busy) {
		long rc = on ? enable(d) : 0;

		if (rc || !l->on || (!on && s->mode & ~XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL))
			return rc ? rc : -EINVAL;
		log_begin(v, d, s);
	}
	return on ? scan(d, 0, d->max_gfn + 1, LOG_CLEAN) : report(d, s);
}

long domctl_shadow_op(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_shadow_op *s = &op->u.shadow_op;

	if (d == v->domain)
		return -EINVAL;
	if (d->state >= DOM_DYING)
		return 0;
	if (!d->nr_vcpus)
		return -EINVAL;
	switch (s->op) {
	case XEN_DOMCTL_SHADOW_OP_ENABLE:
		if (!(s->mode & XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY))
			return -EINVAL;
		return log_op(v, d, s);
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
	case XEN_DOMCTL_SHADOW_OP_CLEAN:
	case XEN_DOMCTL_SHADOW_OP_PEEK:
		return log_op(v, d, s);
	case XEN_DOMCTL_SHADOW_OP_OFF:
		return disable(v, d, s);
	case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION: /* no limit but Margay's own */
	case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
		s->mb = (u32)((READ_ONCE(d->p2m.table_pages) + 255) / 256);
		return 0;
	default:
		return -EINVAL;
	}
}
