/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the upcall by HVMOP_set_evtchn_upcall_vector: an interrupt of the vCPU's own LAPIC,
 * which needs an EOI. A separate scenario from `upcall`, because a callback vector takes precedence
 * and a PVH guest cannot unset it.
 */
#include "guest.h"

#define OTHER_VECTOR	0x71

static unsigned int events;
static evtchn_port_t port, peer;

static void count(evtchn_port_t p)
{
	(void)p;
	events++;
}

static void make_channel(void)
{
	evtchn_to_self(&peer, &port);
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
}

int main(void)
{
	struct xen_hvm_evtchn_upcall_vector bad = { .vcpu = 0, .vector = 5 };

	make_channel();
	lapic_enable();
	CHECK_RET(hvm_op(HVMOP_set_evtchn_upcall_vector, &bad), -XEN_EINVAL);
	bad = (struct xen_hvm_evtchn_upcall_vector){ .vcpu = 4096, .vector = 0x40 };
	CHECK_RET(hvm_op(HVMOP_set_evtchn_upcall_vector, &bad), -XEN_ENOENT);

	CHECK_RET(upcall_by_vector(0, OTHER_VECTOR), 0);
	/* The call raises one upcall at once, in case an event was pending; ignore it. */
	irq_enable();
	delay_ns(NS_PER_MS);
	events = 0;
	evtchn_set_handler(port, count);
	evtchn_unmask(port);
	for (unsigned int i = 1; i <= 50; i++) {
		CHECK_RET(evtchn_send(peer), 0);
		CHECK(WAIT_FOR(READ_ONCE(events) == i, NS_PER_S), "%u of %u events by LAPIC",
		      events, i);
	}
	CHECK(!lapic_vector_bit(LAPIC_ISR, OTHER_VECTOR), "vector still in service");

	irq_disable();
	CHECK_RET(evtchn_send(peer), 0);
	CHECK(lapic_vector_bit(LAPIC_IRR, OTHER_VECTOR), "vector not in IRR");
	CHECK(events == 50, "upcall with interrupts off");
	irq_enable();
	CHECK(WAIT_FOR(READ_ONCE(events) == 51, NS_PER_S), "event lost");
	pass();
}
