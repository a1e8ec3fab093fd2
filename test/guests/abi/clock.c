/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: pvclock never goes back, on one vCPU and between vCPUs, and agrees with the TSC rate;
 * the wall clock is plausible. Without the TSC-stable flag the records of two vCPUs may differ
 * slightly, as Xen's header says.
 */
#include "guest.h"

#define RUN_TIME	(2 * NS_PER_S)
#define SLACK_UNSTABLE	(200 * NS_PER_US)
#define YEAR_2000	946684800u

static uint64_t newest, slack, end;
static int lock;

static void watch(void)
{
	const struct vcpu_time_info *t = &this_cpu()->info->time;
	uint64_t mine = 0, now;

	while (!t->version)
		sched_op(SCHEDOP_yield, NULL);
	do {
		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			cpu_pause();
		now = now_ns();
		CHECK(now >= mine, "vCPU %u: the clock went back by %lu ns", this_cpu()->id,
		      mine - now);
		CHECK(now + slack >= newest, "vCPU %u is %lu ns behind another", this_cpu()->id,
		      newest - now);
		mine = now;
		if (now > newest)
			newest = now;
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
		if ((now & 0xff) == 0)
			sched_op(SCHEDOP_yield, NULL);
		for (unsigned int i = 0; i < 20; i++)
			cpu_pause();
	} while (now < end);
}

static void check_wall_clock(void)
{
	uint32_t version = READ_ONCE(shared_info->wc_version), sec, nsec;

	sec = shared_info->wc_sec;
	nsec = shared_info->wc_nsec;
	CHECK(!(version & 1), "wall clock version %u is odd", version);
	CHECK(sec >= YEAR_2000 - 1000 || shared_info->wc_sec_hi, "wall clock %u s", sec);
	CHECK(nsec < NS_PER_S, "wall clock %u ns", nsec);
}

/* Reads both clocks. Takes the fastest of several readings, since others may run in between. */
static void read_both(uint64_t *tsc, uint64_t *ns)
{
	uint64_t least = ~0ul;

	for (unsigned int i = 0; i < 20; i++) {
		uint64_t before = rdtsc(), t = now_ns(), took = rdtsc() - before;

		if (took >= least)
			continue;
		least = took;
		*tsc = before + took / 2;
		*ns = t;
	}
}

/* Checks that the record's scale matches the rate at which its time advances. */
static void check_rate(void)
{
	uint64_t khz = tsc_khz(), tsc = 0, start = 0, ticks = 0, until = 0, wanted;

	read_both(&tsc, &start);
	delay_ns(100 * NS_PER_MS);
	read_both(&ticks, &until);
	ticks -= tsc;
	wanted = (until - start) * khz / NS_PER_MS;
	CHECK(ticks > wanted - wanted / 50 && ticks < wanted + wanted / 50,
	      "%lu TSC ticks where %lu kHz make %lu", ticks, khz, wanted);
}

int main(void)
{
	const struct vcpu_time_info *t = &this_cpu()->info->time;

	CHECK(t->version && !(t->version & 1), "version %u", t->version);
	CHECK(t->tsc_to_system_mul, "no scale");
	check_rate();
	check_wall_clock();
	slack = t->flags & XEN_PVCLOCK_TSC_STABLE_BIT ? 0 : SLACK_UNSTABLE;
	end = now_ns() + RUN_TIME;
	cpu_start_all(watch);
	watch();
	CHECK(WAIT_FOR(cpus_done() == cpu_count() - 1, 5 * NS_PER_S), "%u of %u vCPUs finished",
	      cpus_done() + 1, cpu_count());
	pass();
}
