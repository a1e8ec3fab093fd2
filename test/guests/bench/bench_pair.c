/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cost of interaction between two vCPUs. They yield to each other on one CPU, or send each
 * other interrupts or events and sleep until the other's signal arrives. The figures are half of a
 * round trip: one yield, or one signal from its sender to the handler. other=1 on the command line
 * says that each vCPU has its own CPU.
 */
#include "guest.h"

#include "bench.h"

#define ROUNDS		500u
#define IPI_VECTOR	0x50

static volatile unsigned int phase, turns;
static volatile unsigned int got[2];	/* signals received by each vCPU */
static evtchn_port_t ports[2];
static bool x2apic, other_cpu;
static volatile bool ready;

enum { YIELD = 1, IPI, EVENT };

static void on_ipi(struct trap_regs *regs)
{
	(void)regs;
	lapic_eoi();
	got[this_cpu()->id]++;
}

static void on_event(evtchn_port_t port)
{
	got[port == ports[1]]++;
}

static void signal(unsigned int to)
{
	if (phase == IPI)
		lapic_icr(cpu_apic_id(to), ICR_FIXED | ICR_ASSERT | IPI_VECTOR);
	else
		evtchn_send(ports[to]);
}

static void wait_for(unsigned int id, unsigned int count)
{
	while (got[id] < count)
		asm volatile("sti; hlt; cli" ::: "memory");
}

static void prepare(void)
{
	lapic_enable();
	if (x2apic)
		CHECK(lapic_enter_x2apic(), "no x2APIC on this vCPU");
}

/*
 * Yields to the other vCPU on the same CPU; elsewhere PAUSE, since -icount runs the CPUs in turns.
 */
static void give_way(void)
{
	sched_op(SCHEDOP_yield, NULL);
	cpu_pause();
}

static void answer(unsigned int which)
{
	unsigned int begin = got[1];

	while (phase != which)
		give_way();
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		wait_for(1, begin + i);
		signal(0);
	}
}

static void other(void)
{
	prepare();
	ready = true;
	while (phase == YIELD) {
		sched_op(SCHEDOP_yield, NULL);
		turns++;
	}
	answer(IPI);
	answer(EVENT);
}

/* Measures a yield. How often the other vCPU runs in between is the scheduler's choice. */
static void measure_yield(void)
{
	struct bench_sum b = BENCH_SUM;

	while (turns < 2)
		sched_op(SCHEDOP_yield, NULL);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int before = turns;
		uint64_t start, ticks;

		bench_mark();
		start = rdtsc();
		sched_op(SCHEDOP_yield, NULL);
		ticks = rdtsc() - start;
		bench_mark();
		bench_add_times(&b, ticks, 1 + turns - before);
	}
	bench_report("yield_two", &b);
}

static void measure_signals(const char *name, unsigned int which)
{
	struct bench_sum b = BENCH_SUM;
	unsigned int begin = got[0];

	phase = which;
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		uint64_t start;

		/* On another CPU the other vCPU takes a moment to fall asleep. */
		if (other_cpu)
			delay_ns(20000);
		bench_mark();
		start = rdtsc();
		signal(1);
		wait_for(0, begin + i);
		start = rdtsc() - start;
		bench_mark();
		if (i > 1)
			bench_add_times(&b, start, 2);
	}
	bench_report(name, &b);
}

int main(void)
{
	CHECK(cpu_count() == 2, "wants two vCPUs, got %u", cpu_count());
	bench_calibrate();
	x2apic = cpuid(1, 0).c & 1u << 21;
	set_trap_handler(IPI_VECTOR, on_ipi);
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	for (unsigned int id = 0; id < 2; id++) {
		ports[id] = (evtchn_port_t)evtchn_bind_ipi(id);
		CHECK(ports[id] > 0, "bind_ipi");
		evtchn_set_handler(ports[id], on_event);
		evtchn_unmask(ports[id]);
	}
	prepare();
	other_cpu = cmdline_number("other", 0);
	phase = other_cpu ? 0 : YIELD;
	cpu_start(1, other);
	while (!ready)
		give_way();
	if (!other_cpu)
		measure_yield();
	measure_signals(other_cpu ? "ipi_other_cpu" : "ipi_same_cpu", IPI);
	measure_signals(other_cpu ? "event_other_cpu" : "event_same_cpu", EVENT);
	pass();
}
