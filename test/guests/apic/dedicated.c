/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: two vCPUs with CPUs of their own. For ms=N milliseconds the first has timer interrupts, and
 * by each wakes the second by IPI, which halts in between; all of it counted. dedicated_watch counts
 * the exits from outside. With a local APIC that offers x2APIC mode, IPIs exit: there are none then
 * but the vCPUs' own, unless cross=1. events=1: event channels, too. dedicated_switch takes the CPUs
 * away and gives them back meanwhile; the next IPI and event is only sent when the last was taken, so
 * a lost one is missed and a doubled one counted. least=N: percents of the ticks. mwait=1: the vCPUs
 * wait by MONITOR and MWAIT in place of HLT.
 */
#include "guest.h"

#define TIMER_VECTOR	0x60
#define WAKE_VECTOR	0x61
#define PERIOD_NS	NS_PER_MS
#define MSR_TSC_DEADLINE 0x6e0
#define CPUID_MONITOR	(1u << 3)

static bool x2apic;
static volatile uint32_t *page;
static unsigned int ticks, sent, woken, started, events_sent, events;
static uint32_t second_id;
static evtchn_port_t port;
static bool stop, cross, mwait;

/* lapic_write() reads an MSR each time, with an exit. */
static void apic_write(unsigned int reg, uint32_t val)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, val);
	else
		page[reg / 4] = val;
}

static void arm(void)
{
	if (x2apic)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz() * PERIOD_NS / NS_PER_MS);
}

static void wake(void)
{
	if (READ_ONCE(woken) != sent)
		return;
	sent++;
	if (!x2apic) {
		page[LAPIC_ICR_HIGH / 4] = second_id << 24;
		page[LAPIC_ICR / 4] = WAKE_VECTOR | ICR_ASSERT;
	} else if (cross) {
		wrmsr(MSR_X2APIC + LAPIC_ICR / 16,
		      (uint64_t)second_id << 32 | WAKE_VECTOR | ICR_ASSERT);
	} else {
		apic_write(LAPIC_SELF_IPI, WAKE_VECTOR);
	}
}

static void send_event(void)
{
	if (!port || READ_ONCE(events) != events_sent)
		return;
	events_sent++;
	CHECK_RET(evtchn_send(port), 0);
}

static void on_event(evtchn_port_t p)
{
	CHECK(p == port && this_cpu()->id == 1, "port %u on vCPU %u", p, this_cpu()->id);
	events++;
}

static void on_timer(struct trap_regs *regs)
{
	(void)regs;
	ticks++;
	wake();
	send_event();
	if (!stop)
		arm();
	apic_write(LAPIC_EOI, 0);
}

static void on_wake(struct trap_regs *regs)
{
	(void)regs;
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	apic_write(LAPIC_EOI, 0);
}

static void prepare(void)
{
	x2apic = lapic_enter_x2apic();
	page = (volatile uint32_t *)(rdmsr(MSR_APIC_BASE) & 0xffffff000ull);
	lapic_enable();
}

static void nap(void)
{
	if (!mwait) {
		asm volatile("sti; hlt; cli");
		return;
	}
	asm volatile("monitor" : : "a"(&stop), "c"(0), "d"(0));
	if (!READ_ONCE(stop))	/* NOP: QEMU's MWAIT does not end the shadow of STI */
		asm volatile("sti; mwait; nop; cli" : : "a"(0), "c"(0) : "memory");
}

static void second(void)
{
	prepare();
	if (port) {
		CHECK_RET(upcall_by_vector(1, UPCALL_VECTOR), 0);
		evtchn_set_handler(port, on_event);
		CHECK_RET(evtchn_unmask(port), 0);
	}
	started = 1;
	while (!READ_ONCE(stop))
		nap();
}

int main(void)
{
	uint64_t ms = cmdline_number("ms", 1000), least = cmdline_number("least", 90), start;

	set_trap_handler(TIMER_VECTOR, on_timer);
	set_trap_handler(WAKE_VECTOR, on_wake);
	cross = cmdline_number("cross", 0);
	mwait = cmdline_number("mwait", 0);
	CHECK(!mwait || cpuid(1, 0).c & CPUID_MONITOR, "no MONITOR in CPUID");
	second_id = cpu_apic_id(1);
	printf("local APICs %u and %u\n", cpu_apic_id(0), second_id);
	if (cmdline_number("events", 0))
		port = (evtchn_port_t)evtchn_bind_ipi(1);
	prepare();
	cpu_start(1, second);
	CHECK(WAIT_FOR(READ_ONCE(started), 5 * NS_PER_S), "the second vCPU does not run");
	delay_ns(200 * NS_PER_MS);	/* the CPUs become their own */
	apic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_1);
	apic_write(LAPIC_LVT_TIMER,
		   TIMER_VECTOR | (x2apic ? LVT_TIMER_DEADLINE : LVT_TIMER_PERIODIC));
	apic_write(LAPIC_TIMER_INITIAL, x2apic ? 0 : PERIOD_NS);
	arm();
	start = now_ns();
	while (now_ns() < start + ms * NS_PER_MS)
		nap();
	apic_write(LAPIC_LVT_TIMER, TIMER_VECTOR | LVT_MASKED);
	stop = true;
	delay_ns(10 * NS_PER_MS);
	printf("%lu ms: %u ticks, %u IPIs, %u events\n", ms, ticks, woken, events);
	CHECK(ticks > ms * least / 100 && ticks <= ms + ms / 20 + 2, "%u ticks in %lu ms", ticks,
	      ms);
	CHECK(sent == woken && sent > ticks * least / 100, "of %u IPIs %u came", sent, woken);
	CHECK(events == events_sent && (!port || events > ticks * least / 100),
	      "of %u events %u came", events_sent, events);
	pass();
}
