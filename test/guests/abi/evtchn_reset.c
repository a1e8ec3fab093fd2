/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: EVTCHNOP_reset closes all channels of the caller. That includes the PV console's
 * channel, so this guest must be the initial domain, which uses console_io.
 */
#include "guest.h"

static long reset(domid_t dom)
{
	struct evtchn_reset r = { .dom = dom };

	return event_channel_op(EVTCHNOP_reset, &r);
}

int main(void)
{
	long ports[4], ret;
	struct evtchn_status st;

	CHECK(start_info->flags & SIF_INITDOMAIN, "not the initial domain");
	ports[0] = evtchn_alloc_unbound(DOMID_SELF);
	ports[1] = evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)ports[0]);
	ports[2] = evtchn_bind_ipi(0);
	ports[3] = evtchn_bind_virq(VIRQ_TIMER, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++)
		CHECK(ports[i] > 0, "channel %u: %ld", i, ports[i]);

	ret = reset(0x7123);
	CHECK(ret == -XEN_ESRCH || ret == -XEN_EPERM, "reset of nobody: %ld", ret);
	CHECK_RET(reset(DOMID_SELF), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
		CHECK_RET(evtchn_status((evtchn_port_t)ports[i], &st), 0);
		CHECK(st.status == EVTCHNSTAT_closed, "port %ld has status %u after reset",
		      ports[i], st.status);
		CHECK(!evtchn_pending((evtchn_port_t)ports[i]), "port %ld is pending", ports[i]);
		CHECK_RET(evtchn_send((evtchn_port_t)ports[i]), -XEN_EINVAL);
	}
	/* The virtual interrupt is unbound again. */
	CHECK(evtchn_bind_virq(VIRQ_TIMER, 0) > 0, "VIRQ_TIMER after reset");
	CHECK_RET(reset(DOMID_SELF), 0);
	pass();
}
