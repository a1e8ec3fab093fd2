/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Costs in TSC ticks, each a line `bench NAME LEAST MEAN`, less what measuring itself takes. Under QEMU's
 * -icount a tick is an instruction and the figures repeat.
 */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include "console.h"
#include "x86.h"

struct bench_sum {
	uint64_t least, sum;
	unsigned int rounds;
};

#define BENCH_SUM (struct bench_sum){ .least = ~0ul }

static uint64_t bench_overhead;

static inline void bench_add(struct bench_sum *b, uint64_t cost)
{
	cost = cost > bench_overhead ? cost - bench_overhead : 0;
	b->least = cost < b->least ? cost : b->least;
	b->sum += cost;
	b->rounds++;
}

static inline void bench_report(const char *name, const struct bench_sum *b)
{
	printf("bench %s %lu %lu\n", name, b->least, b->sum / b->rounds);
}

/* Two readings with nothing in between. */
static inline void bench_calibrate(void)
{
	struct bench_sum b = BENCH_SUM;

	bench_overhead = 0;
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t start = rdtsc();

		bench_add(&b, rdtsc() - start);
	}
	bench_overhead = b.least;
}

#endif
