/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: an event, a LAPIC timer, another vCPU's IPI and an NMI each end HLT. */
#include "guest.h"

#define TIMER_VECTOR	0x60
#define IPI_VECTOR	0x61
#define SLEEP		(10 * NS_PER_MS)

static volatile unsigned int events, ticks, ipis, nmis;
static volatile bool asleep, stop;

static void on_event(evtchn_port_t port)
{
	(void)port;
	events++;
}

static void on_tick(struct trap_regs *regs)
{
	(void)regs;
	ticks++;
	lapic_eoi();
}

static void on_ipi(struct trap_regs *regs)
{
	(void)regs;
	ipis++;
	lapic_eoi();
}

static void on_nmi(struct trap_regs *regs)
{
	(void)regs;
	nmis++;
}

/* Halts with interrupts on until the count changes. Interrupts are off before and after. */
static void halt_until(volatile unsigned int *count, unsigned int value)
{
	while (*count < value)
		asm volatile("sti; hlt; cli" ::: "memory");
}

static void check_timers(void)
{
	evtchn_port_t timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	uint64_t start;

	evtchn_set_handler(timer, on_event);
	evtchn_unmask(timer);
	for (unsigned int i = 1; i <= 5; i++) {
		start = now_ns();
		CHECK_RET(singleshot_timer(start + SLEEP, 0), 0);
		halt_until(&events, i);
		CHECK(now_ns() - start >= SLEEP, "woken after %lu us", (now_ns() - start) / 1000);
	}
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_16);
	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR);
	for (unsigned int i = 1; i <= 5; i++) {
		lapic_write(LAPIC_TIMER_INITIAL, 20000);
		halt_until(&ticks, i);
	}
	CHECK(events == 5 && ticks == 5, "%u events, %u ticks", events, ticks);
}

/* vCPU 1 halts. vCPU 0 wakes it by an IPI with interrupts on, by an NMI with interrupts off. */
static void sleeper(void)
{
	lapic_enable();
	for (unsigned int i = 1; i <= 20; i++) {
		asleep = true;
		halt_until(&ipis, i);
		asleep = false;
	}
	asleep = true;
	asm volatile("hlt" ::: "memory");
	asleep = false;
	CHECK(nmis == 1, "HLT with interrupts off ended after %u NMIs", nmis);
	stop = true;
}

int main(void)
{
	CHECK(cpu_count() > 1, "needs two vCPUs");
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	set_trap_handler(TIMER_VECTOR, on_tick);
	set_trap_handler(IPI_VECTOR, on_ipi);
	set_trap_handler(X86_NMI, on_nmi);
	lapic_enable();
	check_timers();

	cpu_start(1, sleeper);
	for (unsigned int i = 1; i <= 20; i++) {
		CHECK(WAIT_FOR(asleep, NS_PER_S), "vCPU 1 does not sleep");
		delay_ns(NS_PER_MS);
		lapic_icr(cpu_apic_id(1), ICR_FIXED | ICR_ASSERT | IPI_VECTOR);
		CHECK(WAIT_FOR(ipis == i, NS_PER_S), "IPI %u did not wake vCPU 1", i);
	}
	/* Its interrupts are off now: an NMI must wake it, an IPI must not. */
	delay_ns(5 * NS_PER_MS);
	lapic_icr(cpu_apic_id(1), ICR_FIXED | ICR_ASSERT | IPI_VECTOR);
	delay_ns(5 * NS_PER_MS);
	CHECK(ipis == 20 && !stop, "an interrupt came through with interrupts off");
	lapic_icr(cpu_apic_id(1), ICR_NMI | ICR_ASSERT);
	CHECK(WAIT_FOR(stop, NS_PER_S), "an NMI did not wake vCPU 1");
	pass();
}
