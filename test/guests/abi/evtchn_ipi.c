/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: event channels between vCPUs: bind_ipi, bind_vcpu, and where upcalls arrive. */
#include "guest.h"

#define ROUNDS	200

static unsigned int hits[2];
static volatile bool stop;

static void count(evtchn_port_t port)
{
	(void)port;
	__atomic_fetch_add(&hits[this_cpu()->id], 1, __ATOMIC_SEQ_CST);
}

static unsigned int hits_of(unsigned int id)
{
	return __atomic_load_n(&hits[id], __ATOMIC_SEQ_CST);
}

static void wait_for_events(void)
{
	irq_enable();
	while (!stop)
		cpu_pause();
}

int main(void)
{
	struct evtchn_status st;
	long ipi, a, b;

	CHECK(cpu_count() >= 2, "needs two vCPUs");
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	irq_enable();
	cpu_start(1, wait_for_events);

	CHECK_RET(evtchn_bind_ipi(4096), -XEN_ENOENT);
	ipi = evtchn_bind_ipi(1);
	CHECK(ipi > 0, "bind_ipi %ld", ipi);
	CHECK_RET(evtchn_status((evtchn_port_t)ipi, &st), 0);
	CHECK(st.status == EVTCHNSTAT_ipi && st.vcpu == 1, "status %u, vCPU %u", st.status,
	      st.vcpu);
	CHECK_RET(evtchn_bind_vcpu((evtchn_port_t)ipi, 0), -XEN_EINVAL);
	evtchn_set_handler((evtchn_port_t)ipi, count);
	evtchn_unmask((evtchn_port_t)ipi);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		CHECK_RET(evtchn_send((evtchn_port_t)ipi), 0);
		CHECK(WAIT_FOR(hits_of(1) == i, 10 * NS_PER_S), "vCPU 1 got %u of %u events",
		      hits_of(1), i);
	}
	CHECK(!hits_of(0), "vCPU 0 got an event of vCPU 1");

	/* An interdomain channel starts on vCPU 0 and moves. */
	hits[1] = 0;
	a = evtchn_alloc_unbound(DOMID_SELF);
	b = evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)a);
	CHECK(a > 0 && b > 0, "channel: %ld, %ld", a, b);
	evtchn_clear((evtchn_port_t)b);
	evtchn_set_handler((evtchn_port_t)b, count);
	evtchn_unmask((evtchn_port_t)b);
	CHECK_RET(evtchn_send((evtchn_port_t)a), 0);
	CHECK(WAIT_FOR(hits_of(0) == 1, 10 * NS_PER_S), "vCPU 0 got no event");
	CHECK_RET(evtchn_bind_vcpu((evtchn_port_t)b, 1), 0);
	CHECK_RET(evtchn_bind_vcpu((evtchn_port_t)b, 4096), -XEN_ENOENT);
	CHECK_RET(evtchn_status((evtchn_port_t)b, &st), 0);
	CHECK(st.vcpu == 1, "channel bound to vCPU %u", st.vcpu);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		CHECK_RET(evtchn_send((evtchn_port_t)a), 0);
		CHECK(WAIT_FOR(hits_of(1) == i, 10 * NS_PER_S), "vCPU 1 got %u of %u moved events",
		      hits_of(1), i);
	}
	CHECK(hits_of(0) == 1, "vCPU 0 got %u events", hits_of(0));
	stop = true;
	pass();
}
