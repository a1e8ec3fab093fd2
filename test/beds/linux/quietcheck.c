/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quietcheck SECONDS [cross], in a Linux guest: works on each CPU as HPC work does, without a system
 * call that concerns another CPU. Two threads per CPU: one computes, wakes the other by a futex, and
 * sleeps for a millisecond by a timer, in rounds. Prints the rounds of each CPU. cross: the other one
 * is on the next CPU.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 128
#define S 1000000000L
#define LEAST 10	/* rounds in a second */

static struct cpu {
	pthread_t threads[2];
	long number;
	atomic_int turn;	/* 0: the worker's, 1: the helper's, 2: the end */
	unsigned long rounds, woken;
	double result;
} cpus[MAX_CPUS];

static long end, nr_cpus;
static bool cross;

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * S + t.tv_nsec;
}

static void set_turn(struct cpu *c, int turn)
{
	atomic_store(&c->turn, turn);
	syscall(SYS_futex, &c->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_while(struct cpu *c, int turn)
{
	while (atomic_load(&c->turn) == turn)
		syscall(SYS_futex, &c->turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
}

static void run_on(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		perror("quietcheck: affinity");
}

static void *helper(void *arg)
{
	struct cpu *c = arg;

	run_on((c->number + cross) % nr_cpus);
	for (;;) {
		wait_while(c, 0);
		if (atomic_load(&c->turn) == 2)
			return NULL;
		c->woken++;
		set_turn(c, 0);
	}
}

static void *worker(void *arg)
{
	const struct timespec ms = { .tv_nsec = S / 1000 };
	struct cpu *c = arg;

	run_on(c->number);
	while (now() < end) {
		for (int i = 0; i < 20000; i++)
			c->result = c->result * 0.999 + i;
		set_turn(c, 1);
		wait_while(c, 1);
		nanosleep(&ms, NULL);
		c->rounds++;
	}
	set_turn(c, 2);
	return NULL;
}

int main(int argc, char **argv)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN), seconds = argc > 1 ? atol(argv[1]) : 0;
	int bad = 0;

	cross = argc == 3 && !strcmp(argv[2], "cross");
	if (seconds <= 0 || n > MAX_CPUS || argc > 2 + cross) {
		fprintf(stderr, "usage: quietcheck SECONDS [cross]\n");
		return 2;
	}
	nr_cpus = n;
	mlockall(MCL_CURRENT | MCL_FUTURE);
	end = now() + seconds * S;
	for (long i = 0; i < n; i++) {
		cpus[i].number = i;
		pthread_create(&cpus[i].threads[0], NULL, helper, &cpus[i]);
		pthread_create(&cpus[i].threads[1], NULL, worker, &cpus[i]);
	}
	for (long i = 0; i < n; i++)
		for (int t = 0; t < 2; t++)
			pthread_join(cpus[i].threads[t], NULL);
	for (long i = 0; i < n; i++) {
		printf("cpu %ld: %lu rounds, %lu futex wake-ups\n", i, cpus[i].rounds,
		       cpus[i].woken);
		bad |= cpus[i].rounds < (unsigned long)(LEAST * seconds) ||
		       cpus[i].woken != cpus[i].rounds;
	}
	return bad;
}
