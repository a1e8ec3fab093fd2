/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: two vCPUs with CPUs of their own. For ms=N milliseconds the first has timer interrupts, and
 * by each wakes the second by IPI, which halts in between; all of it counted. dedicated_watch counts
 * the exits from outside. With a local APIC that offers x2APIC mode, IPIs exit: there are none then
 * but the vCPUs' own.
 */
#include "guest.h"

#define TIMER_VECTOR	0x60
#define WAKE_VECTOR	0x61
#define PERIOD_NS	NS_PER_MS
#define MSR_TSC_DEADLINE 0x6e0

static bool x2apic;
static volatile uint32_t *page;
static unsigned int ticks, sent, woken, started;
static bool stop;

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
	sent++;
	if (x2apic) {
		apic_write(LAPIC_SELF_IPI, WAKE_VECTOR);
		return;
	}
	page[LAPIC_ICR_HIGH / 4] = cpu_apic_id(1) << 24;
	page[LAPIC_ICR / 4] = WAKE_VECTOR | ICR_ASSERT;
}

static void on_timer(struct trap_regs *regs)
{
	(void)regs;
	ticks++;
	wake();
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

static void second(void)
{
	prepare();
	started = 1;
	while (!READ_ONCE(stop))
		asm volatile("sti; hlt; cli");
}

int main(void)
{
	uint64_t ms = cmdline_number("ms", 1000), start;

	set_trap_handler(TIMER_VECTOR, on_timer);
	set_trap_handler(WAKE_VECTOR, on_wake);
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
		asm volatile("sti; hlt; cli");
	apic_write(LAPIC_LVT_TIMER, TIMER_VECTOR | LVT_MASKED);
	stop = true;
	delay_ns(10 * NS_PER_MS);
	printf("%lu ms: %u ticks, %u IPIs sent, %u taken\n", ms, ticks, sent, woken);
	CHECK(ticks > ms * 9 / 10 && ticks <= ms + ms / 20 + 2, "%u ticks in %lu ms", ticks, ms);
	CHECK(sent == woken, "of %u IPIs %u came", sent, woken);
	pass();
}
