/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domctl: what the tools save and restore of a domain beside its memory's contents: a stream of
 * records, each with a descriptor, and an end; and what kind of page each gfn is. xen/domctl.h,
 * xen/arch-x86/hvm/save.h
 */
#include <margay/sched.h>
#include <margay/vcpu_record.h>

#include "domctl.h"

#define PAGES_AT_ONCE 1024U

static u8 record[VCPU_RECORD_MAX];	/* domctl's operations come one at a time */

struct stream {
	gvaddr_t at;	/* 0: only the size is wanted */
	u32 size, done;
};

static long put_record(struct stream *s, u16 type, u16 instance, const void *data, u32 n)
{
	struct hvm_save_descriptor desc = { type, instance, n };
	u32 at = s->done;

	s->done += (u32)sizeof(desc) + n;
	if (!s->at)
		return 0;
	if (s->done > s->size)
		return -ENOSPC;
	if (copy_to_guest(s->at + at, &desc, sizeof(desc)) ||
	    (n && copy_to_guest(s->at + at + sizeof(desc), data, n)))
		return -EFAULT;
	return 0;
}

/* Returns the kind of that type, or the end of the list. */
static const struct vcpu_record *find(u32 type)
{
	const struct vcpu_record *r = vcpu_records;

	while (r->save && r->type != type)
		r++;
	return r;
}

/* Fills the record. Returns its size; 0: v has no such record. */
static u32 save(struct vcpu *v, const struct vcpu_record *r)
{
	if (r->started && !(v->initialised && vcpu_online(v)))
		return 0;
	memset(record, 0, sizeof(record));
	return r->save(v, record);
}

long domctl_gethvmcontext(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct stream s = { handle_va(op->u.hvmcontext.buffer), op->u.hvmcontext.size, 0 };
	struct hvm_save_header header = { .magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION,
					  .changeset = ~0UL,
					  .gtsc_khz = (u32)(arch_tsc_hz() / 1000) };
	long rc;

	d->record_tsc = rdtsc();
	rc = put_record(&s, HVM_SAVE_CODE(HEADER), 0, &header, sizeof(header));
	for (const struct vcpu_record *r = vcpu_records; !rc && r->save; r++) {
		for (u16 i = 0; !rc && i < d->nr_vcpus; i++) {
			u32 n = save(d->vcpus[i], r);

			if (n)
				rc = put_record(&s, r->type, i, record, n);
		}
	}
	if (!rc)
		rc = put_record(&s, HVM_SAVE_CODE(END), 0, NULL, 0);
	op->u.hvmcontext.size = s.done;
	return rc;
}

long domctl_gethvmcontext_partial(struct vcpu *cur __unused, struct domain *d,
				  struct xen_domctl *op)
{
	struct xen_domctl_hvmcontext_partial *u = &op->u.hvmcontext_partial;
	const struct vcpu_record *r = find(u->type);
	struct vcpu *v = domain_vcpu(d, u->instance);
	u64 room = u->bufsz;

	if (!r->save)
		return -EINVAL;
	d->record_tsc = rdtsc();
	u->bufsz = v ? save(v, r) : 0;
	if (!u->bufsz)
		return -ENOENT;
	if (!handle_va(u->buffer))
		return 0;
	if (u->bufsz > room)
		return -ENOSPC;
	return copy_to_guest(handle_va(u->buffer), record, u->bufsz) ? -EFAULT : 0;
}

/* Loads a record of n bytes. Kinds that Margay does not know say what none of its guests has. */
static long load(struct domain *d, const struct hvm_save_descriptor *desc, gvaddr_t at)
{
	struct vcpu *v = domain_vcpu(d, desc->instance);
	const struct vcpu_record *r = find(desc->typecode);
	long rc;

	if (!r->save)
		return 0;
	if (!v || desc->length < r->least || desc->length > r->most)
		return -EINVAL;
	memset(record, 0, sizeof(record));
	if (copy_from_guest(record, at, desc->length))
		return -EFAULT;
	rc = r->load(v, record, desc->length);
	if (rc)
		printk("domain %u: vCPU %u: invalid record of type %u\n", d->id, v->id, r->type);
	return rc;
}

long domctl_sethvmcontext(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	gvaddr_t at = handle_va(op->u.hvmcontext.buffer);
	u32 size = op->u.hvmcontext.size, done = 0;
	struct hvm_save_descriptor desc;
	long rc = 0;

	d->record_tsc = rdtsc();
	while (!rc) {
		if (size - done < sizeof(desc))
			return -ENODATA;
		if (copy_from_guest(&desc, at + done, sizeof(desc)))
			return -EFAULT;
		done += (u32)sizeof(desc);
		if (desc.length > size - done)
			return -ENODATA;
		if (desc.typecode == HVM_SAVE_CODE(END))
			return 0;
		rc = load(d, &desc, at + done);
		done += desc.length;
	}
	return rc;
}

/* Returns the type of gfn, and in *same how many pages from gfn on have it. */
static u64 page_type(struct domain *d, gfn_t gfn, u64 *same)
{
	struct p2m_entry e = p2m_lookup(d, gfn);
	u64 size = 1UL << e.order;

	*same = size - gfn % size;
	if (e.type == P2M_NONE && on_demand(d, gfn)) {
		*same = 1;
		if (!on_demand_allocate(d, gfn))
			return XEN_DOMCTL_PFINFO_NOTAB;
	}
	return e.type == P2M_RAM ? XEN_DOMCTL_PFINFO_NOTAB : XEN_DOMCTL_PFINFO_XTAB;
}

/* Tells RAM from what is none of d's own. Neighbours in one mapping, or one hole, cost one walk. */
long domctl_getpageframeinfo3(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	u64 gfns[64], num = op->u.getpageframeinfo3.num, type = 0, same = 0;
	gvaddr_t at = handle_va(op->u.getpageframeinfo3.array);
	gfn_t from = 0;

	if (num > PAGES_AT_ONCE)
		return -E2BIG;
	while (num) {
		u64 n = min(num, ARRAY_SIZE(gfns));

		if (copy_from_guest(gfns, at, n * sizeof(gfns[0])))
			return -EFAULT;
		for (u64 i = 0; i < n; i++) {
			if (gfns[i] - from >= same) {
				from = gfns[i];
				type = page_type(d, from, &same);
			}
			gfns[i] = type;
		}
		if (copy_to_guest(at, gfns, n * sizeof(gfns[0])))
			return -EFAULT;
		at += n * sizeof(gfns[0]);
		num -= n;
	}
	return 0;
}
