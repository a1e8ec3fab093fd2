/* SPDX-License-Identifier: BSD-2-Clause */
/* Which vCPU runs where. The core keeps the truth; who decides is a seam for policies. common/sched.c */
#ifndef MARGAY_SCHED_H
#define MARGAY_SCHED_H

#include <margay/vcpu.h>

/* Any context below LOCK_RUNQ. Makes a blocked vCPU runnable and kicks the CPU that shall run it. */
void vcpu_wake(struct vcpu *v);

/*
 * The current vCPU wants to sleep: blocked unless it already has a reason to run
 * (arch_vcpu_has_interrupt()). Takes effect when the exit handler returns to the run loop.
 */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);

/* Never runs again; off its CPU when v->on_cpu is clear, which takes that CPU a moment. Any context. */
void vcpu_stop(struct vcpu *v);

/* VCPUOP_up/down and INIT/SIPI. vcpu_down on the current one takes effect on return to the loop. */
void vcpu_up(struct vcpu *v);
void vcpu_down(struct vcpu *v);

/* Reads the run state's times up to now into *out. */
void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out);

/* Each CPU's end: never returns. */
void __noreturn sched_loop(void);
void sched_init_cpu(struct cpu *c);

#endif
