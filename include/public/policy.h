/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface of policy modules, and the only one. A policy decides; Margay's core keeps the
 * state, checks each answer and carries it out. Policies see copies (views) of the core's
 * structures: writing to a view changes only the policy's own words in it (priv).
 *
 * Functions run with interrupts on, on a stack of 8 KiB, for at most POLICY_CALL_NS; most take less
 * than a microsecond. A module that faults, takes longer, gives an impossible answer, or starves a
 * vCPU is ejected: the built-in policy replaces it wherever it was selected.
 */
#ifndef MARGAY_POLICY_H
#define MARGAY_POLICY_H

#include <public/types.h>

/* Incremented by every change here. A note in each module names the version it was built for. */
#define POLICY_ABI 4

#define POLICY_MAX_CPUS 1024
#define POLICY_CALL_NS 10000000UL	/* the longest time that a call may take */
#define POLICY_MAX_DOMAINS 256	/* limit of policy_vcpu.slot */
#define POLICY_FOREVER (~(u64)0)
#define POLICY_STARVE_NS 2000000000UL /* the longest wait of a vCPU while others are picked */

/* The errors of set() and start(), negated: the numbers of Linux and Xen. */
enum policy_errno { POLICY_ENOENT = 2, POLICY_EINVAL = 22, POLICY_ENOSPC = 28 };

/* A policy's view of a vCPU. It does not move while the vCPU waits or runs on a CPU. */
struct policy_vcpu {
	u16 domain;		/* its id */
	u16 slot;		/* of the domain: a small number, unique among living domains */
	u32 id;			/* within the domain */
	u32 nr_vcpus;		/* of the domain */
	u32 cpu;		/* where it runs, waits, or last ran */
	u64 runtime;		/* total run time in ns, up to when it last left a CPU */
	u64 since;		/* start of its current wait or run (policy_now()) */
	const u64 *affinity;	/* CPUs it may run on, a bit per CPU */
	u64 priv[8];		/* for the scheduling policy; zero when it first sees the vCPU */
};

/* A policy's view of a CPU. */
struct policy_cpu {
	u32 id;
	u32 node;
	u32 nr_queued;		/* runnable vCPUs waiting here */
	struct policy_vcpu *first; /* the one waiting longest; only pick may use it */
	u64 priv[8];		/* for the scheduling policy; zero when it is selected */
};

enum policy_why {
	POLICY_WOKEN,		/* it was blocked */
	POLICY_PREEMPTED,	/* it ran until now and can continue */
	POLICY_MOVED,		/* from another CPU, or from another policy in a swap */
};

/*
 * Chooses the vCPUs to run. Calls for one CPU are serialised, though not always made on that CPU.
 * Calls for different CPUs are concurrent: a policy changes data shared between CPUs by atomic
 * operations.
 */
struct sched_policy {
	/* v waits on c from now on; v leaves c's queue unpicked (it blocks, moves, ends). */
	void (*enqueue)(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why);
	void (*dequeue)(struct policy_cpu *c, struct policy_vcpu *v);
	/*
	 * Picks a vCPU that waits on c. *slice is in ns: it holds the built-in policy's slice, and
	 * pick sets the time until the next call. NULL: no vCPU for now; pick is called again after
	 * *slice ns or after a change. POLICY_FOREVER sets no limit, even when others begin to
	 * wait; policy_resched() can end it.
	 */
	struct policy_vcpu *(*pick)(struct policy_cpu *c, u64 *slice);
	/* v left c after running for ns. Optional. */
	void (*charge)(struct policy_cpu *c, struct policy_vcpu *v, u64 ns);
	/* Returns whether v, woken on c, preempts cur, which runs there. Optional: no. */
	bool (*preempts)(struct policy_cpu *c, const struct policy_vcpu *v,
			 const struct policy_vcpu *cur);
	/*
	 * Returns the CPU for v, which was woken or preempted. idle: a bit per idle CPU; if some of
	 * those are in v's soft affinity, only these. Optional: the core chooses for a woken vCPU;
	 * a preempted one stays.
	 */
	u32 (*place)(const struct policy_vcpu *v, const u64 *idle);
	/*
	 * Sets a parameter of a domain, or of the policy itself (slot POLICY_MAX_DOMAINS).
	 * Optional. 0 or -errno.
	 */
	int (*set)(u32 slot, const char *name, u64 value);
	/* The domain is gone; its slot will be reused. Optional. */
	void (*domain_gone)(u32 slot);
	/*
	 * An idle CPU may take vCPUs that wait here, and a preempted vCPU may move to a CPU with
	 * fewer vCPUs. Right for policies that never hold vCPUs back.
	 */
	bool balance;
};

