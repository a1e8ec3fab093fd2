/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grant_table_op: decodes the argument lists for common/grant.c. A long list runs in pieces: the
 * call restarts itself with the rest. xen/grant_table.h
 */
#include <margay/grant.h>

#include "hypercall_priv.h"

#define BATCH 16U	/* operations between two looks for other work */

/*
 * Runs an operation on n structures at ops until count are done: as many as are copied at once, or
 * one where the guest's memory ends before that. A macro, since only the types differ.
 */
#define FOR_EACH_BATCH(type, operation)                                                       \
	do {                                                                                  \
		type ops[BATCH];                                                              \
		for (u32 i = 0, n; i < count; i += n) {                                       \
			gvaddr_t at = arg + i * sizeof(type);                                 \
			if (i && hcall_preempt()) {                                           \
				h->rsi = at;                                                  \
				h->rdx = count - i;                                           \
				return HCALL_RESTART;                                         \
			}                                                                     \
			n = min(count - i, BATCH);                                            \
			if (copy_from_guest(ops, at, n * sizeof(type))) {                     \
				n = 1;                                                        \
				if (guest_read(ops, at, 0))                                   \
					return -EFAULT;                                       \
			}                                                                     \
			operation;                                                            \
			if (copy_to_guest(at, ops, n * sizeof(type)))                         \
				return -EFAULT;                                               \
		}                                                                             \
		return 0;                                                                     \
	} while (0)

/* Runs one operation for each structure, op. */
#define FOR_EACH_OP(type, operation) \
	FOR_EACH_BATCH(type, for (type *op = ops; op < ops + n; op++) operation)

static s16 dom_status(int err)
{
	return err == -ESRCH ? GNTST_bad_domain : err ? GNTST_permission_denied : GNTST_okay;
}

static long query_size(struct vcpu *v, gvaddr_t arg)
{
	struct gnttab_query_size op;
	struct domain *d puts_domain = NULL;

	if (guest_read(&op, arg, 0))
		return -EFAULT;
	op.status = dom_status(hcall_domain(v, op.dom, &d));
	if (op.status == GNTST_okay) {
		op.nr_frames = grant_nr_frames(d);
		op.max_nr_frames = GRANT_MAX_FRAMES;
	}
	return guest_write(arg, 0, &op);
}

/* Writes to the list where the table pages are mapped: in this ABI the guest maps them itself. */
static s16 list_frames(const struct vcpu *v, struct domain *d, const struct gnttab_setup_table *op)
{
	mfn_t mfn;

	if (op->nr_frames > GRANT_MAX_FRAMES)
		return GNTST_general_error;
	for (unsigned i = 0; i < op->nr_frames; i++) {
		gfn_t gfn;

		if (grant_frame(d, i, &mfn))
			return GNTST_general_error;
		gfn = *grant_frame_gfn(d, i);
		if (gfn != INVALID_GFN && p2m_lookup(d, gfn).mfn != mfn)
			gfn = INVALID_GFN;
		if (write_long(v, handle_va(op->frame_list), i, gfn))
			return GNTST_bad_virt_addr;
	}
	return GNTST_okay;
}

static long setup_table(struct vcpu *v, gvaddr_t arg)
{
	struct gnttab_setup_table op;
	struct domain *d puts_domain = NULL;

	if (guest_read(&op, arg, 0))
		return -EFAULT;
	op.status = dom_status(hcall_domain(v, op.dom, &d));
	if (op.status == GNTST_okay)
		op.status = list_frames(v, d, &op);
	return guest_write(arg, 0, &op);
}

static long set_version(struct vcpu *v, gvaddr_t arg)
{
	struct gnttab_set_version op;
	long ret;

	if (guest_read(&op, arg, 0))
		return -EFAULT;
	ret = op.version == 1 ? 0 :
	      op.version != 2 ? -EINVAL :
				hcall_unsupported(v, "grant table version", 2);
	op.version = 1;
	return guest_write(arg, 0, &op) ? -EFAULT : ret;
}

static long get_version(struct vcpu *v, gvaddr_t arg)
{
	struct gnttab_get_version op;
	struct domain *d puts_domain = NULL;
	int err;

	if (guest_read(&op, arg, 0))
		return -EFAULT;
	err = hcall_domain(v, op.dom, &d);
	if (err)
		return err;
	op.version = 1;
	return guest_write(arg, 0, &op);
}

long do_grant_table_op(struct vcpu *v, struct regs *h)
{
	struct domain *d = v->domain;
	u32 cmd = (u32)h->rdi, count = (u32)h->rdx;
	gvaddr_t arg = h->rsi;

	if ((s32)count < 0)
		return -EINVAL;
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		FOR_EACH_BATCH(struct gnttab_map_grant_ref, grant_map(d, ops, n));
	case GNTTABOP_unmap_grant_ref:
		FOR_EACH_OP(struct gnttab_unmap_grant_ref, grant_unmap(d, op));
	case GNTTABOP_copy:
		FOR_EACH_OP(struct gnttab_copy, grant_copy(d, op));
	case GNTTABOP_swap_grant_ref:
		FOR_EACH_OP(struct gnttab_swap_grant_ref,
			    op->status = (s16)grant_swap(d, op->ref_a, op->ref_b));
	case GNTTABOP_query_size: return count == 1 ? query_size(v, arg) : -EINVAL;
	case GNTTABOP_setup_table: return count == 1 ? setup_table(v, arg) : -EINVAL;
	case GNTTABOP_set_version: return set_version(v, arg);
	case GNTTABOP_get_version: return get_version(v, arg);
	default: return hcall_unsupported(v, "grant_table_op", cmd);
	}
}
