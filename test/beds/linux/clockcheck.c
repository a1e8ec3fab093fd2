/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clockcheck KHZ SECONDS, in a Linux guest: sleeps SECONDS times for a second, each time on the
 * next CPU. Checks that the clock never goes back, not even across CPUs, and that in the end it
 * agrees with the TSC, which the emulator counts at KHZ. This is the emulator's own time, however
 * busy the host is.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define S 1000000000L
#define TOLERANCE 2000	/* the clock may be wrong by one part in this many */

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * S + t.tv_nsec;
}

static void run_on(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)(cpu % sysconf(_SC_NPROCESSORS_ONLN)), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("clockcheck: sched_setaffinity");
}

int main(int argc, char **argv)
{
	double khz = argc == 3 ? atof(argv[1]) : 0, ticks;
	long start = now(), last = start, t, went;
	unsigned long tsc = __rdtsc();

	if (khz <= 0) {
		fprintf(stderr, "usage: clockcheck KHZ SECONDS\n");
		return 2;
	}
	for (long i = 0; i < atol(argv[2]); i++) {
		run_on(i);
		sleep(1);
		t = now();
		if (t < last + S) {
			printf("clockcheck: a second lasted %ld ns\n", t - last);
			return 1;
		}
		last = t;
	}
	went = now() - start;
	ticks = (double)(__rdtsc() - tsc) / khz * 1e6;
	printf("clockcheck: %ld ns by the clock, %.0f by the TSC\n", went, ticks);
	return went < ticks - ticks / TOLERANCE || went > ticks + ticks / TOLERANCE;
}
