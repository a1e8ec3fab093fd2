/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the console's cost to others. mode=0 spins and measures the longest time for which its
 * CPU was away, while keys make Margay print. mode=1 floods its console. mode=2 writes a line from
 * time to time and measures how long Margay takes to accept it. limit= is in microseconds.
 */
#include "guest.h"

static uint64_t end, limit;

static void check_longest(const char *what, uint64_t longest)
{
	printf("longest %s: %lu us\n", what, longest / 1000);
	CHECK(longest < limit, "%s of %lu us", what, longest / 1000);
}

static void gaps(void)
{
	uint64_t last = now_ns(), longest = 0, now;

	irq_enable();	/* on Bochs, no interrupt ends a guest that has IF clear */
	for (; last < end; last = now) {
		now = now_ns();
		if (now - last > longest)
			longest = now - last;
	}
	check_longest("absence", longest);
}

static void flood(void)
{
	for (unsigned int i = 0; now_ns() < end; i++)
		printf("flood %u: nobody waits for this line, and nobody misses it\n", i);
}

static void turns(void)
{
	uint64_t longest = 0;

	for (unsigned int i = 0; now_ns() < end; i++) {
		uint64_t start = now_ns() + 100000000;

		while (now_ns() < start)
			sched_op(SCHEDOP_yield, NULL);
		printf("line %u\n", i);
		console_flush();
		if (now_ns() - start > longest)
			longest = now_ns() - start;
	}
	check_longest("wait", longest);
}

int main(void)
{
	static void (*const modes[])(void) = { gaps, flood, turns };

	limit = cmdline_number("limit", 1000) * 1000;
	printf("watching\n");
	console_flush();
	end = now_ns() + cmdline_number("seconds", 4) * NS_PER_S;
	modes[cmdline_number("mode", 0) % 3]();
	pass();
}
