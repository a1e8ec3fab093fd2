/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the LAPIC timer in all offered modes, by MMIO and then in x2APIC mode. */
#include "guest.h"

#define VECTOR		0x60
#define CPUID1_C_TSC_DEADLINE (1u << 24)

static unsigned int fired;
static uint64_t last;

static void on_timer(struct trap_regs *regs)
{
	(void)regs;
	fired++;
	last = now_ns();
	lapic_eoi();
}

static void arm(uint32_t lvt, uint32_t divide, uint32_t count)
{
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	lapic_write(LAPIC_TIMER_DIVIDE, divide);
	lapic_write(LAPIC_LVT_TIMER, lvt | VECTOR);
	fired = 0;
	lapic_write(LAPIC_TIMER_INITIAL, count);
}

/*
 * Returns the ticks per millisecond with the given divider, measured by pvclock. On a busy host the
 * guest may lose the CPU between reading the clock and the count: then it measures again, for
 * longer.
 */
static uint32_t rate(uint32_t divide)
{
	for (int i = 0; i < 60; i++) {
		uint64_t delay = 20 * NS_PER_MS << i / 10;
		uint64_t t[4];
		uint32_t left;

		t[0] = now_ns();
		arm(LVT_MASKED, divide, ~0u);
		t[1] = now_ns();
		delay_ns(delay);
		t[2] = now_ns();
		left = lapic_read(LAPIC_TIMER_CURRENT);
		t[3] = now_ns();
		CHECK(left && left != ~0u, "the current count stays at %x", left);
		if (t[1] - t[0] + t[3] - t[2] < delay / 20)
			return (uint32_t)((~0u - left) * NS_PER_MS / (t[3] - t[0]));
	}
	fail("the clock is too unsteady to measure the timer");
}

static void check_one_shot(uint32_t per_ms)
{
	uint64_t start = now_ns();

	arm(0, TIMER_DIVIDE_16, per_ms * 5);
	CHECK(WAIT_FOR(READ_ONCE(fired) == 1, 2 * NS_PER_S), "one-shot: %u interrupts", fired);
	CHECK(last - start >= 4900 * NS_PER_US && last - start < NS_PER_S,
	      "a one-shot of 5 ms took %lu us", (last - start) / 1000);
	delay_ns(12 * NS_PER_MS);
	CHECK(fired == 1, "one-shot: %u interrupts", fired);
	CHECK(!lapic_read(LAPIC_TIMER_CURRENT), "current count %u after a one-shot",
	      lapic_read(LAPIC_TIMER_CURRENT));
	arm(0, TIMER_DIVIDE_16, per_ms * 5);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	delay_ns(10 * NS_PER_MS);
	CHECK(!fired, "a stopped timer fired");
	arm(LVT_MASKED, TIMER_DIVIDE_16, per_ms);
	delay_ns(5 * NS_PER_MS);
	CHECK(!fired, "a masked timer fired");
}

static void check_periodic(uint32_t per_ms)
{
	uint64_t start = now_ns();

	arm(LVT_TIMER_PERIODIC, TIMER_DIVIDE_16, per_ms * 2);
	CHECK(WAIT_FOR(READ_ONCE(fired) >= 20, 5 * NS_PER_S), "periodic: %u interrupts", fired);
	CHECK(now_ns() - start >= 30 * NS_PER_MS, "20 periods of 2 ms in %lu us",
	      (now_ns() - start) / 1000);
	CHECK(lapic_read(LAPIC_TIMER_CURRENT) <= per_ms * 2, "current count %u of %u",
	      lapic_read(LAPIC_TIMER_CURRENT), per_ms * 2);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	delay_ns(NS_PER_MS);
	fired = 0;
	delay_ns(6 * NS_PER_MS);
	CHECK(!fired, "a stopped periodic timer fired");
}

static void check_deadline(void)
{
	uint64_t khz = tsc_khz(), when;

	lapic_write(LAPIC_LVT_TIMER, LVT_TIMER_DEADLINE | VECTOR);
	mfence();
	fired = 0;
	/* Far enough ahead for a machine that stalls for a while. */
	when = rdtsc() + 60000 * khz;
	wrmsr(MSR_TSC_DEADLINE, when);
	CHECK(rdmsr(MSR_TSC_DEADLINE) == when, "deadline reads %lx, not %lx",
	      rdmsr(MSR_TSC_DEADLINE), when);
	when = rdtsc() + 5 * khz;
	wrmsr(MSR_TSC_DEADLINE, when);
	CHECK(WAIT_FOR(READ_ONCE(fired) == 1, 2 * NS_PER_S), "deadline: %u interrupts", fired);
	CHECK(rdtsc() >= when, "the deadline came %lu ticks early", when - rdtsc());
	CHECK(!rdmsr(MSR_TSC_DEADLINE), "deadline still armed: %lx", rdmsr(MSR_TSC_DEADLINE));
	/* Again if the machine was too busy to disarm it in time. */
	do {
		fired = 0;
		when = rdtsc() + 3 * khz;
		wrmsr(MSR_TSC_DEADLINE, when);
		wrmsr(MSR_TSC_DEADLINE, 0);
	} while (rdtsc() >= when);
	delay_ns(6 * NS_PER_MS);
	CHECK(!fired, "a disarmed deadline fired");
	wrmsr(MSR_TSC_DEADLINE, 1);
	CHECK(WAIT_FOR(READ_ONCE(fired) == 1, NS_PER_S), "a deadline in the past: %u interrupts",
	      fired);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + khz);
	CHECK(!rdmsr(MSR_TSC_DEADLINE), "deadline armed in one-shot mode");
}

static void check_all(void)
{
	uint32_t by_1 = rate(TIMER_DIVIDE_1), by_16 = rate(TIMER_DIVIDE_16);

	CHECK(by_16 && by_1 / by_16 >= 14 && by_1 / by_16 <= 18, "%u ticks by 1, %u by 16", by_1,
	      by_16);
	check_one_shot(by_16);
	check_periodic(by_16);
	if (cpuid(1, 0).c & CPUID1_C_TSC_DEADLINE)
		check_deadline();
}

int main(void)
{
	set_trap_handler(VECTOR, on_timer);
	lapic_enable();
	irq_enable();
	lapic_in_each_mode(check_all);
	pass();
}
