/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a guest registers for Margay to write: vcpu_info, runstate, time. Margay translates
 * the addresses once, at registration, and keeps references to the pages until the vCPU is gone. So
 * writing is cheap and safe in any context, whatever the guest does to its page tables. (Xen
 * translates the runstate and time addresses at each write and silently skips bad ones; here a bad
 * address gets -EFAULT.) d->lock serialises registrations. Only v itself replaces an area that it
 * may be using.
 */
#include <margay/sched.h>

#include <margay/evtchn.h>
#include <margay/guest_copy.h>

static void put_area(struct domain *d, struct guest_area *a)
{
	for (unsigned i = 0; a->va && i < 2; i++)
		if (a->mfn[i] != INVALID_MFN)
			guest_release_page(d, a->gfn[i], a->mfn[i]);
	a->va = 0;
}

/* References the pages of [a->va, a->va + size), at most max, unless a->va is 0. */
static int get_area(struct domain *d, struct guest_area *a, size_t size, unsigned max)
{
	gvaddr_t last = a->va + size - 1;
	unsigned pages = 1 + ((a->va ^ last) >> PAGE_SHIFT != 0);
	int err;

	a->mfn[0] = a->mfn[1] = INVALID_MFN;
	a->off = a->va % PAGE_SIZE;
	/* An area that must not cross a page is aligned, too. */
	if (a->va && (pages > max || last < a->va || (max == 1 && a->va % sizeof(u64))))
		return -EINVAL;
	for (unsigned i = 0; a->va && i < pages; i++) {
		gpaddr_t gpa;

		err = guest_translate(i ? last : a->va, true, &gpa);
		a->gfn[i] = gpa >> PAGE_SHIFT;
		if (!err && p2m_get_page(d, a->gfn[i], &a->mfn[i]))
			err = -EFAULT;
		if (err) {
			a->mfn[i] = INVALID_MFN;
			put_area(d, a);
			return err;
		}
	}
	return 0;
}

static void renew_time(struct vcpu *cur, struct vcpu *v)
{
	if (v == cur)
		arch_update_time(v);
	else
		vcpu_post(v, VCPU_WORK_TIME);
}

long register_vcpu_info(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	struct domain *d = v->domain;
	struct vcpu_register_vcpu_info a;
	mfn_t mfn;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	/* Atomic operations on unaligned words could split a cache line. */
	if (a.offset > PAGE_SIZE - sizeof(struct vcpu_info) || a.offset % sizeof(u64))
		return -EINVAL;
	guard(&d->lock);
	/* A vCPU registers once, itself or while it is offline. */
	if (v->info_mfn != INVALID_MFN || (v != cur && READ_ONCE(v->state) != RUN_OFFLINE) ||
	    p2m_get_page(d, a.mfn, &mfn))
		return -EINVAL;
	v->info_mfn = mfn;
	evtchn_move_vcpu_info(v, guest_write_page(mfn, a.offset));
	renew_time(cur, v);
	return 0;
}

/* Writes n bytes at offset `at` of v's runstate area, which may cross a page boundary. */
static inline void put_runstate(struct vcpu *v, unsigned at, const void *src, unsigned n)
{
	const struct guest_area *a = &v->runstate_area;
	unsigned off = a->off + at, first = off < PAGE_SIZE ? PAGE_SIZE - off : 0;

	if (likely(n <= first)) {
		memcpy(guest_write_page(a->mfn[0], off), src, n);
		return;
	}
	memcpy(guest_write_page(a->mfn[0], off), src, first);
	memcpy(guest_write_page(a->mfn[1], (off + first) % PAGE_SIZE), (const char *)src + first,
	       n - first);
}

/* 32-bit guests have no padding after the state. */
static __noinline void write_runstate_32(struct vcpu *v, struct vcpu_runstate_info *rs)
{
	const unsigned entry = offsetof(struct vcpu_runstate_info, state_entry_time);
	bool mark = v->domain->vm_assist & 1U << VMASST_TYPE_runstate_update_flag;
	u8 *top = (u8 *)&rs->state_entry_time + 7;

	if (mark) {
		*top |= 0x80;
		put_runstate(v, sizeof(rs->state) + 7, top, 1);
		barrier();
	}
	put_runstate(v, 0, &rs->state, sizeof(rs->state));
	put_runstate(v, sizeof(rs->state), &rs->state_entry_time, sizeof(*rs) - entry);
	if (mark) {
		barrier();
		*top &= 0x7f;
		put_runstate(v, sizeof(rs->state) + 7, top, 1);
	}
}

static void write_runstate(struct vcpu *v, struct vcpu_runstate_info *rs)
{
	const unsigned entry = offsetof(struct vcpu_runstate_info, state_entry_time);
	u8 *top = (u8 *)&rs->state_entry_time + 7;

	if (unlikely(v->domain->shared_32bit)) {
		write_runstate_32(v, rs);
		return;
	}
	if (!(v->domain->vm_assist & 1U << VMASST_TYPE_runstate_update_flag)) {
		put_runstate(v, 0, rs, sizeof(*rs));
		return;
	}
	/* The top bit of the entry time marks an update in progress. */
	*top |= 0x80;
	put_runstate(v, entry + 7, top, 1);
	barrier();
	put_runstate(v, 0, rs, sizeof(*rs));
	barrier();
	*top &= 0x7f;
	put_runstate(v, entry + 7, top, 1);
}

void runstate_update(struct vcpu *v)
{
	struct vcpu_runstate_info rs = v->runstate;

	if (atomic_load(&v->runstate_area.va))
		write_runstate(v, &rs);
}

/*
 * Replaces v's area with the one whose address the guest passed: of size bytes, in at most max
 * pages. fill writes it before the scheduler can.
 */
static long register_area(struct vcpu *cur, struct vcpu *v, gvaddr_t arg, struct guest_area *area,
			  size_t size, unsigned max, void (*fill)(struct vcpu *v))
{
	struct guest_area new;
	int err = guest_read(&new.va, arg, 0);

	if (!err)
		err = get_area(v->domain, &new, size, max);
	if (err)
		return err;
	guard(&v->domain->lock);
	if (v != cur && area->va) {
		put_area(v->domain, &new);
		return -EINVAL;
	}
	put_area(v->domain, area);
	memcpy(area->gfn, new.gfn, sizeof(area->gfn));
	memcpy(area->mfn, new.mfn, sizeof(area->mfn));
	area->off = new.off;
	if (fill && new.va)
		fill(v);
	atomic_store(&area->va, new.va);
	return 0;
}

static void fill_runstate(struct vcpu *v)
{
	struct vcpu_runstate_info rs;

	vcpu_runstate(v, &rs);
	write_runstate(v, &rs);
}

long register_runstate(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	return register_area(cur, v, arg, &v->runstate_area, sizeof(struct vcpu_runstate_info), 2,
			     fill_runstate);
}

long register_time(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	long ret =
		register_area(cur, v, arg, &v->time_area, sizeof(struct vcpu_time_info), 1, NULL);

	if (!ret)
		renew_time(cur, v);
	return ret;
}

void vcpu_areas_release(struct vcpu *v)
{
	/* Late users of this vCPU's event words find dummy_vcpu_info, which always exists. */
	atomic_store(&v->info, &dummy_vcpu_info);
	if (v->info_mfn != INVALID_MFN)
		page_put(v->domain, v->info_mfn);
	v->info_mfn = INVALID_MFN;
	put_area(v->domain, &v->runstate_area);
	put_area(v->domain, &v->time_area);
}
