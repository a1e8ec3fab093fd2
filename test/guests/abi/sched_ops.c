/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: sched_op: yield, block, poll and its limits, shutdown_code. */
#include "guest.h"

#define UNMAPPED	((void *)0x7f0000000000ul)
#define SLEEP		(20 * NS_PER_MS)

static evtchn_port_t port, peer, timer;
static unsigned int wakes;

static long poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
	struct sched_poll p = { .nr_ports = n, .timeout = timeout };

	set_xen_guest_handle(p.ports, ports);
	return sched_op(SCHEDOP_poll, &p);
}

static void check_poll(void)
{
	evtchn_port_t ports[2] = { port, timer }, bad = ~0u;
	uint64_t start = now_ns(), slept;

	CHECK_RET(poll(NULL, 0, start + SLEEP), 0);
	slept = now_ns() - start;
	CHECK(slept >= SLEEP && slept < 50 * SLEEP, "poll slept %lu us, wanted %llu", slept / 1000,
	      SLEEP / 1000);

	/* A pending port, masked as pollers keep it, ends the poll at once. */
	CHECK_RET(evtchn_send(peer), 0);
	start = now_ns();
	CHECK_RET(poll(ports, 2, start + 10 * NS_PER_S), 0);
	CHECK(now_ns() - start < NS_PER_S, "poll slept with a pending port");
	evtchn_clear(port);

	/* An event wakes it from the poll. */
	start = now_ns();
	CHECK_RET(singleshot_timer(start + SLEEP, 0), 0);
	CHECK_RET(poll(ports, 2, start + 10 * NS_PER_S), 0);
	slept = now_ns() - start;
	CHECK(evtchn_clear(timer), "poll came back without an event after %lu us", slept / 1000);
	CHECK(slept >= SLEEP && slept < 5 * NS_PER_S, "poll slept %lu us", slept / 1000);
	start = now_ns();
	CHECK_RET(singleshot_timer(start + SLEEP, 0), 0);
	CHECK_RET(poll(&timer, 1, 0), 0);			/* no timeout */
	CHECK(evtchn_clear(timer), "poll without timeout came back without an event");

	CHECK_RET(poll(&bad, 1, now_ns() + SLEEP), -XEN_EINVAL);
	CHECK_RET(poll(ports, 129, now_ns() + SLEEP), -XEN_EINVAL);
	CHECK_RET(poll(UNMAPPED, 1, now_ns() + SLEEP), -XEN_EFAULT);
	CHECK_RET(sched_op(SCHEDOP_poll, UNMAPPED), -XEN_EFAULT);
}

/* Re-arms from its own event: an event before the block must not leave the vCPU asleep. */
static void rearm(evtchn_port_t p)
{
	(void)p;
	wakes++;
	CHECK_RET(singleshot_timer(now_ns() + SLEEP, 0), 0);
}

static void check_block(void)
{
	uint64_t start = now_ns(), took;

	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	evtchn_set_handler(timer, rearm);
	evtchn_unmask(timer);
	CHECK_RET(singleshot_timer(start + SLEEP, 0), 0);
	irq_enable();
	for (int i = 0; i < 5; i++)
		CHECK_RET(sched_op(SCHEDOP_block, NULL), 0);
	took = now_ns() - start;
	CHECK(wakes >= 4, "5 blocks ended by %u events", wakes);
	CHECK(took >= 4 * SLEEP && took < 5 * NS_PER_S, "5 blocks took %lu us", took / 1000);
	irq_disable();
	evtchn_mask(timer);
	CHECK_RET(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	evtchn_clear(timer);
}

int main(void)
{
	struct sched_shutdown code = { .reason = SHUTDOWN_poweroff };
	struct sched_remote_shutdown remote = { .domain_id = 0x7123 };

	evtchn_to_self(&peer, &port);
	timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	for (int i = 0; i < 1000; i++)
		CHECK_RET(sched_op(SCHEDOP_yield, NULL), 0);
	check_poll();
	check_block();
	CHECK(sched_op(SCHEDOP_remote_shutdown, &remote) < 0, "remote shutdown of nobody");
	CHECK_RET(sched_op(99, NULL), -XEN_ENOSYS);
	CHECK_RET(sched_op(SCHEDOP_shutdown, UNMAPPED), -XEN_EFAULT);
	/* The call only records the code; the domain continues. */
	CHECK_RET(sched_op(SCHEDOP_shutdown_code, &code), 0);
	delay_ns(NS_PER_MS);
	pass();
}
