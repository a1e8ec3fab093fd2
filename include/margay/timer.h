/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers in per-CPU lists; there is no periodic tick. A timer's function runs on the CPU where
 * it was armed, with no lock held and interrupts off, and may arm it again.
 */
#ifndef MARGAY_TIMER_H
#define MARGAY_TIMER_H

#include <margay/list.h>
#include <margay/lock.h>

struct cpu;

struct timer {
	struct list link;		/* in the list of cpu while armed, sorted by expires */
	stime_t expires;		/* ns of system time; meaningful while armed */
	void (*fn)(struct timer *t);
	struct cpu *cpu;		/* whose list holds or held it last */
	bool early;			/* may run up to timer_queue.ahead before it expires */
};

struct timer_queue {
	struct spinlock lock;
	struct list armed;
	struct timer *running;		/* its function runs now, lock not held */
	stime_t programmed;		/* what the hardware is set to; ~0 when off */
	stime_t due;			/* when it last looked what is due */
	stime_t ahead;         /* what this CPU takes from a timer to the entry of whom it woke */
};

/* From the timer's interrupt until timers_run() looks at the clock it takes at least: */
#define TIMER_EXIT_NS 150UL
#define TIMER_AHEAD_MAX 5000UL
/* So many functions run in one go at most; the CPU's guest runs for a while before the next. */
#define TIMERS_AT_ONCE 64U
#define TIMERS_PAUSE_NS 50000UL

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/* (Re)arms on this CPU. A time that has passed fires as soon as the CPU looks. */
void timer_set(struct timer *t, stime_t expires);
/* After return the function does not run any more unless re-armed (waits for one running elsewhere). */
void timer_stop(struct timer *t);
/* Moves t, if it is armed, to this CPU: its vCPU runs here now. */
void timer_follow(struct timer *t);
static inline bool timer_armed(const struct timer *t) { return !list_empty(&t->link); }
/* Runs what is due and programs the hardware. Called by each CPU for itself. */
void timers_run(void);
/* The CPU goes to sleep: the hardware shall wake it early enough for a timer that may run early. */
void timers_idle(void);
void timers_init_cpu(struct timer_queue *q);

stime_t now(void); /* system time: ns since boot, the same on all CPUs, never goes back */

#endif
