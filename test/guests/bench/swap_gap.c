/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a swap stops a guest. All vCPUs spin, read the TSC and record the longest gap: first
 * under each scheduling policy alone, then while policies are swapped at random, on all CPUs and on
 * some. The longest gap may grow by less than a time slice (slice_us=). With as many vCPUs as CPUs
 * (cpus=) there are nearly no gaps, and most= is the longest allowed, in ticks. together=1: the TSC
 * counts the instructions of all CPUs.
 */
#include "guest.h"

#include <public/margay.h>

#define QUIET (60 * NS_PER_MS)
#define SETTLE (25 * NS_PER_MS)
#define PAUSE (2 * NS_PER_MS)	/* greatest pause between two swaps */
#define BURST 16
#define MOST_CALL 5000u	/* instructions of one CPU for a swap */

static const char *const policies[] = { "", "rr", "credit", "gang", "edf" };
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

static volatile bool stop, measuring;
static volatile uint64_t longest[MAX_CPUS], seen[MAX_CPUS];	/* seen: last reading */
static uint64_t calls, call_sum, call_most, all_cpus;

/* Some iterations and a PAUSE, with which an emulator that runs CPUs in turns goes to the next. */
static uint64_t look(uint64_t last)
{
	volatile uint64_t *mine = &longest[this_cpu()->id];

	for (int i = 0; i < BURST; i++) {
		uint64_t now = rdtsc();

		if (now - last > *mine && measuring)
			*mine = now - last;
		last = now;
	}
	seen[this_cpu()->id] = last;
	cpu_pause();
	return last;
}

static void spinner(void)
{
	for (uint64_t last = rdtsc(); !stop;)
		last = look(last);
}

static void look_for(uint64_t ns)
{
	uint64_t last = rdtsc();

	for (uint64_t end = last + ns * tsc_khz() / NS_PER_MS; last < end;)
		last = look(last);
}

/* Returns the longest gap, including one that has not ended. */
static uint64_t longest_gap(void)
{
	uint64_t most = 0, now = rdtsc();

	for (unsigned int i = 0; i < cpu_count(); i++) {
		most = longest[i] > most ? longest[i] : most;
		most = seen[i] + most < now ? now - seen[i] : most;
	}
	return most;
}

static void forget(void)
{
	for (unsigned int i = 0; i < cpu_count(); i++)
		longest[i] = 0;
}

/* Swaps policies and counts the ticks, unless they are so many that others ran here meanwhile. */
static void swap(const char *name, uint64_t cpus, uint64_t slice)
{
	struct margay_op op = { .cmd = MARGAY_POLICY_SELECT, .interface = MARGAY_INTERFACE };
	uint64_t begin, ticks;

	memcpy(op.name, name, strlen(name));
	op.u.select.point = MARGAY_POINT_SCHED;
	op.u.select.cpus[0] = cpus;
	begin = rdtsc();
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, &op), 0);
	ticks = rdtsc() - begin;
	if (ticks > slice / 8)
		return;
	calls++;
	call_sum += ticks;
	call_most = ticks > call_most ? ticks : call_most;
}

static uint64_t quiet(uint64_t slice)
{
	uint64_t most = 0, gap;

	for (unsigned int i = 0; i < NR_POLICIES; i++) {
		swap(policies[i], all_cpus, slice);
		look_for(SETTLE);
		forget();
		measuring = true;
		look_for(QUIET);
		measuring = false;
		gap = longest_gap();
		printf("alone, %s: the longest gap is %lu ticks\n",
		       policies[i][0] ? policies[i] : "built-in", gap);
		most = gap > most ? gap : most;
	}
	return most;
}

static uint64_t swapped(uint64_t n, uint64_t slice)
{
	uint64_t seed = 1;

	forget();
	calls = call_sum = call_most = 0;
	measuring = true;
	for (uint64_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005ul + 1442695040888963407ul;

		uint64_t cpus = seed >> 40 & all_cpus;

		swap(policies[(seed >> 33) % NR_POLICIES], cpus && seed >> 60 & 1 ? cpus : all_cpus,
		     slice);
		look_for((seed >> 20) % PAUSE);
	}
	measuring = false;
	return longest_gap();
}

int main(void)
{
	uint64_t slice = cmdline_number("slice_us", 10000) * tsc_khz() / 1000, without, with;
	uint64_t swaps = cmdline_number("swaps", 200), most = cmdline_number("most", slice);
	uint64_t cpus = cmdline_number("cpus", 1), together = cmdline_number("together", 0);

	all_cpus = (1ul << cpus) - 1;
	cpu_start_all(spinner);
	without = quiet(slice);
	with = swapped(swaps, slice);
	stop = true;
	printf("gap of %u vCPUs: %lu ticks without, %lu with %lu swaps; a slice is %lu\n",
	       cpu_count(), without, with, swaps, slice);
	printf("swaps: %lu ticks in the mean, %lu at most\n", call_sum / calls, call_most);
	CHECK(calls > swaps / 2, "only %lu of %lu swaps were measured", calls, swaps);
	CHECK(call_most <= MOST_CALL * (together ? cpus : 1), "a swap takes %lu ticks", call_most);
	CHECK(with < without + slice, "swaps make gaps longer by %lu ticks", with - without);
	CHECK(with <= most || most == slice, "a gap of %lu ticks", with);
	pass();
}
