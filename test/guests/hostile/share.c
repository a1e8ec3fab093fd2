/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: how much of its CPU a guest has, in thousandths, beside what others do. Where the TSC counts the CPU's
 * instructions (QEMU's -icount with one CPU, Bochs), that is the instructions of its loop by the TSC's ticks;
 * with more CPUs under -icount, which counts theirs together, less. `least` is what it must be.
 */
#include "guest.h"

#define TURNS	10000ul

/* Two instructions a turn. */
static void loop(void)
{
	uint64_t n = TURNS;

	asm volatile("1: dec %0; jnz 1b" : "+r"(n));
}

int main(void)
{
	uint64_t begin = cmdline_number("after", 1000) * NS_PER_MS, t, start;
	struct sched_poll poll = { .timeout = begin };
	uint64_t ms = cmdline_number("ms", 200), done = 0, share;

	/* Bochs 2.7 lets no interrupt end a guest that has IF clear. */
	irq_enable();
	while (now_ns() < begin)
		sched_op(SCHEDOP_poll, &poll);
	begin = now_ns();
	start = rdtsc();
	for (t = begin; t < begin + ms * NS_PER_MS; t = now_ns()) {
		for (unsigned int i = 0; i < 20; i++)
			loop();
		done += 20 * 2 * TURNS;
	}
	share = done * 1000 / (rdtsc() - start);
	printf("share: %lu of 1000\n", share);
	CHECK(share >= cmdline_number("least", 900), "a share of %lu of 1000", share);
	pass();
}
