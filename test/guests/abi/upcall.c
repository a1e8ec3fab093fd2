/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the upcall by callback vector. It is level-triggered: the vector is delivered again
 * while the vCPU's pending flag is set. Disabled interrupts hold it back.
 */
#include "guest.h"

static unsigned int entries, keep;
static evtchn_port_t port, peer;

static void raw_upcall(struct trap_regs *regs)
{
	(void)regs;
	if (++entries <= keep)
		return;					/* leave the flag set: delivered again */
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	evtchn_clear(port);
}

static void make_channel(void)
{
	evtchn_to_self(&peer, &port);
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
}

static void check_level(void)
{
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	set_trap_handler(UPCALL_VECTOR, raw_upcall);
	evtchn_unmask(port);

	CHECK_RET(evtchn_send(peer), 0);
	CHECK(!entries, "upcall with interrupts off");
	irq_enable();
	CHECK(WAIT_FOR(READ_ONCE(entries) == 1, NS_PER_S), "%u upcalls for one event", entries);
	irq_disable();

	entries = 0;
	keep = 3;
	irq_enable();
	CHECK_RET(evtchn_send(peer), 0);
	/* The hypervisor checks the level at an exit; xen_version() causes one. */
	CHECK(WAIT_FOR((xen_version(XENVER_version, NULL), READ_ONCE(entries) == 4), NS_PER_S),
	      "%u upcalls with the flag kept 3 times", entries);
	delay_ns(NS_PER_MS);
	CHECK(entries == 4, "%u upcalls, wanted 4", entries);

	/* A flag set by the guest itself also causes an upcall, after an exit. */
	irq_disable();
	entries = keep = 0;
	this_cpu()->info->evtchn_upcall_pending = 1;
	irq_enable();
	CHECK(WAIT_FOR((xen_version(XENVER_version, NULL), READ_ONCE(entries) == 1), NS_PER_S),
	      "no upcall for a flag set by hand");
	irq_disable();
}

int main(void)
{
	make_channel();
	check_level();
	pass();
}
