/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs in a Linux guest with all CPUs busy and checks what a guest relies on: clocks advance, also
 * across CPUs; timers fire, and not too late; a thread woken on another CPU runs, and both sides
 * count the same; memory keeps its contents. Runs until a given file exists, or until it has made a
 * given number of random swaps of Margay's policies. With -a or -b it also checks that each event
 * between two guests arrives exactly once (channels.c); with -e it checks only that. The usage is
 * below.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../../tools/mgctl/mgctl.h"
#include "guestcheck.h"

#define TOO_LATE (2 * S)
#define WORDS (1U << 18)	/* written by a memory checker */
#define MAX_PAIRS 8

atomic_bool stop, failed;
static pthread_t time_checks[2], *memory;
static atomic_ulong newest;	/* latest time that any CPU read */
unsigned cpus;
static unsigned long reads, sleeps, latest, late_10, late_100, fills;
static pthread_mutex_t counts = PTHREAD_MUTEX_INITIALIZER;

unsigned long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * S + (unsigned long)t.tv_nsec;
}

void sleep_ns(unsigned long ns)
{
	struct timespec t = { (time_t)(ns / S), (long)(ns % S) };

	nanosleep(&t, NULL);
}

void bind_to(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		FAIL("sched_setaffinity: %s", strerror(errno));
}

/* Raises the priority above all other threads: this one then waits only for the hypervisor. */
static void be_first(void)
{
	struct sched_param p = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO, &p))
		FAIL("SCHED_FIFO: %s", strerror(errno));
}

/* On each CPU in turn: time never goes back, and no sleep ends early or too late. */
static void *check_time(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;

	be_first();
	while (!stop) {
		unsigned long seen, t, wanted = (1 + cpu % 7) * 3 * MS, late;

		bind_to(cpu++);
		for (int i = 0; i < 100; i++) {
			seen = newest;
			t = now();
			if (t < seen)
				FAIL("CPU %u: the clock is %lu ns behind", (cpu - 1) % cpus,
				     seen - t);
			while (seen < t && !atomic_compare_exchange_weak(&newest, &seen, t))
				;
		}
		sleep_ns(wanted);
		late = now() - t;
		if (late < wanted)
			FAIL("slept %lu us, not %lu", late / 1000, wanted / 1000);
		late -= wanted;
		if (late > TOO_LATE)
			FAIL("CPU %u: a timer came %lu ms too late", (cpu - 1) % cpus, late / MS);
		pthread_mutex_lock(&counts);
		reads += 100;
		sleeps++;
		latest = late > latest ? late : latest;
		late_10 += late > 10 * MS;
		late_100 += late > 100 * MS;
		pthread_mutex_unlock(&counts);
	}
	return NULL;
}

/* Two threads on two CPUs wake each other by pipes. */
static struct pair {
	int to[2], from[2];
	unsigned cpu;
	atomic_ulong sent, got, since;
	pthread_t a, b;
} pairs[MAX_PAIRS];

static void *ping(void *arg)
{
	struct pair *p = arg;
	unsigned long n, answer;

	bind_to(p->cpu);
	for (n = 1; !stop; n++) {
		p->since = now();
		p->sent = n;
		if (write(p->to[1], &n, sizeof(n)) != sizeof(n) ||
		    read(p->from[0], &answer, sizeof(answer)) != sizeof(answer) || answer != n)
			FAIL("ping-pong: %lu was not answered by itself", n);
		if (n % 16 == 0)
			sleep_ns(MS);
	}
	close(p->to[1]);
	return NULL;
}

static void *pong(void *arg)
{
	struct pair *p = arg;
	unsigned long n;

	bind_to(p->cpu + 1);
	while (read(p->to[0], &n, sizeof(n)) == sizeof(n)) {
		if (n != ++p->got)
			FAIL("ping-pong: %lu came as number %lu", n, p->got);
		if (write(p->from[1], &n, sizeof(n)) != sizeof(n))
			FAIL("ping-pong: write: %s", strerror(errno));
	}
	return NULL;
}

static unsigned long next_word(unsigned long x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void *check_memory(void *arg)
{
	unsigned long *words = calloc(WORDS, sizeof(*words)), seed = (uintptr_t)arg * 2 + 1;

	if (setpriority(PRIO_PROCESS, 0, 10) || !words)
		FAIL("no memory");
	while (!stop) {
		unsigned long x = seed;

		for (unsigned i = 0; i < WORDS; i++)
			words[i] = x = next_word(x);
		x = seed;
		for (unsigned i = 0; i < WORDS; i++) {
			x = next_word(x);
			if (words[i] != x)
				FAIL("memory: %lx instead of %lx", words[i], x);
		}
		seed = x;
		pthread_mutex_lock(&counts);
		fills++;
		pthread_mutex_unlock(&counts);
	}
	free(words);
	return NULL;
}

void start_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
	int rc = pthread_create(t, NULL, fn, arg);

	if (rc) {
		fprintf(stderr, "guestcheck: pthread_create: %s\n", strerror(rc));
		exit(1);
	}
}

static void look_at_pairs(void)
{
	for (unsigned i = 0; memory && i < cpus / 2; i++) {
		unsigned long since = pairs[i].since;	/* read it first: it may change */

		if (now() - since > LOST && !stop)
			FAIL("ping-pong: %lu was sent and did not come back for 20 s",
			     pairs[i].sent);
	}
}

static unsigned long random_below(unsigned long *seed, unsigned long n)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return (*seed >> 33) % n;
}

