/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour of the control domain in `make run`. Sleeps until a key comes to its console, and then
 * says how it fares: how long it ran, and how long it waited for a CPU.
 */
#include "console.h"
#include "events.h"
#include "hypercall.h"
#include "time.h"
#include "x86.h"
#include <xen/io/console.h>

static struct xencons_interface *ring;
static struct evtchn_send event;

/* Sleeps until a character is in the ring. */
static char read_key(void)
{
	evtchn_port_t port = event.port;
	struct sched_poll poll = { .nr_ports = 1 };
	char key;

	set_xen_guest_handle(poll.ports, &port);
	while (READ_ONCE(ring->in_prod) == ring->in_cons) {
		evtchn_clear(port);
		if (READ_ONCE(ring->in_prod) == ring->in_cons)
			sched_op(SCHEDOP_poll, &poll);
	}
	key = ring->in[MASK_XENCONS_IDX(ring->in_cons, ring->in)];
	mfence();
	ring->in_cons++;
	event_channel_op(EVTCHNOP_send, &event);	/* there is room again */
	return key;
}

static void report(void)
{
	struct vcpu_runstate_info rs;
	uint64_t ran, waited;

	vcpu_op(VCPUOP_get_runstate_info, 0, &rs);
	ran = rs.time[RUNSTATE_running] / 1000000;
	waited = rs.time[RUNSTATE_runnable] / 1000000;
	printf("ran for %lu.%03lu s, waited %lu.%03lu s for a CPU\n", ran / 1000, ran % 1000,
	       waited / 1000, waited % 1000);
}

int main(void)
{
	uint64_t pfn, port;
	char key;

	if (hvm_get_param(HVM_PARAM_CONSOLE_PFN, &pfn) ||
	    hvm_get_param(HVM_PARAM_CONSOLE_EVTCHN, &port))
		return 1;
	ring = (struct xencons_interface *)(pfn << 12);
	event.port = (evtchn_port_t)port;
	printf("Here to stay. Keys: b busy for 10 s, q quit, others: how I fare.\n");
	while ((key = read_key()) != 'q') {
		if (key == 'b')
			delay_ns(10000000000UL);
		report();
	}
	return 0;
}
