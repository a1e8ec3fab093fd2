/* SPDX-License-Identifier: BSD-2-Clause */
/* Binds two ports of this guest to each other; each sends to the other until EVENTS have come. */
#include "guest.h"

#define EVENTS 1000u
#define VECTOR 0x41

static volatile unsigned int events;

/* The port is the one that became pending. Sending on it reaches the other port. */
static void got_event(evtchn_port_t port)
{
	if (++events < EVENTS)
		CHECK_RET(evtchn_send(port), 0);
}

static evtchn_port_t checked(long port)
{
	CHECK(port > 0, "no port: %ld", port);
	evtchn_set_handler((evtchn_port_t)port, got_event);
	return (evtchn_port_t)port;
}

int main(void)
{
	evtchn_port_t ping, pong;

	CHECK_RET(upcall_by_callback(VECTOR), 0);
	ping = checked(evtchn_alloc_unbound(DOMID_SELF));
	pong = checked(evtchn_bind_interdomain(DOMID_SELF, ping));
	/* Binding sets pong pending. This event does not count. */
	evtchn_clear(pong);
	evtchn_clear_mask(ping);
	evtchn_clear_mask(pong);
	irq_enable();
	CHECK_RET(evtchn_send(ping), 0);
	CHECK(WAIT_FOR(events >= EVENTS, 10 * NS_PER_S), "only %u events came", events);
	irq_disable();
	printf("events %u\n", events);
	pass();
}