static void swap(struct mgctl *m, unsigned long *seed, unsigned machine)
{
	static const char *const sched[] = { "rr", "credit", "gang", "edf", "" };
	static const char *const idle[] = { "haltpoll", "" }, *const exit[] = { "exitstat", "" };
	unsigned long kind = random_below(seed, 10), cpu = random_below(seed, machine + 1);
	struct request rq = { .command = SELECT, .all_cpus = cpu == machine };

	rq.point = kind == 0 ? MARGAY_POINT_IDLE :
		   kind == 1 ? MARGAY_POINT_EXIT :
			       MARGAY_POINT_SCHED;
	strcpy(rq.name, kind == 0 ? idle[random_below(seed, 2)] :
			kind == 1 ? exit[random_below(seed, 2)] :
				    sched[random_below(seed, 5)]);
	if (!rq.all_cpus)
		rq.cpus[0] = 1UL << cpu;
	if (do_request(m, &rq))
		FAIL("select %s at %u on CPU %lu", rq.name, rq.point, cpu);
}

static void none_ejected(struct mgctl *m, unsigned long done)
{
	static const char *const names[] = { "rr", "credit", "gang", "edf", "haltpoll", "exitstat" };

	for (unsigned i = 0; i < 6; i++) {
		struct margay_op op;

		if (find_policy(m, names[i], &op) || op.u.list.ejected)
			FAIL("swap %lu: %s is not there or was ejected: %.96s", done, names[i],
			     op.u.list.why);
	}
}

static void swaps(unsigned long n, unsigned long seed, unsigned machine)
{
	struct mgctl m = { .out = stdout, .err = stdout };
	unsigned long begin = now(), done = 0;

	if (xen_open(&m)) {
		FAIL("no access to Margay");
		return;
	}
	be_first();
	while (done < n && !stop) {
		swap(&m, &seed, machine);
		if (random_below(&seed, 2))
			sleep_ns(random_below(&seed, 8 * MS));
		look_at_pairs();
		if (++done % 500 == 0) {
			none_ejected(&m, done);
			printf("guestcheck: %lu swaps in %lu s\n", done, (now() - begin) / S);
			fflush(stdout);
		}
	}
	xen_close(&m);
}

static void start_checks(void)
{
	memory = calloc(cpus, sizeof(*memory));
	if (!memory)
		exit(1);
	for (unsigned i = 0; i < cpus; i++)
		start_thread(&memory[i], check_memory, (void *)(uintptr_t)(i + 1));
	for (unsigned i = 0; i < cpus / 2; i++) {
		struct pair *p = &pairs[i];

		if (pipe(p->to) || pipe(p->from))
			exit(1);
		p->cpu = 2 * i;
		p->since = now();
		start_thread(&p->a, ping, p);
		start_thread(&p->b, pong, p);
	}
	for (unsigned i = 0; i < 2; i++)
		start_thread(&time_checks[i], check_time, (void *)(uintptr_t)(i * 2));
}

static void finish_checks(unsigned long begin)
{
	unsigned long rounds = 0;

	/* A thread that lost a wake-up never ends. */
	for (unsigned i = 0; i < cpus / 2; i++)
		for (unsigned long end = now() + LOST; pairs[i].sent != pairs[i].got;)
			if (now() > end) {
				FAIL("ping-pong: %lu sent, %lu came", pairs[i].sent, pairs[i].got);
				exit(1);
			}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(time_checks[i], NULL);
	for (unsigned i = 0; i < cpus / 2; i++) {
		pthread_join(pairs[i].a, NULL);
		pthread_join(pairs[i].b, NULL);
		if (pairs[i].sent != pairs[i].got)
			FAIL("ping-pong: %lu sent, %lu came", pairs[i].sent, pairs[i].got);
		rounds += pairs[i].got;
	}
	for (unsigned i = 0; i < cpus; i++)
		pthread_join(memory[i], NULL);
	if (!reads || !sleeps || !rounds || !fills)
		FAIL("a check did not run");
	printf("guestcheck: %lu s: %lu times read; %lu sleeps, %lu more than 10 ms too long, %lu more "
	       "than 100 ms, the worst %lu ms; %lu ping-pongs; %lu MiB written and read\n",
	       (now() - begin) / S, reads, sleeps, late_10, late_100, latest / MS, rounds,
	       2 * fills);
}

static int usage(void)
{
	fprintf(stderr, "usage: guestcheck [-e] [-a | -b DOMAIN] FILE | SWAPS SEED MACHINE_CPUS\n"
			"Until FILE is there or for SWAPS swaps, on 2 to 16 CPUs.\n"
			"-a DOMAIN  ask that domain by event channels; -b DOMAIN: answer it\n"
			"-e         check event channels only\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned long begin = now(), domain = 0;
	bool asks = false, events_only = false;

	for (int option; (option = getopt(argc, argv, "a:b:e")) != -1;) {
		if (option == '?')
			return usage();
		if (option == 'e') {
			events_only = true;
			continue;
		}
		asks = option == 'a';
		domain = strtoul(optarg, NULL, 0);
	}
	argc -= optind;
	argv += optind;
	cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if ((argc != 1 && argc != 3) || cpus < 2 || cpus / 2 > MAX_PAIRS)
		return usage();
	if (!events_only)
		start_checks();
	if (domain)
		channels_start((unsigned)domain, asks, cpus / 2);
	if (argc == 3) {
		swaps(strtoul(argv[0], NULL, 0), strtoul(argv[1], NULL, 0),
		      (unsigned)strtoul(argv[2], NULL, 0));
	} else {
		while (!stop && access(argv[0], F_OK)) {
			sleep_ns(200 * MS);
			look_at_pairs();
		}
	}
	stop = true;
	channels_finish();
	if (!events_only)
		finish_checks(begin);
	return failed;
}
