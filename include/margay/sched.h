/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler. The core keeps the state of vCPUs; policies may decide. common/sched.c */
#pragma once

#include <margay/vcpu.h>

/* Makes a blocked vCPU runnable and kicks the CPU that will run it. Any context below LOCK_RUNQ. */
void vcpu_wake(struct vcpu *v);

/*
 * Holds v back until `at`, the deadline of an early timer. Called by the timer's function before it
 * notifies v. A sleeping v waits just before its guest entry; for a running v the wait is here.
 */
void vcpu_early_timer_slow(struct vcpu *v, stime_t at);
static inline void vcpu_early_timer_fired(struct vcpu *v, const struct timer *t)
{
	if (READ_ONCE(v->state) != RUN_RUNNING || unlikely(t->expires > this_cpu()->timers.due))
		vcpu_early_timer_slow(v, t->expires);
}
/* Waits until v->not_before. Called last before v enters its guest, on v's CPU. */
void vcpu_wait_deadline(struct vcpu *v);

/*
 * Blocks the current vCPU unless it has a reason to run (arch_vcpu_has_interrupt()). Takes effect
 * when the exit handler returns to the run loop.
 */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);

/*
 * vcpu_hold() adds n holds: v does not run while it has any. v is off its CPU once v->on_cpu is
 * clear, shortly after. vcpu_release() undoes vcpu_hold(v, 1). Any context below LOCK_RUNQ.
 */
void vcpu_hold(struct vcpu *v, unsigned n);
void vcpu_release(struct vcpu *v);

/* VCPUOP_up/down, INIT/SIPI. vcpu_down() of the current vCPU takes effect in the run loop. */
void vcpu_up(struct vcpu *v);
void vcpu_down(struct vcpu *v);

/* Returns whether v is up, and not halted for good as Linux halts a CPU that it takes offline. */
static inline bool vcpu_online(const struct vcpu *v)
{
	enum run_state state = READ_ONCE(v->state);

	return state != RUN_OFFLINE && !(state == RUN_BLOCKED && READ_ONCE(v->halted));
}

/* Reads the runstate, with its times up to now, into *out. */
void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out);

/*
 * Called by the run loops on c when it has work. Returns whether the scheduler's loop must do some
 * of it. Runs timers here if they are the only work, which saves a guest's tick the way to the loop
 * and back.
 */
bool sched_timers_only(struct cpu *c);
static inline bool sched_wanted(struct cpu *c)
{
	return c->work != CPU_WORK_TIMER || sched_timers_only(c);
}

/* Ends the sleep of all idle CPUs, which then scrub free memory. */
void sched_wake_idle(void);
/* The main loop of each CPU. */
void __noreturn sched_loop(void);
void sched_init_cpu(struct cpu *c);

/* Returns how long c has been idle, in ns. */
static inline u64 cpu_idle_time(const struct cpu *c)
{
	stime_t idle = READ_ONCE(c->idled);

	/* A negative value means that the period has not ended: add the time now. */
	return (s64)idle < 0 ? idle + now() : idle;
}
