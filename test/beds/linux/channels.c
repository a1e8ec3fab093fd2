/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plays ping-pong by event channels between two Linux guests, from user space (/dev/xen/evtchn).
 * One side asks: it sends an event and waits for the answer. So each side sends as many events as
 * it receives. A lost event stops the exchange; an extra one shows in the counts.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <xenevtchn.h>

#include "guestcheck.h"

#define MAX_CHANNELS 8
#define MAX_PORT 4096	/* limit of the 2-level ABI */

static struct channel {
	xenevtchn_handle *handle;
	xenevtchn_port_or_error_t port;
	unsigned long sent, got;
	pthread_t thread;
} channels[MAX_CHANNELS];
static unsigned nr_channels;
static bool asking;

/* Waits for an event and takes it. Returns false if none came in time. */
static bool came(struct channel *c, unsigned long ns)
{
	struct pollfd p = { .fd = xenevtchn_fd(c->handle), .events = POLLIN };
	xenevtchn_port_or_error_t port;

	if (poll(&p, 1, (int)(ns / MS)) != 1)
		return false;
	port = xenevtchn_pending(c->handle);
	if (port != c->port || xenevtchn_unmask(c->handle, (evtchn_port_t)port))
		FAIL("channel: an event came on port %d, not %d (%s)", port, c->port,
		     strerror(errno));
	return true;
}

static void send(struct channel *c)
{
	c->sent++;
	if (xenevtchn_notify(c->handle, (evtchn_port_t)c->port))
		FAIL("channel: notify: %s", strerror(errno));
}

static void *ask(void *arg)
{
	struct channel *c = arg;

	bind_to(2 * (unsigned)(c - channels) + 1);
	/* A side that connects gets one event in place of earlier lost ones. */
	while (came(c, S / 2))
		;
	while (!stop) {
		send(c);
		if (!came(c, LOST))
			FAIL("channel: event %lu was not answered for 20 s", c->sent);
		else
			c->got++;
		if (c->sent % 16 == 0)
			sleep_ns(MS);
	}
	if (came(c, S))
		FAIL("channel: one event more came than the %lu that were sent", c->sent);
	return NULL;
}

static void *answer(void *arg)
{
	struct channel *c = arg;

	bind_to(2 * (unsigned)(c - channels));
	while (!stop)
		if (came(c, S / 5)) {
			c->got++;
			send(c);
		}
	return NULL;
}

/*
 * Connects to the ports that the other domain opened for this one, in order: no list exists. The
 * other domain may still boot, which takes minutes on a busy build machine.
 */
static void connect_all(unsigned domain)
{
	unsigned n = 0, port;

	for (unsigned long end = now() + 20 * LOST; n < nr_channels && now() < end; sleep_ns(S / 5))
		for (port = 1; n < nr_channels && port < MAX_PORT; port++) {
			struct channel *c = &channels[n];

			c->port = xenevtchn_bind_interdomain(c->handle, domain, port);
			n += c->port > 0;
		}
	if (n < nr_channels)
		FAIL("channel: domain %u has not opened %u ports: %s", domain, nr_channels,
		     strerror(errno));
}

void channels_start(unsigned domain, bool asks, unsigned n)
{
	asking = asks;
	nr_channels = n < MAX_CHANNELS ? n : MAX_CHANNELS;
	for (unsigned i = 0; i < nr_channels; i++) {
		struct channel *c = &channels[i];

		c->handle = xenevtchn_open(NULL, 0);
		if (!c->handle) {
			FAIL("channel: no /dev/xen/evtchn: %s", strerror(errno));
			nr_channels = 0;
			return;
		}
		if (asks)
			continue;
		c->port = xenevtchn_bind_unbound_port(c->handle, domain);
		if (c->port <= 0)
			FAIL("channel: no port for domain %u: %s", domain, strerror(errno));
	}
	if (asks)
		connect_all(domain);
	for (unsigned i = 0; i < nr_channels; i++)
		start_thread(&channels[i].thread, asks ? ask : answer, &channels[i]);
}

void channels_finish(void)
{
	unsigned long sent = 0, got = 0;

	for (unsigned i = 0; i < nr_channels; i++) {
		const struct channel *c = &channels[i];

		pthread_join(c->thread, NULL);
		if (c->sent != c->got)
			FAIL("channel %u: %lu events were sent, %lu came", i, c->sent, c->got);
		sent += c->sent;
		got += c->got;
		xenevtchn_close(c->handle);
	}
	if (!nr_channels)
		return;
	if (!sent)
		FAIL("channel: none was used");
	printf("guestcheck: channels: %lu events sent, %lu came; it %s\n", sent, got,
	       asking ? "asked" : "answered");
}
