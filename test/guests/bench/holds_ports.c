/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the event-channel operations with the most work per call: the switch to FIFO channels
 * with all ports pending, a page of words for pending ports of many vCPUs, a search for a port while
 * each bucket has a free one that is still linked, and a reset of sparse ports. `make hold-times`
 * measures them in a debug build of Margay.
 */
#include "guest.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define PORTS_2L 4096u

static struct evtchn_fifo_control_block block PAGE_ALIGNED;
static event_word_t *words;
static unsigned int nr_ports;

static void init_control(void)
{
	struct evtchn_init_control c = { .control_gfn = (uintptr_t)&block >> PAGE_SHIFT };

	CHECK_RET(event_channel_op(EVTCHNOP_init_control, &c), 0);
}

static void expand(unsigned int page)
{
	struct evtchn_expand_array a = {
		.array_gfn = (uintptr_t)(words + page * WORDS_PER_PAGE) >> PAGE_SHIFT
	};

	CHECK_RET(event_channel_op(EVTCHNOP_expand_array, &a), 0);
}

static void reset(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };

	CHECK_RET(event_channel_op(EVTCHNOP_reset, &r), 0);
	memset(words, 0, nr_ports * sizeof(*words));
	memset(&block, 0, sizeof(block));
}

/* Each port's event arrives before the port has a word. */
static void missed_events(void)
{
	unsigned int vcpus = cpu_count(), pending = 0;
	long port, first = 0;

	while ((port = evtchn_bind_ipi(0)) > 0) {
		first = first ? first : port;
		CHECK_RET(evtchn_send((unsigned int)port), 0);
	}
	CHECK_RET(port, -XEN_ENOSPC);
	init_control();
	/* Half of the events are left from before the switch. */
	for (unsigned int p = (unsigned int)first + 1; p < PORTS_2L; p += 2)
		CHECK_RET(evtchn_close(p), 0);
	for (unsigned int p = (unsigned int)first + 1; p < PORTS_2L; p += 2) {
		CHECK_RET(evtchn_bind_ipi(p % vcpus), p);
		CHECK_RET(evtchn_send(p), 0);
	}
	for (unsigned int page = 0; page < PORTS_2L / WORDS_PER_PAGE; page++)
		expand(page);
	for (unsigned int p = (unsigned int)first; p < PORTS_2L; p++)
		pending += words[p] >> EVTCHN_FIFO_PENDING & 1;
	CHECK(pending == PORTS_2L - first, "%u events of %lu", pending, PORTS_2L - first);
	reset();
}

static void sparse_ports(void)
{
	long port;

	init_control();
	for (unsigned int page = 0; page < nr_ports / WORDS_PER_PAGE; page++)
		expand(page);
	while ((port = evtchn_bind_ipi(0)) > 0 && port < nr_ports - 1)
		;
	CHECK(port > 0, "%ld", port);
	for (unsigned int p = 255; p < nr_ports; p += 256) {
		CHECK_RET(evtchn_close(p), 0);
		words[p] = 1u << EVTCHN_FIFO_LINKED;
	}
	/* No port is free, or Margay has searched enough of them. */
	CHECK_RET(evtchn_bind_ipi(0), -XEN_ENOSPC);
	memset(words, 0, nr_ports * sizeof(*words));
	for (unsigned int p = 256; p < nr_ports; p += 256)
		for (unsigned int i = 3; i < 255; i++)
			CHECK_RET(evtchn_close(p + i), 0);
	reset();
}

int main(void)
{
	nr_ports = (unsigned int)cmdline_number("ports", 8192);
	words = page_alloc(nr_ports / WORDS_PER_PAGE);
	memset(words, 0, nr_ports * sizeof(*words));
	events_init();
	missed_events();
	sparse_ports();
	pass();
}
