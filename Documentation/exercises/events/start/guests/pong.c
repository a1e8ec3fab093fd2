/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: two ports of this guest, bound to each other, send to one another until EVENTS have come. */
#include "guest.h"

#define EVENTS 1000u
#define VECTOR 0x41

static volatile unsigned int events;

int main(void)
{
	CHECK_RET(upcall_by_callback(VECTOR), 0);
	/*
	 * Bind two ports to each other, set a handler for each that counts and sends back, clear their mask
	 * bits (events_init() has masked all), send the first event, enable interrupts.
	 */
	CHECK(WAIT_FOR(events >= EVENTS, 10 * NS_PER_S), "only %u events came", events);
	printf("events %u\n", events);
	pass();
}
