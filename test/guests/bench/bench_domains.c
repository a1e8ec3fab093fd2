/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two domains send each other events; each sleeps until the other's event arrives. The figures are
 * half of a round trip. peer= is the other domain's id. The domain with the lower id opens the
 * port, sends first and measures. other=1 says that each domain has its own CPU.
 */
#include "guest.h"

#include "bench.h"

#define ROUNDS	500u
#define PORTS	16u	/* the peer's is one of the first */

static volatile unsigned int got;

static void on_event(evtchn_port_t port)
{
	(void)port;
	got++;
}

static void wait_for(unsigned int count)
{
	while (got < count)
		asm volatile("sti; hlt; cli" ::: "memory");
}

/* Binds to the peer's port. The peer may not have opened it yet. */
static evtchn_port_t bind_to(domid_t peer)
{
	for (uint64_t end = now_ns() + 10 * NS_PER_S; now_ns() < end; delay_ns(NS_PER_MS / 4))
		for (evtchn_port_t p = 1; p < PORTS; p++) {
			long ret = evtchn_bind_interdomain(peer, p);

			if (ret > 0)
				return (evtchn_port_t)ret;
			sched_op(SCHEDOP_yield, NULL);
			cpu_pause();
		}
	fail("domain %u has no port for this one", peer);
}

static void measure(evtchn_port_t port)
{
	bool other_cpu = cmdline_number("other", 0);
	struct bench_sum b = BENCH_SUM;

	wait_for(1);		/* the peer is ready */
	for (unsigned int i = 2; i <= ROUNDS; i++) {
		uint64_t start;

		if (other_cpu)
			delay_ns(20000);
		start = rdtsc();
		evtchn_send(port);
		wait_for(i);
		/* In the last round the peer ends, at this CPU's cost. */
		if (i > 2 && i < ROUNDS)
			bench_add(&b, (rdtsc() - start) / 2);
	}
	bench_report(other_cpu ? "domains_other_cpu" : "domains_same_cpu", &b);
}

static void answer(evtchn_port_t port)
{
	evtchn_send(port);
	for (unsigned int i = 2; i <= ROUNDS; i++) {
		wait_for(i - 1);
		evtchn_send(port);
	}
}

int main(void)
{
	domid_t peer = (domid_t)cmdline_number("peer", 0);
	bool first = own_domid() < peer;
	long port;

	bench_calibrate();
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	port = first ? evtchn_alloc_unbound(peer) : bind_to(peer);
	CHECK(port > 0, "alloc_unbound %ld", port);
	if (!first)
		evtchn_clear((evtchn_port_t)port);	/* binding sets it pending */
	evtchn_set_handler((evtchn_port_t)port, on_event);
	evtchn_unmask((evtchn_port_t)port);
	if (first)
		measure((evtchn_port_t)port);
	else
		answer((evtchn_port_t)port);
	pass();
}
