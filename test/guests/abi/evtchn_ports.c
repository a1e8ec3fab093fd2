/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: a domain allocates every event channel, uses the last ones and closes all. */
#include "guest.h"

static bool mine[NR_EVENT_CHANNELS];

static unsigned int take_all(void)
{
	unsigned int n = 0;
	long port;

	while ((port = evtchn_alloc_unbound(DOMID_SELF)) > 0) {
		CHECK(port < NR_EVENT_CHANNELS, "port %ld is past the 2-level limit", port);
		CHECK(!mine[port], "port %ld given twice", port);
		mine[port] = true;
		n++;
	}
	CHECK(port == -XEN_ENOSPC, "error %ld when ports run out", port);
	return n;
}

int main(void)
{
	unsigned int n = take_all(), last = NR_EVENT_CHANNELS - 1, again;
	long port;

	CHECK(n >= NR_EVENT_CHANNELS - 64, "only %u ports", n);
	CHECK(mine[last], "port %u was not given", last);
	CHECK_RET(evtchn_bind_ipi(0), -XEN_ENOSPC);
	CHECK_RET(evtchn_bind_virq(VIRQ_TIMER, 0), -XEN_ENOSPC);

	/* A channel between two of the highest ports. */
	CHECK_RET(evtchn_close(last), 0);
	port = evtchn_bind_interdomain(DOMID_SELF, last - 64);
	CHECK(port == last, "bind_interdomain %ld", port);
	evtchn_clear(last);
	CHECK_RET(evtchn_send(last - 64), 0);
	CHECK(evtchn_clear(last), "no event on port %u", last);
	this_cpu()->info->evtchn_pending_sel = 0;
	CHECK_RET(evtchn_send(last), 0);
	CHECK_RET(evtchn_unmask(last - 64), 0);
	CHECK(this_cpu()->info->evtchn_pending_sel == 1ul << 62, "selector %lx",
	      this_cpu()->info->evtchn_pending_sel);

	for (unsigned int p = 0; p < NR_EVENT_CHANNELS; p++)
		if (mine[p])
			CHECK(!evtchn_close(p), "close of port %u", p);
	memset(mine, 0, sizeof(mine));
	again = take_all();
	CHECK(again == n, "%u ports at first, %u after closing them all", n, again);
	pass();
}
