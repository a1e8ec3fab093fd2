/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: every hypercall number with every small operation number and garbage: bad pointers,
 * structures of all ones and of random words, huge counts. The guest survives and its memory is
 * unchanged. Leaves out only what a guest may do to itself: end, sleep forever, take its own vCPU
 * down, overwrite its own memory by a valid request.
 */
#include "guest.h"

#define NR_CALLS	64u
#define NR_OPS		40u

static uint64_t garbage[512] PAGE_ALIGNED;

static bool harmful(unsigned int nr, unsigned int op, bool readable)
{
	switch (nr) {
	case __HYPERVISOR_iret:			/* its entry in the page is UD2 for a PVH guest */
		return true;
	case __HYPERVISOR_sched_op:
	case __HYPERVISOR_sched_op_compat:
		return op == SCHEDOP_block ||
		       (readable && (op == SCHEDOP_shutdown || op == SCHEDOP_poll ||
				     op == SCHEDOP_shutdown_code || op == SCHEDOP_watchdog));
	case __HYPERVISOR_vcpu_op:
		return op == VCPUOP_down || op == VCPUOP_send_nmi ||
		       (readable && (op == VCPUOP_register_vcpu_info ||
				     op == VCPUOP_register_vcpu_time_memory_area ||
				     op == VCPUOP_register_runstate_memory_area));
	case __HYPERVISOR_event_channel_op:
	case __HYPERVISOR_event_channel_op_compat:
		return readable && (op == EVTCHNOP_reset || op == EVTCHNOP_close);
	case __HYPERVISOR_console_io:
		return readable;
	case __HYPERVISOR_memory_op:
		return readable &&
		       (op == XENMEM_decrease_reservation || op == XENMEM_remove_from_physmap ||
			op == XENMEM_add_to_physmap || op == XENMEM_exchange);
	}
	return false;
}

static void fill(unsigned int kind)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(garbage); i++)
		garbage[i] = kind == 0 ? ~0ul :
			     kind == 1 ? random_u64() :
					 random_u64() & 0x0000001f0000000f;
}

/* Tries addresses without memory: any count is safe. */
static void try_bad(unsigned int nr, unsigned int op)
{
	static const uint64_t counts[] = { 0, 1, ~0u, ~0ul, 0x80000000 };

	for (unsigned int i = 0; i < nr_bad_pointers; i++) {
		uint64_t p = bad_pointers[i];

		hypercall5(nr, op, p, p, p, p);
		hypercall5(nr, op, p, counts[i % ARRAY_SIZE(counts)], p, p);
		/* An address as operation: its low 32 bits may be SCHEDOP_block. */
		if (nr != __HYPERVISOR_sched_op)
			hypercall5(nr, p, op, op, op, op);
		if (nr == __HYPERVISOR_vcpu_op)
			hypercall5(nr, op, 0, p, 0, 0);
	}
}

/* Tries readable garbage. Counts are small, or results would overwrite the guest's memory. */
static void try_garbage(unsigned int nr, unsigned int op)
{
	for (unsigned int kind = 0; kind < 3; kind++) {
		uint64_t p = (uintptr_t)garbage + (kind == 1 ? random_u64() & 63 : 0);
		uint64_t count = random_u64() & 7;

		fill(kind);
		if (nr == __HYPERVISOR_multicall)
			hypercall5(nr, p, count, 0, 0, 0);
		else
			hypercall5(nr, op, p, count, count, count);
		fill(kind);
		if (nr == __HYPERVISOR_vcpu_op)
			hypercall5(nr, op, 0, p, 0, 0);
	}
}

static void sweep(void)
{
	for (unsigned int nr = 0; nr < NR_CALLS; nr++)
		for (unsigned int op = 0; op < NR_OPS; op++) {
			/* A multicall's first argument is its list, not an operation. */
			if (nr == __HYPERVISOR_multicall && op)
				continue;
			if (!harmful(nr, op, false) && nr != __HYPERVISOR_multicall)
				try_bad(nr, op);
			if (!harmful(nr, op, true))
				try_garbage(nr, op);
		}
	for (unsigned int i = 0; i < nr_bad_pointers; i++) {
		multicall((void *)bad_pointers[i], 1);
		multicall((void *)bad_pointers[i], ~0u);
	}
}

int main(void)
{
	uint64_t start = now_ns();

	canary_init(64);
	bad_pointers_init();
	sweep();
	canary_check("the sweep");
	CHECK(xen_version(XENVER_version, NULL) > 0, "hypercalls stopped working");
	CHECK(now_ns() > start, "the clock stopped");
	pass();
}
