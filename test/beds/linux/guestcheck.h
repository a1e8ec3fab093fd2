/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by guestcheck's files: failing a check, time, CPUs, and channels to another guest. */
#ifndef GUESTCHECK_H
#define GUESTCHECK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define MS 1000000UL
#define S 1000000000UL
#define LOST (20 * S)	/* what has not come by then is lost */

extern atomic_bool stop, failed;
extern unsigned cpus;

#define FAIL(...)                                           \
	do {                                                \
		if (!atomic_exchange(&failed, true)) {      \
			printf("guestcheck: " __VA_ARGS__); \
			putchar('\n');                      \
			fflush(stdout);                     \
		}                                           \
		stop = true;                                \
	} while (0)

unsigned long now(void);
void sleep_ns(unsigned long ns);
void bind_to(unsigned cpu);
void start_thread(pthread_t *t, void *(*fn)(void *), void *arg);

/* Opens n channels to a domain and starts to ask, or to answer its questions. */
void channels_start(unsigned domain, bool asks, unsigned n);
/* After stop: waits for all threads and prints how many events were sent and received. */
void channels_finish(void);

#endif
