/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: more vCPUs than CPUs. While all are busy, all make progress, and none gets much less
 * than its share. A yield lets the others run. Clocks stay in step.
 */
#include "guest.h"

#define RUN_TIME	(3 * NS_PER_S)

static volatile uint64_t work[MAX_CPUS], worst_gap[MAX_CPUS], end;
static uint64_t newest;

static void busy(void)
{
	unsigned int id = this_cpu()->id;
	uint64_t last, now = now_ns();

	cpu_barrier(cpu_count());
	do {
		last = now;
		for (int i = 0; i < 1000; i++)
			cpu_pause();
		now = now_ns();
		CHECK(now >= last, "vCPU %u: the clock went back by %lu ns", id, last - now);
		if (now - last > worst_gap[id])
			worst_gap[id] = now - last;
		if (now > __atomic_load_n(&newest, __ATOMIC_SEQ_CST))
			__atomic_store_n(&newest, now, __ATOMIC_SEQ_CST);
		work[id]++;
	} while (now < end);
}

int main(void)
{
	unsigned int n = cpu_count();
	uint64_t least = ~0ul, most = 0;

	CHECK(n > 1, "needs more than one vCPU");
	end = now_ns() + RUN_TIME + NS_PER_S;
	cpu_start_all(busy);
	end = now_ns() + RUN_TIME;
	busy();
	CHECK(WAIT_FOR(cpus_done() == n - 1, 10 * NS_PER_S), "%u of %u vCPUs finished",
	      cpus_done() + 1, n);
	for (unsigned int i = 0; i < n; i++) {
		least = work[i] < least ? work[i] : least;
		most = work[i] > most ? work[i] : most;
	}
	printf("work %lu to %lu, longest gap on vCPU 0 %lu us\n", least, most, worst_gap[0] / 1000);
	CHECK(least * 4 >= most, "one vCPU did %lu rounds, another %lu", least, most);
	pass();
}
