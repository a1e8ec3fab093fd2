/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of each CPU, accessed through GS. Only the CPU itself writes it, unless noted. */
#pragma once

#include <margay/cpu_set.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/timer.h>
#include <public/policy.h>

struct margay_trace_ring;
struct policy;
struct policy_fn;
struct vcpu;

/* Work that any CPU sets by cpu_raise(), done before the CPU's next guest entry or sleep. */
enum cpu_work {
	CPU_WORK_RESCHED = 1 << 0,	/* choose again which vCPU runs */
	CPU_WORK_TIMER = 1 << 1,	/* timers may have expired */
	CPU_WORK_QUIESCE = 1 << 2,	/* a grace period waits for this CPU: quiesce.h */
	CPU_WORK_CONSOLE = 1 << 3,	/* console input or room for output */
	CPU_WORK_GUESTS = 1 << 4,  /* a boot guest ended, or is due to restart */
	CPU_WORK_ERRORS = 1 << 5,	/* errors of the machine must be reported */
	CPU_WORK_EXPEL = 1 << 6, /* the loaded vCPU may have to move, or prefer to */
	CPU_WORK_ISOLATE = 1 << 7,	/* a vCPU begins or ends to own the CPU: isolate.h */
};

struct runq {
	struct spinlock lock;
	struct list queue;		/* runnable vCPUs, except the running one */
};

struct cpu_stats {
#define VCPU_COUNTER(field, group, name)
#define CPU_COUNTER(field, group, name) u64 field;
#include <margay/counters.def>
};
struct vcpu_stats {
#define CPU_COUNTER(field, group, name)
#define VCPU_COUNTER(field, group, name) u64 field;
#include <margay/counters.def>
};

struct cpu {
	struct cpu *self;		/* at GS:0 */
	u64 stack_top;			/* GS:8, for the assembly entries */
	struct vcpu *current;		/* GS:16; NULL when idle */
	u64 policy_stack;		/* GS:24; top of the stack for policy calls */
	u64 policy_unwind;    /* GS:32; RSP to continue at after a policy call; 0: no call */
	const struct policy_fn *policy_called; /* GS:40; the last function called */
	u32 policy_watched;		/* GS:48; the timer will interrupt soon enough for a call */
	u32 policy_strikes;		/* number of times that a call took too long */
	u32 policy_vector;		/* exception that ended a call, and its address */
	u64 policy_rip;
	bool policy_nmi;		/* another CPU sent an NMI because of a long call */
	bool nmi_kicks;			/* NMIs may be kicks: a vCPU owns the CPU, or did */
	bool mce_signalled;		/* a machine check's exception came, and no report since */
	u64 timer_tsc;			/* when the timer interrupts, in TSC ticks; ~0: never */
#ifdef DEBUG
	const char *hold_place;		/* hold.h */
	u64 hold_start[2];
#endif
	volatile u32 work;		/* enum cpu_work; any CPU sets bits */
	struct vcpu *loaded;  /* its registers (FPU, debug) are on this CPU; may be asleep */
	unsigned id;
	u32 apic_id, acpi_id;
	u32 amd_core[2];		/* CPUID leaf 0x8000001e, EBX and ECX */
	struct vcpu *owner;		/* NULL: the CPU is shared. isolate.h */
	volatile bool isolated;	/* has no timers; all its interrupts are its owner's */
	u32 device_vectors;	/* devices interrupt it; under irq_lock */
	u8 adopted;			/* an interrupt to leave in service for the owner */
	u64 period;			/* the last grace period when it went outside */
	struct cpu *sibling;		/* the next thread of its core; they form a ring */
	u8 node;
	bool alive;			/* set up, by itself */
	bool online;
	u8 lock_depth;
	u8 lock_levels[8];		/* lock order check, DEBUG builds */

	struct runq runq;
	struct timer_queue timers;
	struct timer slice;

	struct policy *policy[3];	/* by enum policy_point; NULL: built-in policy */
	struct policy_cpu view;
	u64 policy_answer;		/* second result of a policy call */
	u32 passed_over;		/* times that the first in the queue was not picked */
	u64 slept;			/* ns of the last idle period */
	bool repick;			/* policy_resched() */
	bool displaced;			/* the current vCPU prefers other CPUs */
	bool held_back;			/* the policy picked none although vCPUs wait */
	void *arch;			/* GDT, TSS, IST stacks: arch/x86/cpu */
	void *hvm;			/* back-end data: host save area */
	struct cpu_stats stats;
	u64 exit_ticks;			/* TSC ticks between exits and entries */
	u64 ran;	/* TSC ticks of vCPUs; while one runs, minus the TSC at its start */
	stime_t idled;			/* the same for idle time, in ns */
	u32 trace;			/* records to write: a bit per MARGAY_TRACE_* */
	struct margay_trace_ring *ring;
};

extern struct cpu *cpus[MAX_CPUS];	/* by id; NULL: no such CPU */

/*
 * The CPU that serves all: it starts and restarts the boot guests, and takes the interrupts of
 * Margay's own devices. The boot CPU until all are up, then that of the option housekeeping=.
 */
extern struct cpu *housekeeping_cpu;

#ifndef MARGAY_UNIT
static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/* Returns whether this CPU records any of these events. One instruction: each exit asks. */
static inline bool tracing(u32 events)
{
	bool yes;

	__asm__ volatile("testl %1, %%gs:%c2"
			 : "=@ccnz"(yes) : "er"(events), "i"(offsetof(struct cpu, trace)));
	return yes;
}

/* Returns work, with this CPU's work added. One instruction: each guest entry asks. */
static inline u64 with_cpu_work(u64 work)
{
	__asm__ volatile("orl %%gs:%c1, %k0"
			 : "+r"(work) : "i"(offsetof(struct cpu, work)) : "memory", "cc");
	return work;
}

static inline void count_exit_ticks(u64 ticks)
{
	__asm__ volatile("addq %0, %%gs:%c1"
			 :: "r"(ticks), "i"(offsetof(struct cpu, exit_ticks)) : "memory", "cc");
}
#endif

static inline struct vcpu *current_vcpu(void) { return this_cpu()->current; }

/* Sets a work bit for a CPU and kicks it out of its guest or its sleep. Any context. */
void cpu_raise(struct cpu *c, u32 work);
