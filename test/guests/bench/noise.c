/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time that the hypervisor takes from a guest that only computes. A loop reads the TSC and
 * finds gaps, first undisturbed, then with a timer event each millisecond that the guest itself
 * requested. Prints lines `noise NAME COUNT SUM LARGEST` and a histogram by powers of two, in
 * ticks; and `bench NAME LEAST MEAN` of a gap with a timer, and of the timer handler's delay in
 * nanoseconds.
 */
#include "guest.h"

#include "bench.h"

#define PERIOD		NS_PER_MS
#define ROUNDS		100u
#define BUCKETS		40u

struct gaps {
	uint64_t count, sum, least, largest, bucket[BUCKETS];
};

static uint64_t due, late_sum, late_least = ~0ul;
static volatile uint64_t fired;

static void on_timer(evtchn_port_t port)
{
	uint64_t late = now_ns() - due;

	(void)port;
	late_sum += late;
	late_least = late < late_least ? late : late_least;
	fired++;
	due += PERIOD;
	singleshot_timer(due, 0);
}

/* Returns the ticks of the shortest iterations of the loop. Anything far above is a gap. */
static uint64_t usual_turn(void)
{
	uint64_t least = ~0ul, last = rdtsc();

	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t now = rdtsc();

		least = now - last < least ? now - last : least;
		last = now;
	}
	return least;
}

static void spin(struct gaps *g, uint64_t ticks, uint64_t limit)
{
	uint64_t start = rdtsc(), last = start;

	*g = (struct gaps){ .least = ~0ul };
	while (last - start < ticks) {
		uint64_t now = rdtsc(), gap = now - last;

		last = now;
		if (gap <= limit)
			continue;
		g->count++;
		g->sum += gap;
		g->least = gap < g->least ? gap : g->least;
		g->largest = gap > g->largest ? gap : g->largest;
		g->bucket[63 - __builtin_clzl(gap)]++;
	}
}

static void report(const char *name, const struct gaps *g)
{
	printf("noise %s %lu %lu %lu\n", name, g->count, g->sum, g->largest);
	for (unsigned int i = 0; i < BUCKETS; i++)
		if (g->bucket[i])
			printf("noise %s from %lu ticks: %lu\n", name, 1ul << i, g->bucket[i]);
}

int main(void)
{
	uint64_t ticks = tsc_khz() * ROUNDS, limit = 2 * usual_turn() + 50;
	evtchn_port_t timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	struct gaps g;

	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	delay_ns(50 * NS_PER_MS); /* until the hypervisor has done the last work of its start */
	bench_mark();
	spin(&g, ticks, limit);
	bench_mark();
	bench_mark_row();
	report("alone", &g);

	evtchn_clear(timer);
	evtchn_set_handler(timer, on_timer);
	evtchn_unmask(timer);
	due = now_ns() + PERIOD;
	CHECK_RET(singleshot_timer(due, 0), 0);
	irq_enable();
	bench_mark();
	spin(&g, ticks, limit);
	bench_mark();
	irq_disable();
	bench_mark_row();
	vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
	report("timer", &g);
	CHECK(fired >= ROUNDS / 2, "%lu timer events in %u ms", fired, ROUNDS);
	CHECK(g.count, "no gap, though a timer fired %lu times", fired);
	printf("bench timer_tick %lu %lu\n", g.least, g.sum / g.count);
	printf("bench timer_late %lu %lu\n", late_least, late_sum / fired);
	pass();
}
