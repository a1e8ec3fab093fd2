/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers in per-CPU heaps; there is no periodic tick. A timer's function runs on the CPU
 * where the timer was armed, without locks and with interrupts off, and may arm it again.
 */
#pragma once

#include <margay/atomic.h>
#include <margay/lock.h>

#define NS_PER_S 1000000000UL

struct cpu;
struct vcpu;

struct timer {
	struct timer *up, *left, *right;	/* parent and children in the heap of cpu */
	u32 rank;			/* see timer.c; 0: not armed */
	bool early;			/* may run up to timer_queue.ahead before it expires */
	stime_t expires;		/* ns of system time; meaningful while armed */
	void (*fn)(struct timer *t);
	const struct vcpu *owner;	/* the vCPU that it serves; NULL: none */
	struct cpu *cpu;		/* whose heap it is in, or was in last */
};

struct timer_queue {
	struct spinlock lock;
	struct timer *first;
	struct timer *running;		/* its function runs now; the lock is not held */
	stime_t programmed;		/* expiry in the hardware; ~0: off */
	stime_t due;			/* time of the last timers_run() */
	stime_t poll; /* raises CPU_WORK_ERRORS then; late while a guest runs without timers */
	stime_t ahead;         /* this CPU's measured delay from a timer to the guest entry */
};

/* The minimum delay from the timer's interrupt to the clock reading in timers_run(). */
#define TIMER_EXIT_NS 150UL
#define TIMER_AHEAD_MAX 5000UL
/* Timer functions per timers_run(). Then the CPU's guest runs for a while before the rest. */
#define TIMERS_AT_ONCE 64U
#define TIMERS_LONG_NS 20000UL /* ... or this long, checked after every 8 functions */
#define TIMERS_PAUSE_NS 50000UL

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/* Arms or rearms t on this CPU. A time in the past fires when the CPU next looks. */
void timer_set(struct timer *t, stime_t expires);
/* Stops t and waits for its function on another CPU. It runs again only if t is rearmed. */
void timer_stop(struct timer *t);
/* Moves t, if armed, to this CPU, where its vCPU now runs. */
void timer_follow(struct timer *t);
static inline bool timer_armed(const struct timer *t) { return READ_ONCE(t->rank); }
/*
 * Runs expired timers and programs the hardware. Each CPU calls it for itself. Returns whether one
 * of them served another vCPU than the one that runs here.
 */
bool timers_run(const struct vcpu *running);
/* Called before the CPU sleeps: programs the hardware for an early timer and for the poll. */
void timers_idle(void);
/* Programs the hardware for the poll if it is off, where the guest takes no interrupts. */
void timers_keep_poll(void);
void timers_init_cpu(struct timer_queue *q);
/* Moves this CPU's timers to the housekeeping CPU. The CPU is isolated: no new ones come. */
void timers_leave(void);

stime_t now(void); /* system time: ns since boot, the same on all CPUs, monotonic */
