/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: without the control privilege, counters, the trace and its rings are out of reach. */
#include "guest.h"

#include "../include/public/margay.h"

static int map_foreign(domid_t from, uint64_t frame)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = from };
	xen_ulong_t idx = frame;
	xen_pfn_t gpfn = hole_alloc(1) >> PAGE_SHIFT;
	int err = 1;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gpfn);
	set_xen_guest_handle(b.errs, &err);
	CHECK_RET(memory_op(XENMEM_add_to_physmap_batch, &b), 0);
	return err;
}

int main(void)
{
	static const uint32_t ops[] = { MARGAY_STAT, MARGAY_TRACE, MARGAY_TRACE_RING };
	static struct margay_counter counters[64];
	struct margay_op op;

	for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		memset(&op, 0, sizeof(op));
		op.cmd = ops[i];
		op.interface = MARGAY_INTERFACE;
		op.u.stat.domain = DOMID_SELF;
		op.u.stat.counters = (uint64_t)counters;
		op.u.stat.max = 64;
		CHECK_RET(hypercall1(MARGAY_HYPERCALL, &op), -XEN_EPERM);
		CHECK(!op.u.stat.nr && !counters[0].group[0], "operation %u told something",
		      ops[i]);
	}
	for (uint64_t frame = 0; frame < 1ul << 18; frame += 1021) {
		CHECK_RET(map_foreign(DOMID_XEN, frame), -XEN_EPERM);
		CHECK_RET(map_foreign(own_domid(), frame), -XEN_EPERM);
	}
	pass();
}
