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
	if (t->deadline > now)
		return;
	t->deadline += ((now - t->deadline) / t->period + 1) * t->period;
	t->left = t->budget;
}

/* Returns the task to run at `now`, the first of those with the earliest deadline; -1: none may run. */
static int edf_pick(struct task *t, int nr, uint64_t now)
{
	int best = -1;

	for (int i = 0; i < nr; i++) {
		refill(&t[i], now);
		if (t[i].runnable && t[i].left && (best < 0 || t[i].deadline < t[best].deadline))
			best = i;
	}
	return best;
}
