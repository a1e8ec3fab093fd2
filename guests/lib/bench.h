/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Costs in TSC ticks, each a line `bench NAME LEAST MEAN`, less what measuring itself takes. Under QEMU's
 * -icount a tick is an instruction and the figures repeat.
 *
 * Marks tell who looks on what belongs to a row: the emulator's plugin test/perf/count.c, and Bochs, which can
 * be told to stop at bench_mark() (test/perf/measure.py). Else they do nothing. They stand around what is
 * timed, never within.
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

/* A round in which the operation was done that many times. */
static inline void bench_add_times(struct bench_sum *b, uint64_t cost, uint64_t times)
{
	cost = cost > bench_overhead ? (cost - bench_overhead) / times : 0;
	b->least = cost < b->least ? cost : b->least;
	b->sum += cost;
	b->rounds++;
}

static inline void bench_add(struct bench_sum *b, uint64_t cost)
{
	bench_add_times(b, cost, 1);
}

/* Before and after a round. */
static inline void bench_mark(void)
{
	asm volatile("xchg %%bx, %%bx" ::: "memory");
}

/* The same, for the second one of two rows that are measured by turns, and where Bochs shall not stop. */
static inline void bench_mark_second(void)
{
	asm volatile("xchg %%cx, %%cx" ::: "memory");
}

/* A row is complete: that of bench_mark(), or if it has none since the last row, the second one. */
static inline void bench_mark_row(void)
{
	asm volatile("xchg %%dx, %%dx" ::: "memory");
}

/* Two readings of the TSC and nothing else, as a row: what marks around a timed round see too much. */
static inline void bench_mark_readings(void)
{
	for (unsigned int i = 0; i <= 10; i++) {
		bench_mark_second();
		rdtsc();
		rdtsc();
		bench_mark_second();
	}
	bench_mark_row();
}

static inline void bench_report(const char *name, const struct bench_sum *b)
{
	bench_mark_row();
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
	bench_mark_readings();
}

#endif
