/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: register_vcpu_info moves a vCPU's events and time to an address of the guest's choice.
 */
#include "guest.h"

static uint8_t page[PAGE_SIZE] PAGE_ALIGNED;

static long register_info(unsigned int vcpu, uintptr_t mfn, uint32_t offset)
{
	struct vcpu_register_vcpu_info r = { .mfn = mfn, .offset = offset };

	return vcpu_op(VCPUOP_register_vcpu_info, vcpu, &r);
}

int main(void)
{
	struct vcpu_info *vi = (struct vcpu_info *)(page + 192);
	uintptr_t mfn = (uintptr_t)page >> PAGE_SHIFT;
	long a = evtchn_alloc_unbound(DOMID_SELF), b;
	uint64_t before, after;

	b = evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)a);
	CHECK(a > 0 && b > 0, "channel: %ld, %ld", a, b);
	evtchn_clear((evtchn_port_t)b);
	evtchn_clear_mask((evtchn_port_t)b);
	CHECK_RET(evtchn_send((evtchn_port_t)a), 0);

	CHECK(register_info(0, mfn, PAGE_SIZE - 32) < 0, "accepted across the page's end");
	CHECK(register_info(0, mfn, 193) < 0, "accepted at an odd offset");
	CHECK(register_info(0, 0x7f0000000, 0) < 0, "accepted where there is no page");
	CHECK_RET(register_info(4096, mfn, 0), -XEN_ENOENT);

	before = now_ns();
	CHECK_RET(register_info(0, mfn, 192), 0);
	/* Pending events survive the move. */
	CHECK(vi->evtchn_upcall_pending == 1 && vi->evtchn_pending_sel & 1ul << (b / 64),
	      "pending %u, selector %lx after the move", vi->evtchn_upcall_pending,
	      vi->evtchn_pending_sel);
	this_cpu()->info = vi;
	after = now_ns();
	CHECK(after >= before && after - before < NS_PER_S, "clock was %lu, now %lu", before,
	      after);

	evtchn_clear((evtchn_port_t)b);
	vi->evtchn_upcall_pending = 0;
	vi->evtchn_pending_sel = 0;
	CHECK_RET(evtchn_send((evtchn_port_t)a), 0);
	CHECK(vi->evtchn_upcall_pending == 1 && vi->evtchn_pending_sel == 1ul << (b / 64),
	      "pending %u, selector %lx", vi->evtchn_upcall_pending, vi->evtchn_pending_sel);
	CHECK_RET(register_info(0, mfn, 1024), -XEN_EINVAL);

	/* Another vCPU may register the record of an offline vCPU. */
	if (cpu_count() > 1) {
		CHECK_RET(register_info(1, mfn, 256), 0);
		CHECK_RET(register_info(1, mfn, 320), -XEN_EINVAL);
	}
	for (unsigned int i = 0; i < 192; i++)
		CHECK(!page[i], "byte %u before the record was written", i);
	for (unsigned int i = 512; i < PAGE_SIZE; i++)
		CHECK(!page[i], "byte %u after the record was written", i);
	pass();
}