/* What an idle CPU does. */
enum idle_how { IDLE_HALT, IDLE_POLL };
struct idle_policy {
	/*
	 * Chooses between halting, and polling for work for *ns before the next call. slept: ns
	 * that the CPU halted or polled last time.
	 */
	enum idle_how (*idle)(struct policy_cpu *c, u64 slept, u64 *ns);
};

/* Chooses the node of a new domain. */
struct place_node {
	u64 free;		/* bytes */
	u32 nr_cpus;
	u32 nr_vcpus;		/* of living domains whose memory is on the node */
};
struct place_policy {
	/* Returns the node for mem bytes and vcpus vCPUs, out of n nodes. */
	u32 (*node)(const struct place_node *nodes, u32 n, u64 mem, u32 vcpus);
};

/* Decides how long the tools copy a guest's memory while it runs: in a live migration or save. */
struct migrate_round {
	u32 domain;		/* its id */
	u32 round;		/* 1: the first one after all memory was copied */
	u64 pages;		/* that the domain has */
	u64 dirty;		/* written since the round before */
	u64 ns;			/* since the round before */
};
/* What the tools do after they have copied the dirty pages: Xen's choice, another round, the last one. */
enum migrate_how { MIGRATE_AS_XEN, MIGRATE_GO_ON, MIGRATE_STOP };
struct migrate_policy {
	enum migrate_how (*round)(const struct migrate_round *r);
};

/* Observes exits. reason is an index for policy_exit_name(). */
struct exit_policy {
	void (*exit)(struct policy_cpu *c, const struct policy_vcpu *v, u32 reason);
};

/* A module's description of itself: every module defines the object `policy_module`. */
struct policy_module {
	const char *name;	/* 1 to 31 letters, digits, - or _ */
	const char *summary;	/* one line */
	const struct sched_policy *sched;	/* NULL: it does not decide this */
	const struct idle_policy *idle;
	const struct place_policy *place;
	const struct exit_policy *exit;
	const struct migrate_policy *migrate;
	/* Called once, first of all, when the module is first selected. 0 or -errno. */
	int (*start)(u32 nr_cpus);
	/* Returns the name and value of the module's counter i; NULL after the last. Optional. */
	const char *(*counter)(u32 i, u64 *value);
};

/* Functions for modules, callable from any policy function. */
u64 policy_now(void);				/* ns since boot */
void policy_resched(u32 cpu);			/* pick will be called soon on that CPU */
void policy_log(const char *text);		/* writes a line to Margay's log, rate-limited */
const char *policy_exit_name(u32 reason);	/* NULL when reason is out of range */
/* gcc generates calls to these. */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/*
 * Declares an array with an element per CPU, initially zero:
 * `static struct state PER_CPU(states);`.
 * Only elements of existing CPUs have memory.
 */
#define PER_CPU(name) name[POLICY_MAX_CPUS] __section(".bss.percpu." #name)

/* The note that every module carries. Use it once per module. */
#define POLICY_MODULE_NOTE                                                      \
	__asm__(".pushsection .note.margay, \"a\", @note\n"                     \
		".balign 4\n.long 7, 4, 1\n.asciz \"Margay\"\n.balign 4\n.long 4\n" \
		".popsection\n");
_Static_assert(POLICY_ABI == 4, "the note above says 4, too");

#endif
