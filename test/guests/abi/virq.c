/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: binding virtual interrupts, one port each, per vCPU or on vCPU 0, and closing them. */
#include "guest.h"

int main(void)
{
	struct evtchn_status st;
	long port = evtchn_bind_virq(VIRQ_TIMER, 0), second;
	evtchn_port_t p = (evtchn_port_t)port;

	CHECK(port > 0, "bind_virq %ld", port);
	CHECK_RET(evtchn_status(p, &st), 0);
	CHECK(st.status == EVTCHNSTAT_virq && st.u.virq == VIRQ_TIMER && !st.vcpu,
	      "status %u, virq %u, vCPU %u", st.status, st.u.virq, st.vcpu);
	CHECK_RET(evtchn_bind_virq(VIRQ_TIMER, 0), -XEN_EEXIST);
	CHECK_RET(evtchn_bind_virq(NR_VIRQS, 0), -XEN_EINVAL);
	CHECK_RET(evtchn_bind_virq(~0u, 0), -XEN_EINVAL);
	CHECK_RET(evtchn_bind_virq(VIRQ_DEBUG, 4096), -XEN_ENOENT);
	CHECK_RET(evtchn_bind_vcpu(p, 0), -XEN_EINVAL);

	/* Another vCPU has its own. */
	if (cpu_count() > 1) {
		second = evtchn_bind_virq(VIRQ_TIMER, 1);
		CHECK(second > 0 && second != port, "bind_virq on vCPU 1: %ld", second);
		CHECK_RET(evtchn_close((evtchn_port_t)second), 0);
		second = evtchn_bind_virq(VIRQ_DEBUG, 1);
		CHECK(second > 0, "VIRQ_DEBUG on vCPU 1: %ld", second);
		CHECK_RET(evtchn_bind_virq(VIRQ_DEBUG, 1), -XEN_EEXIST);
	}

	CHECK_RET(singleshot_timer(now_ns() + NS_PER_MS, 0), 0);
	CHECK(WAIT_FOR(evtchn_pending(p), NS_PER_S), "the timer did not fire");
	evtchn_clear(p);
	CHECK_RET(evtchn_close(p), 0);
	CHECK_RET(singleshot_timer(now_ns() + NS_PER_MS, 0), 0);
	delay_ns(5 * NS_PER_MS);
	CHECK(!evtchn_pending(p), "an unbound timer interrupt set port %u", p);
	port = evtchn_bind_virq(VIRQ_TIMER, 0);
	CHECK(port > 0, "binding again: %ld", port);
	pass();
}
