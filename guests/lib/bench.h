/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures costs in TSC ticks and prints each as a line `bench NAME LEAST MEAN`, less the cost of
 * the measurement itself. Under QEMU's -icount a tick is an instruction, and the figures are
 * reproducible.
 *
 * Marks show an observer which instructions belong to a row. The observers are the QEMU plugin
 * test/perf/count.c, and Bochs, which can stop at bench_mark() (test/perf/measure.py). Without an
 * observer marks do nothing. They stand around the timed code, never inside.
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

/* Adds a round that performed the operation `times` times. */
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

/* Marks the start or the end of a round. */
static inline void bench_mark(void)
{
	asm volatile("xchg %%bx, %%bx" ::: "memory");
}

/* The same for the second of two rows that are measured in turns, where Bochs must not stop. */
static inline void bench_mark_second(void)
{
	asm volatile("xchg %%cx, %%cx" ::: "memory");
}

/* Completes a row: that of bench_mark(), or the second one if the first has no new marks. */
static inline void bench_mark_row(void)
{
	asm volatile("xchg %%dx, %%dx" ::: "memory");
}

/* Marks a row of just two TSC readings: what marks around a timed round count in excess. */
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

/* Measures two readings with nothing in between. */
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
