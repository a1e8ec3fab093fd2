/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: storms of timers, interrupts and events, each for a bounded time. Afterwards no event
 * is pending, the clock is right and nothing is lost.
 */
#include "guest.h"

#define STORM		(500 * NS_PER_MS)
#define TIMER_VECTOR	0x60
#define IPI_VECTOR	0x61

static volatile uint64_t interrupts, events;
static volatile bool stop;
static evtchn_port_t timer, self_a, self_b;

static void on_irq(struct trap_regs *regs)
{
	(void)regs;
	interrupts++;
	lapic_eoi();
}

static void on_event(evtchn_port_t port)
{
	(void)port;
	events++;
}

static void others(void)
{
	lapic_enable();
	irq_enable();
	while (!stop) {
		evtchn_send(self_a);
		lapic_icr(0, ICR_ALL | ICR_ASSERT | IPI_VECTOR);
		cpu_pause();	/* QEMU, which runs the CPUs by turns, ends this one's turn */
	}
	irq_disable();
}

static void storm(const char *what, void (*once)(void))
{
	uint64_t end = now_ns() + STORM, n = 0;

	interrupts = events = 0;
	for (; now_ns() < end; n++)
		once();
	printf("%s: %lu calls, %lu interrupts, %lu events\n", what, n, interrupts, events);
}

static void timer_in_the_past(void)
{
	singleshot_timer(1, 0);
}

static void timer_op_in_the_past(void)
{
	set_timer_op(now_ns() - 1);
}

static void lapic_one_tick(void)
{
	lapic_write(LAPIC_TIMER_INITIAL, 1);
}

static void ipi_to_self(void)
{
	lapic_icr(0, ICR_SELF | ICR_ASSERT | IPI_VECTOR);
}

static void event_to_self(void)
{
	evtchn_send(self_a);
}

static void nothing(void)
{
	cpu_pause();
}

int main(void)
{
	struct vcpu_set_periodic_timer period = { .period_ns = NS_PER_MS };
	uint64_t before, after;

	canary_init(16);
	timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	evtchn_to_self(&self_a, &self_b);
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	evtchn_set_handler(timer, on_event);
	evtchn_set_handler(self_b, on_event);
	evtchn_unmask(timer);
	evtchn_unmask(self_b);
	set_trap_handler(TIMER_VECTOR, on_irq);
	set_trap_handler(IPI_VECTOR, on_irq);
	lapic_enable();
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_1);
	irq_enable();

	storm("singleshot in the past", timer_in_the_past);
	storm("set_timer_op in the past", timer_op_in_the_past);
	set_timer_op(0);
	vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
	CHECK_RET(vcpu_op(VCPUOP_set_periodic_timer, 0, &period), 0);
	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR);
	storm("one tick of the LAPIC timer", lapic_one_tick);
	/* If delivered, these would keep this vCPU from all other work: leave them pending. */
	irq_disable();
	lapic_write(LAPIC_LVT_TIMER, LVT_TIMER_PERIODIC | TIMER_VECTOR);
	lapic_write(LAPIC_TIMER_INITIAL, 1);
	storm("LAPIC timer with a period of one tick", nothing);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	irq_enable();
	CHECK_RET(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	storm("IPI to self", ipi_to_self);
	storm("event to self", event_to_self);
	cpu_start_all(others);
	storm("all of it from all vCPUs", ipi_to_self);
	stop = true;
	CHECK(WAIT_FOR(cpus_done() == cpu_count() - 1, 10 * NS_PER_S), "%u vCPUs finished",
	      cpus_done());

	delay_ns(20 * NS_PER_MS);
	interrupts = events = 0;
	before = now_ns();
	delay_ns(50 * NS_PER_MS);
	after = now_ns();
	CHECK(interrupts + events <= 1, "%lu interrupts and %lu events after the storms",
	      interrupts, events);
	CHECK(after - before < 10 * NS_PER_S, "50 ms took %lu us", (after - before) / 1000);
	CHECK_RET(singleshot_timer(now_ns() + NS_PER_MS, 0), 0);
	CHECK(WAIT_FOR(events == 1, NS_PER_S), "no timer after the storms");
	canary_check("storms");
	pass();
}
