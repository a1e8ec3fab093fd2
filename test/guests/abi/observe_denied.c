/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: without the control privilege, counters, the trace, its rings and the log are inaccessible. */
#include "guest.h"

#include <public/margay.h>

int main(void)
{
	static const uint32_t ops[] = { MARGAY_STAT, MARGAY_TRACE, MARGAY_TRACE_RING,
					MARGAY_LOG };
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
		CHECK_RET(map_foreign(DOMID_XEN, frame, hole_alloc(1)), -XEN_EPERM);
		CHECK_RET(map_foreign(own_domid(), frame, hole_alloc(1)), -XEN_EPERM);
	}
	pass();
}
