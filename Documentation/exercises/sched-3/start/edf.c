/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: earliest deadline first. Each task has a budget of CPU time in every period; its deadline is the end of its
 * current period. A task without budget left waits for its next period.
 */
#include <stdbool.h>
#include <stdint.h>

struct task {
	uint64_t budget, period, deadline;	/* ns */
	uint64_t left;				/* of the budget, until the deadline */
	bool runnable;
};

/* Begins new periods: moves a deadline that is now or past by whole periods beyond now, and gives the budget anew. */
static void refill(struct task *t, uint64_t now)
{
	(void)t, (void)now;
}

/* Returns the task to run at `now`, the first of those with the earliest deadline; -1: none may run. */
static int edf_pick(struct task *t, int nr, uint64_t now)
{
	(void)t, (void)nr, (void)now;
	return -1;
}
