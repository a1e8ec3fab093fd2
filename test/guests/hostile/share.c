/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the guest's share of its CPU, in thousandths, beside other guests. If the TSC counts
 * the CPU's instructions (QEMU's -icount with one CPU, Bochs), the share is the loop's instructions
 * divided by the TSC's ticks. With more CPUs under -icount, whose count covers all of them, the
 * share is lower. `least` is the required share.
 */
#include "guest.h"

#define TURNS	10000ul

/* Each iteration takes two instructions. */
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

	/* On Bochs 2.7 no interrupt ends a guest that has IF clear. */
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
