/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: NMIs: to oneself, blocked until IRET, at most one pending, and by hypercall. stay=MS: only
 * one, whose handler stays that long; dedicated_switch sees whether Margay gets the CPU meanwhile.
 */
#include "guest.h"

static unsigned int count, depth, deepest;
static bool send_more;
static uint64_t stay;

static void send_to_self(void)
{
	lapic_icr(cpu_apic_id(0), ICR_NMI | ICR_ASSERT);
}

static void on_nmi(struct trap_regs *regs)
{
	(void)regs;
	count++;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (stay)
		delay_ns(stay * NS_PER_MS);
	if (send_more) {
		send_more = false;
		send_to_self();
		send_to_self();
		delay_ns(100 * NS_PER_US);
	}
	depth--;
}

int main(void)
{
	set_trap_handler(X86_NMI, on_nmi);
	cpu_count();
	lapic_enable();
	stay = cmdline_number("stay", 0);
	if (stay) {
		send_to_self();
		CHECK(WAIT_FOR(READ_ONCE(count) == 1, NS_PER_S), "no NMI");
		pass();
	}
	for (unsigned int i = 1; i <= 10; i++) {
		send_to_self();
		CHECK(WAIT_FOR(READ_ONCE(count) == i, NS_PER_S), "%u of %u NMIs", count, i);
	}
	/* The handler sends two more: they wait for its IRET, merged into one. */
	count = 0;
	send_more = true;
	send_to_self();
	CHECK(WAIT_FOR(READ_ONCE(count) >= 2, NS_PER_S), "%u NMIs, wanted 2", count);
	delay_ns(NS_PER_MS);
	CHECK(count == 2, "%u NMIs, wanted 2", count);
	CHECK(deepest == 1, "NMIs nested %u deep", deepest);

	CHECK_RET(vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
	CHECK(WAIT_FOR(READ_ONCE(count) == 3, NS_PER_S), "no NMI by VCPUOP_send_nmi");
	CHECK_RET(vcpu_op(VCPUOP_send_nmi, 4096, NULL), -XEN_ENOENT);
	pass();
}
