/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the vCPU's timers: singleshot, periodic and set_timer_op, their limits and errors. */
#include "guest.h"

static evtchn_port_t timer;

/* Arms a timer in one of two ways and checks that it fires neither early nor very late. */
static void check_fires(bool by_timer_op, uint64_t delay)
{
	uint64_t when = now_ns() + delay, seen;

	if (by_timer_op)
		CHECK_RET(set_timer_op(when), 0);
	else
		CHECK_RET(singleshot_timer(when, 0), 0);
	CHECK(WAIT_FOR(evtchn_pending(timer), 2 * NS_PER_S), "no timer after %lu us", delay / 1000);
	seen = now_ns();
	CHECK(seen >= when, "the timer is %lu ns early", when - seen);
	evtchn_clear(timer);
	delay_ns(2 * NS_PER_MS);
	CHECK(!evtchn_pending(timer), "a one-shot timer fired twice");
}

/*
 * Arms a timer in one of two ways and stops it at once. On a busy machine it may expire before it
 * is stopped; its event is then pending when the stop returns. None comes later.
 */
static void check_stopped(bool by_timer_op, uint64_t delay)
{
	uint64_t when = now_ns() + delay, stopped;
	bool fired;

	if (by_timer_op) {
		CHECK_RET(set_timer_op(when), 0);
		CHECK_RET(set_timer_op(0), 0);
	} else {
		CHECK_RET(singleshot_timer(when, 0), 0);
		CHECK_RET(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	}
	fired = evtchn_clear(timer);
	stopped = now_ns();
	CHECK(!fired || stopped >= when, "a timer fired %lu ns early, when stopped",
	      when - stopped);
	while (now_ns() < when)
		cpu_pause();
	delay_ns(2 * NS_PER_MS);
	CHECK(!evtchn_pending(timer), "a timer fired after it was stopped");
}

static void check_stops(bool by_timer_op)
{
	/* The short delays expire about when the timer is stopped. */
	for (uint64_t d = 0; d < 20; d++)
		check_stopped(by_timer_op, d * NS_PER_US);
	check_stopped(by_timer_op, 5 * NS_PER_MS);
}

static void check_singleshot(void)
{
	long ret;

	for (uint64_t d = 10 * NS_PER_US; d <= 100 * NS_PER_MS; d *= 10)
		check_fires(false, d);
	/*
	 * An expiry in the past fires at once, or is refused if the caller asks for that. Later
	 * releases of Xen 4.17 ignore that flag; the timer must then fire.
	 */
	ret = singleshot_timer(now_ns() - NS_PER_MS, VCPU_SSHOTTMR_future);
	CHECK(!ret || ret == -XEN_ETIME, "a timer in the past: %ld", ret);
	if (ret) {
		delay_ns(2 * NS_PER_MS);
		CHECK(!evtchn_pending(timer), "a refused timer fired");
	} else {
		CHECK(WAIT_FOR(evtchn_clear(timer), NS_PER_S), "a timer in the past did not fire");
	}
	CHECK_RET(singleshot_timer(now_ns() - NS_PER_MS, 0), 0);
	CHECK(WAIT_FOR(evtchn_clear(timer), NS_PER_S), "a timer in the past did not fire");
	CHECK_RET(singleshot_timer(now_ns() + NS_PER_S, VCPU_SSHOTTMR_future), 0);

	/* A new expiry replaces the old one; a stopped timer does not fire. */
	check_fires(false, NS_PER_MS);
	check_stops(false);
	CHECK_RET(vcpu_op(VCPUOP_set_singleshot_timer, 0, (void *)0x7f0000000000), -XEN_EFAULT);
}

static volatile uint64_t handled;

static void on_timer(evtchn_port_t port)
{
	(void)port;
	handled = now_ns();
}

/* The same for a sleeping vCPU: by a poll of the masked port, and by HLT. */
static void check_asleep(uint64_t delay)
{
	struct sched_poll poll = { .nr_ports = 1 };
	uint64_t when = now_ns() + delay;

	set_xen_guest_handle(poll.ports, &timer);
	CHECK_RET(singleshot_timer(when, 0), 0);
	CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
	handled = now_ns();
	CHECK(evtchn_clear(timer), "a poll ended without the timer");
	CHECK(handled >= when, "a poll ended %lu ns early", when - handled);

	handled = 0;
	evtchn_set_handler(timer, on_timer);
	evtchn_unmask(timer);
	when = now_ns() + delay;
	CHECK_RET(singleshot_timer(when, 0), 0);
	while (!handled)
		asm volatile("sti; hlt; cli" ::: "memory");
	CHECK(handled >= when, "HLT ended %lu ns early", when - handled);
	evtchn_mask(timer);
	evtchn_clear(timer);
}

static void check_sleeps(void)
{
	struct sched_poll poll = { .nr_ports = 1 };

	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	for (unsigned int i = 0; i < 100; i++)
		check_asleep(20 * NS_PER_US + i * 1009);
	for (uint64_t d = 100 * NS_PER_US; d <= 10 * NS_PER_MS; d *= 10)
		check_asleep(d);
	/* An expiry just after the machine's start, and one in a century. */
	set_xen_guest_handle(poll.ports, &timer);
	CHECK_RET(singleshot_timer(5, 0), 0);
	CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
	CHECK(evtchn_clear(timer), "a poll ended without the timer of long ago");
	CHECK_RET(singleshot_timer(1ul << 62, 0), 0);
	delay_ns(5 * NS_PER_MS);
	CHECK(!evtchn_pending(timer), "a timer fired a century early");
	CHECK_RET(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
}

static void check_timer_op(void)
{
	for (uint64_t d = 10 * NS_PER_US; d <= 100 * NS_PER_MS; d *= 10)
		check_fires(true, d);
	CHECK_RET(set_timer_op(now_ns() - NS_PER_MS), 0);
	CHECK(WAIT_FOR(evtchn_clear(timer), NS_PER_S), "set_timer_op in the past did not fire");
	check_stops(true);
}

static void check_periodic(void)
{
	struct vcpu_set_periodic_timer period = { .period_ns = 2 * NS_PER_MS };
	uint64_t start = now_ns();
	unsigned int n = 0;

	CHECK_RET(vcpu_op(VCPUOP_set_periodic_timer, 0, &period), 0);
	while (now_ns() - start < 100 * NS_PER_MS) {
		n += evtchn_clear(timer);
		cpu_pause();
	}
	CHECK(n >= 5 && n <= 51, "%u periods of 2 ms in 100 ms", n);
	CHECK(WAIT_FOR(evtchn_clear(timer), NS_PER_S), "the periodic timer stopped");
	CHECK_RET(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	evtchn_clear(timer);
	delay_ns(10 * NS_PER_MS);
	CHECK(!evtchn_pending(timer), "a stopped periodic timer fired");
	period.period_ns = 999 * NS_PER_US;
	CHECK_RET(vcpu_op(VCPUOP_set_periodic_timer, 0, &period), -XEN_EINVAL);
}

int main(void)
{
	timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	CHECK_RET(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	evtchn_clear(timer);
	check_singleshot();
	check_sleeps();
	check_timer_op();
	check_periodic();
	pass();
}
