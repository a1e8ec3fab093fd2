/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a guest registers for Margay to write: vcpu_info, run state, time. The pages are found
 * once, at registration, and referenced until the vCPU is gone, so that writing is cheap and safe in any
 * context, whatever the guest does to its page tables. (Xen looks run state and time up at each write, so
 * there a bad address is only silently not written; here it is -EFAULT.)
 * d->lock serialises registrations. An area that v may be using now is replaced by v itself only.
 */
#include <margay/arch.h>
#include <margay/sched.h>

#include "hypercall_priv.h"

static void put_area(mfn_t *mfn, unsigned n)
{
	while (n--) {
		if (mfn[n] != INVALID_MFN)
			page_put(mfn[n]);
		mfn[n] = INVALID_MFN;
	}
}

/* References the n = 1 or 2 pages that [va, va + size) lies in; with one page it must not cross. */
static int get_area(struct domain *d, gvaddr_t va, size_t size, mfn_t *mfn, unsigned n)
{
	gvaddr_t last = va + size - 1;
	unsigned pages = 1 + ((va ^ last) >> PAGE_SHIFT != 0);
	int err;

	for (unsigned i = 0; i < n; i++)
		mfn[i] = INVALID_MFN;
	if (pages > n || last < va)
		return -EINVAL;
	for (unsigned i = 0; i < pages; i++) {
		gpaddr_t gpa;

		err = guest_translate(i ? last : va, true, &gpa);
		if (!err && p2m_get_page(d, gpa >> PAGE_SHIFT, true, &mfn[i]))
			err = -EFAULT;
		if (err) {
			put_area(mfn, i);
			return err;
		}
	}
	return 0;
}

long register_vcpu_info(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	struct domain *d = v->domain;
	struct vcpu_register_vcpu_info a;
	mfn_t mfn;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	/* Not aligned to its words, atomic operations on it would split a cache line. */
	if (a.offset > PAGE_SIZE - sizeof(struct vcpu_info) || a.offset % sizeof(u64))
		return -EINVAL;
	guard(&d->lock);
	/* Only once, and by itself or while it is down. */
	if (v->info_mfn != INVALID_MFN || (v != cur && READ_ONCE(v->state) != RUN_OFFLINE) ||
	    p2m_get_page(d, a.mfn, true, &mfn))
		return -EINVAL;
	v->info_mfn = mfn;
	evtchn_move_vcpu_info(v, (struct vcpu_info *)((char *)mfn_to_virt(mfn) + a.offset));
	if (v == cur)
		arch_update_time(v);
	else
		vcpu_post(v, VCPU_WORK_TIME);
	return 0;
}

/* n bytes to offset at of v's run state area. */
static void put_runstate(struct vcpu *v, unsigned at, const void *src, unsigned n)
{
	unsigned off = v->runstate_off + at, first;

	if (off < PAGE_SIZE) {
		first = min(n, (unsigned)PAGE_SIZE - off);
		memcpy((char *)mfn_to_virt(v->runstate_mfn[0]) + off, src, first);
		if (first == n)
			return;
		src = (const char *)src + first;
		n -= first;
		off = PAGE_SIZE;
	}
	memcpy((char *)mfn_to_virt(v->runstate_mfn[1]) + off - PAGE_SIZE, src, n);
}

static void write_runstate(struct vcpu *v, struct vcpu_runstate_info *rs)
{
	const unsigned entry = offsetof(struct vcpu_runstate_info, state_entry_time);
	u8 *top = (u8 *)&rs->state_entry_time + 7;

	if (!(v->domain->vm_assist & 1U << VMASST_TYPE_runstate_update_flag)) {
		put_runstate(v, 0, rs, sizeof(*rs));
		return;
	}
	/* The top bit of the entry time says that an update is going on. */
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
	struct vcpu_runstate_info rs;

	if (!atomic_load(&v->runstate_va))
		return;
	rs = v->runstate;
	write_runstate(v, &rs);
}

long register_runstate(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	struct vcpu_register_runstate_memory_area a;
	struct domain *d = v->domain;
	struct vcpu_runstate_info rs;
	mfn_t mfn[2];
	long ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = a.addr.p ? get_area(d, a.addr.p, sizeof(rs), mfn, 2) : 0;
	if (ret)
		return ret;
	guard(&d->lock);
	if (v != cur && v->runstate_va) {
		if (a.addr.p)
			put_area(mfn, 2);
		return -EINVAL;
	}
	if (v->runstate_va)
		put_area(v->runstate_mfn, 2);
	atomic_store(&v->runstate_va, 0);
	if (a.addr.p) {
		v->runstate_mfn[0] = mfn[0];
		v->runstate_mfn[1] = mfn[1];
		v->runstate_off = a.addr.p % PAGE_SIZE;
		vcpu_runstate(v, &rs);
		write_runstate(v, &rs);
		/* From here on the scheduler writes it. */
		atomic_store(&v->runstate_va, a.addr.p);
	}
	return 0;
}

long register_time(struct vcpu *cur, struct vcpu *v, gvaddr_t arg)
{
	struct vcpu_register_time_memory_area a;
	struct domain *d = v->domain;
	mfn_t mfn = INVALID_MFN;
	long ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	if (a.addr.p % sizeof(u64))
		return -EINVAL;
	ret = a.addr.p ? get_area(d, a.addr.p, sizeof(struct vcpu_time_info), &mfn, 1) : 0;
	if (ret)
		return ret;
	guard(&d->lock);
	if (v != cur && v->time_info_va) {
		put_area(&mfn, 1);
		return -EINVAL;
	}
	if (v->time_info_va)
		put_area(&v->time_info_mfn, 1);
	v->time_info_off = a.addr.p % PAGE_SIZE;
	v->time_info_va = a.addr.p;
	/* Last: this is what arch_update_time() looks at. */
	atomic_store(&v->time_info_mfn, mfn);
	if (v == cur)
		arch_update_time(v);
	else
		vcpu_post(v, VCPU_WORK_TIME);
	return 0;
}

void hcall_vcpu_cleanup(struct vcpu *v)
{
	/* Whoever still looks for events of this vCPU finds the words in a place that stays. */
	atomic_store(&v->info, &dummy_vcpu_info);
	put_area(&v->info_mfn, 1);
	if (v->runstate_va)
		put_area(v->runstate_mfn, 2);
	v->runstate_va = 0;
	if (v->time_info_va)
		put_area(&v->time_info_mfn, 1);
	v->time_info_va = 0;
}
