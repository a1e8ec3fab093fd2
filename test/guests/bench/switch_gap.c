/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest loses while dedicated_switch gives it CPUs of its own and takes them back. For ms=N
 * milliseconds all vCPUs spin with a timer armed, read the TSC and record the gaps of more than
 * usual=N ticks. Prints the longest and the sum of all. most=N: the longest allowed.
 */
#include "guest.h"

#define BURST 16
#define TIMER_VECTOR 0x60
#define MSR_TSC_DEADLINE 0x6e0

static volatile bool measuring, stop;
static uint64_t longest[MAX_CPUS], lost[MAX_CPUS];
static uint64_t usual;

/* Arms a timer that does not expire, so that each switch moves one. */
static void prepare(void)
{
	bool x2apic = lapic_enter_x2apic();

	lapic_enable();
	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR | (x2apic ? LVT_TIMER_DEADLINE : 0));
	if (x2apic)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + 3600 * 1000 * tsc_khz());
	else
		lapic_write(LAPIC_TIMER_INITIAL, ~0u);
}

/* Some turns and a PAUSE, with which an emulator that runs CPUs in turns goes to the next. */
static void spin_until(uint64_t end)
{
	unsigned int id = this_cpu()->id;
	uint64_t last = rdtsc();

	while (!stop && last < end) {
		for (int i = 0; i < BURST; i++) {
			uint64_t now = rdtsc(), gap = now - last;

			last = now;
			if (gap <= usual || !measuring)
				continue;
			lost[id] += gap;
			longest[id] = gap > longest[id] ? gap : longest[id];
		}
		cpu_pause();
	}
}

static void spin(void)
{
	prepare();
	spin_until(~0ul);
}

static void spin_for(uint64_t ms)
{
	spin_until(rdtsc() + ms * tsc_khz());
}

int main(void)
{
	uint64_t ms = cmdline_number("ms", 400), most = cmdline_number("most", ~0ul), sum = 0;
	uint64_t gap = 0;

	usual = cmdline_number("usual", 100);
	cpu_start_all(spin);
	prepare();
	spin_for(50);
	measuring = true;
	spin_for(ms);
	stop = true;
	for (unsigned int i = 0; i < cpu_count(); i++) {
		sum += lost[i];
		gap = longest[i] > gap ? longest[i] : gap;
	}
	printf("%u vCPUs: the longest gap is %lu ticks, all are %lu\n", cpu_count(), gap, sum);
	CHECK(sum, "no gaps");
	CHECK(gap <= most, "a gap of %lu ticks", gap);
	pass();
}
