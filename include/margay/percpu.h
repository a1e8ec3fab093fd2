/* SPDX-License-Identifier: BSD-2-Clause */
/* What each physical CPU owns. Reached through GS; only the CPU itself writes, unless noted. */
#ifndef MARGAY_PERCPU_H
#define MARGAY_PERCPU_H

#include <margay/cpu_set.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/timer.h>
#include <public/policy.h>

struct margay_trace_ring;
struct policy;
struct policy_fn;
struct vcpu;

/* Work for a CPU, set by anyone with cpu_raise(), done before it next enters a guest or sleeps. */
enum cpu_work {
	CPU_WORK_RESCHED = 1 << 0,	/* pick again which vCPU to run */
	CPU_WORK_TIMER = 1 << 1,	/* timers may be due */
	CPU_WORK_QUIESCE = 1 << 2,	/* a grace period waits for this CPU: quiesce.h */
	CPU_WORK_CONSOLE = 1 << 3,	/* console input or room for output */
	CPU_WORK_GUESTS = 1 << 4,  /* a guest from a boot module ended, or is due to start again */
	CPU_WORK_NMI = 1 << 5,		/* an NMI that nobody asked for is to be reported */
};

struct runq {
	struct spinlock lock;
	struct list queue;		/* runnable vCPUs, not the running one */
};

struct cpu_stats {
#define VCPU_COUNTER(field, group, name)
#define CPU_COUNTER(field, group, name) u64 field;
#include <margay/counters.def>
#undef CPU_COUNTER
};
struct vcpu_stats {
#define CPU_COUNTER(field, group, name)
#undef VCPU_COUNTER
#define VCPU_COUNTER(field, group, name) u64 field;
#include <margay/counters.def>
#undef CPU_COUNTER
#undef VCPU_COUNTER
};

struct cpu {
	struct cpu *self;		/* at GS:0 */
	u64 stack_top;			/* GS:8, for the assembly entries */
	struct vcpu *current;		/* GS:16; NULL when idle */
	u64 policy_stack;		/* GS:24; top of the stack that policies run on */
	u64 policy_unwind;    /* GS:32; RSP to go on with after a policy's call; 0: in none */
	const struct policy_fn *policy_called; /* GS:40; the last that was */
	u32 policy_watched;		/* GS:48; the timer interrupts soon enough for a call */
	u32 policy_strikes;		/* times that a call was found to last too long */
	u32 policy_vector;		/* the exception that ended one, and where */
	u64 policy_rip;
	bool policy_nmi;		/* another CPU sent it an NMI because of such a call */
	u64 timer_tsc;			/* when the timer interrupts, in TSC ticks; ~0 never */
#ifdef DEBUG
	const char *hold_place;		/* hold.h */
	u64 hold_start;
#endif
	volatile u32 work;		/* enum cpu_work; any CPU sets bits */
	struct vcpu *loaded;  /* whose registers (FPU, debug) this CPU holds; may be asleep */
	unsigned id;
	u32 apic_id;
	u8 node;
	bool online;
	u8 lock_depth;
	u8 lock_levels[8];		/* lock order check, DEBUG builds */

	struct runq runq;
	struct timer_queue timers;
	struct timer slice;

	struct policy *policy[4];	/* by enum policy_point; NULL: the built-in one */
	struct policy_cpu view;
	u64 policy_answer;		/* where a policy writes its second answer */
	u32 passed_over;		/* times that the first in the queue was not picked */
	u64 slept;			/* ns of the last idle time */
	bool repick;			/* policy_resched() */
	bool held_back;			/* the policy picked none although some wait */
	void *arch;			/* GDT, TSS, IST stacks: arch/x86/cpu */
	void *hvm;			/* back-end's own: host save area */
	struct cpu_stats stats;
	u64 exit_ticks;			/* of the TSC, between exits and entries */
	u64 ran;	/* ticks that vCPUs took; while one does, less the TSC when it began */
	stime_t idled;			/* the same for sleep, in ns */
	u32 trace;			/* the records it writes: a bit per MARGAY_TRACE_* */
	struct margay_trace_ring *ring;
};

extern struct cpu *cpus[MAX_CPUS];	/* by id; NULL when absent */

#ifdef MARGAY_UNIT
extern struct cpu *host_cpu;
static inline struct cpu *this_cpu(void) { return host_cpu; }
static inline bool tracing(u32 events) { return host_cpu->trace & events; }
#else
static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/* Does this CPU record any of these? In one instruction: it is asked at each exit. */
static inline bool tracing(u32 events)
{
	bool yes;

	__asm__ volatile("testl %1, %%gs:%c2"
			 : "=@ccnz"(yes) : "er"(events), "i"(offsetof(struct cpu, trace)));
	return yes;
}
#endif

static inline struct vcpu *current_vcpu(void) { return this_cpu()->current; }

/* Sets work bits for a CPU and makes it notice soon: it leaves its guest or its sleep. Any context. */
void cpu_raise(struct cpu *c, u32 work);


#endif
