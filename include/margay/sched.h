/* SPDX-License-Identifier: BSD-2-Clause */
/* Which vCPU runs where. The core keeps the truth; who decides is a seam for policies. common/sched.c */
#ifndef MARGAY_SCHED_H
#define MARGAY_SCHED_H

#include <margay/vcpu.h>

/* Any context below LOCK_RUNQ. Makes a blocked vCPU runnable and kicks the CPU that shall run it. */
void vcpu_wake(struct vcpu *v);

/*
 * Holds v back until t expires, whose function runs now and may run early. A timer's function calls it before it
 * notifies v. A vCPU that sleeps waits just before its entry; for one that runs, the wait is here.
 */
void vcpu_early_timer_slow(struct vcpu *v, stime_t at);
static inline void vcpu_early_timer_fired(struct vcpu *v, const struct timer *t)
{
	if (READ_ONCE(v->state) != RUN_RUNNING || unlikely(t->expires > this_cpu()->timers.due))
		vcpu_early_timer_slow(v, t->expires);
}
/* Waits until v->not_before: the last step before v enters its guest, on its CPU. */
void vcpu_wait_deadline(struct vcpu *v);

/*
 * The current vCPU wants to sleep: blocked unless it already has a reason to run
 * (arch_vcpu_has_interrupt()). Takes effect when the exit handler returns to the run loop.
 */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);

/*
 * v does not run while it has holds. It is off its CPU when v->on_cpu is clear, which takes that CPU a moment.
 * vcpu_release() undoes vcpu_hold(v, 1). Any context below LOCK_RUNQ.
 */
void vcpu_hold(struct vcpu *v, unsigned n);
void vcpu_release(struct vcpu *v);

/* VCPUOP_up/down and INIT/SIPI. vcpu_down on the current one takes effect on return to the loop. */
void vcpu_up(struct vcpu *v);
void vcpu_down(struct vcpu *v);

/* Reads the run state's times up to now into *out. */
void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out);

/*
 * For the run loops, on c, whose work is not empty: is there any for the scheduler's loop? Timers alone run at
 * once, so that a guest's tick is spared the way there and back.
 */
bool sched_timers_only(struct cpu *c);
static inline bool sched_wanted(struct cpu *c)
{
	return c->work != CPU_WORK_TIMER || sched_timers_only(c);
}

/* Each CPU's end: never returns. */
void __noreturn sched_loop(void);
void sched_init_cpu(struct cpu *c);

#endif
