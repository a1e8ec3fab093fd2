/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a policy module is made against, and all it is made against. A policy decides; Margay's core keeps
 * the truth, checks each answer and does what was decided. The structures that a policy is shown (views)
 * are copies: to write into them changes nothing but the policy's own words in them (priv).
 *
 * Functions are called with interrupts on, on a stack of 8 KiB, and may take POLICY_CALL_NS: most of them
 * take less than a microsecond. A module that faults, takes longer, answers what can not be, or lets a vCPU
 * starve is not called again: the built-in policy takes over wherever it was selected.
 */
#ifndef MARGAY_POLICY_H
#define MARGAY_POLICY_H

#include <public/types.h>

/* Goes up when anything here changes. A module says in a note which one it was made for. */
#define POLICY_ABI 3

#define POLICY_MAX_CPUS 1024
#define POLICY_CALL_NS 10000000UL	/* the longest a call may take */
#define POLICY_MAX_DOMAINS 256	/* policy_vcpu.slot is below */
#define POLICY_FOREVER (~(u64)0)
#define POLICY_STARVE_NS 2000000000UL /* the longest that a vCPU may wait while others are picked */

/* What set() and start() answer, negated, when they refuse: the numbers of Linux and Xen. */
enum policy_errno { POLICY_ENOENT = 2, POLICY_EINVAL = 22, POLICY_ENOSPC = 28 };

/* A vCPU as policies see it. The view stays where it is while the vCPU waits or runs on a CPU. */
struct policy_vcpu {
	u16 domain;		/* its number */
	u16 slot;		/* of its domain: small, and no other living domain has it */
	u32 id;			/* within the domain */
	u32 nr_vcpus;		/* of the domain */
	u32 cpu;		/* where it runs, waits, or ran last */
	u64 runtime;		/* ns it has run, up to when it last left a CPU */
	u64 since;		/* when it began to wait or to run (policy_now()) */
	const u64 *affinity;	/* CPUs it may run on, a bit each */
	u64 priv[8];		/* the scheduling policy's own; zero when it first sees the vCPU */
};

/* A CPU as policies see it. */
struct policy_cpu {
	u32 id;
	u32 node;
	u32 nr_queued;		/* runnable vCPUs that wait here */
	struct policy_vcpu *first; /* of them, who has waited longest; only pick may look here */
	u64 priv[8];		/* the scheduling policy's own; zero when it is selected */
};

enum policy_why {
	POLICY_WOKEN,		/* it slept */
	POLICY_PREEMPTED,	/* it ran until now and would go on */
	POLICY_MOVED,		/* from another CPU, or from another policy at a swap */
};

/*
 * Who runs next. Calls about one CPU come one at a time, though not always on that CPU; calls about
 * different CPUs come at once: what a policy shares between CPUs it changes by atomic operations.
 */
struct sched_policy {
	/* v waits on c from now on; v leaves c's queue without being picked (it sleeps, moves, ends). */
	void (*enqueue)(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why);
	void (*dequeue)(struct policy_cpu *c, struct policy_vcpu *v);
	/*
	 * One of those that wait on c, with *slice ns at most until pick is called again (as it comes, it is
	 * the built-in policy's); or NULL: none for now, ask again after *slice ns or when something changes. POLICY_FOREVER is no limit, also
	 * when others come to wait meanwhile: it is for policy_resched() then to end it.
	 */
	struct policy_vcpu *(*pick)(struct policy_cpu *c, u64 *slice);
	/* v left c after it ran for ns. Optional. */
	void (*charge)(struct policy_cpu *c, struct policy_vcpu *v, u64 ns);
	/* v was woken on c while cur runs there: is cur to be stopped at once? Optional: no. */
	bool (*preempts)(struct policy_cpu *c, const struct policy_vcpu *v,
			 const struct policy_vcpu *cur);
	/*
	 * The CPU on which v shall wait that woke or was preempted; idle: a bit per idle CPU. Optional:
	 * the core's choice for one that woke, and the same CPU for one that was preempted.
	 */
	u32 (*place)(const struct policy_vcpu *v, const u64 *idle);
	/* A domain's parameter was set, or the policy's own (slot POLICY_MAX_DOMAINS). Optional. 0 or -errno. */
	int (*set)(u32 slot, const char *name, u64 value);
	/* The domain is gone; its slot will be another's. Optional. */
	void (*domain_gone)(u32 slot);
	/*
	 * A CPU that would be idle may take what waits here, and one with fewer vCPUs gets who is preempted
	 * here: right for policies that never hold back.
	 */
	bool balance;
};

/* What a CPU does that has nothing to run. */
enum idle_how { IDLE_HALT, IDLE_POLL };
struct idle_policy {
	/*
	 * Halt, or look for work without halting for *ns and then ask again. slept: ns that the CPU
	 * halted, or looked, the last time.
	 */
	enum idle_how (*idle)(struct policy_cpu *c, u64 slept, u64 *ns);
};

/* Where a new domain goes. */
struct place_node {
	u64 free;		/* bytes */
	u32 nr_cpus;
	u32 nr_vcpus;		/* of living domains, by where their memory is */
};
struct place_policy {
	/* The node for mem bytes and vcpus vCPUs, of n nodes. */
	u32 (*node)(const struct place_node *nodes, u32 n, u64 mem, u32 vcpus);
};

/* Sees exits; reason is an index of policy_exit_name(). */
struct exit_policy {
	void (*exit)(struct policy_cpu *c, const struct policy_vcpu *v, u32 reason);
};

/* A module's description of itself: the object `policy_module`, which it must define. */
struct policy_module {
	const char *name;	/* 1 to 31 letters, digits, - or _ */
	const char *summary;	/* one line */
	const struct sched_policy *sched;	/* NULL what it does not decide */
	const struct idle_policy *idle;
	const struct place_policy *place;
	const struct exit_policy *exit;
	/* Called once, before anything else, when the module is selected where it was not; 0 or -errno. */
	int (*start)(u32 nr_cpus);
	/* Counter i of the module's, for the administrator; NULL after the last. Optional. */
	const char *(*counter)(u32 i, u64 *value);
};

/* What Margay gives to modules. All may be called from any policy function. */
u64 policy_now(void);				/* ns since boot */
void policy_resched(u32 cpu);			/* pick is called soon on that CPU */
void policy_log(const char *text);		/* a line in Margay's log, rate-limited */
const char *policy_exit_name(u32 reason);	/* NULL from the number of reasons on */
/* The compiler's own. */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/*
 * An array with an element for each CPU, zero at first: `static struct state PER_CPU(states);`. Memory is there for
 * the elements of CPUs that the machine has, and no more.
 */
#define PER_CPU(name) name[POLICY_MAX_CPUS] __section(".bss.percpu." #name)

/* The notes that every module carries, by naming this once. */
#define POLICY_MODULE_NOTE                                                      \
	__asm__(".pushsection .note.margay, \"a\", @note\n"                     \
		".balign 4\n.long 7, 4, 1\n.asciz \"Margay\"\n.balign 4\n.long 3\n" \
		".popsection\n");
_Static_assert(POLICY_ABI == 3, "the note above says 3, too");

#endif
