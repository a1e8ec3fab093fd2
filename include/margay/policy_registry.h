/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy modules: loading, selection for a policy point and a set of CPUs, calls into them, and
 * ejection. common/policy/registry.c; policy.h is the interface for modules.
 */
#pragma once

#include <margay/module.h>
#include <margay/vcpu.h>

/* Each CPU has those before POINT_PLACE, the machine the others. */
enum policy_point { POINT_SCHED, POINT_IDLE, POINT_EXIT, POINT_PLACE, POINT_MIGRATE, NR_POINTS };
static const char *const policy_point_names[NR_POINTS] __unused = { "sched", "idle", "exit",
								    "place", "migrate" };

/* A module's functions: those of struct sched_policy in its order, then the others. */
enum policy_fn_nr {
	FN_ENQUEUE,
	FN_DEQUEUE,
	FN_PICK,
	FN_CHARGE,
	FN_PREEMPTS,
	FN_PLACE,
	FN_SET,
	FN_DOMAIN_GONE,
	FN_IDLE,
	FN_EXIT,
	FN_NODE,
	FN_MIGRATE_ROUND,
	FN_START,
	FN_COUNTER,
	NR_FNS
};

static const char *const policy_fn_names[NR_FNS] __unused = {
	"enqueue",     "dequeue", "pick", "charge", "preempts", "place",   "set",
	"domain_gone", "idle",    "exit", "node", "round",  "start",    "counter",
};

struct policy_fn {
	const void *code;	/* NULL: the module does not define it */
	u64 nr;
};

struct policy {
	struct list link;
	struct module mod;
	u8 *pages;		/* the module's memory, contiguous */
	unsigned nr_pages, slot;
	u64 serial;		/* unique among all modules ever loaded */
	struct policy_fn fn[NR_FNS];
	bool balance;		/* sched_policy.balance */
	bool started;
	volatile bool ejected;	/* no longer called; no new pointers to it */
	bool unmapped;
	u64 period;		/* grace period that its unloading waits for */
	char summary[64];
	char why[96];		/* why it was ejected */
	u64 selected;
};

/*
 * Begins a control operation; there is one at a time. Returns false when busy: retry after a visit
 * to the scheduler. All functions below except the calls need it, and no locks.
 */
bool policy_control_enter(void);
void policy_control_leave(void);

/* Restricts loading to the modules that `policies-allowed` lists in sha256sum's format. */
void policy_allow(const char *text, size_t len);
bool policy_allowed(const u8 digest[32]);

/* A load in progress. The caller sets file and len, the rest is zero. */
struct policy_load {
	const u8 *file;
	size_t len;
	struct policy *p;
	bool linked;
	struct module_link link;
	char why[MODULE_REASON];
};
/*
 * Loads a module from a file in bounded steps. Returns 0, -ERESTART (call again), or negative errno
 * with a line in l->why.
 */
int policy_load_step(struct policy_load *l);
void policy_load_cancel(struct policy_load *l);
/*
 * Does a step of a load by v from an address in its memory, likewise. Copies the line to why.
 * -EBUSY while another vCPU loads a module.
 */
int policy_load_guest(struct vcpu *v, gvaddr_t from, size_t len, char *why);
void policy_load_gone(const struct domain *d); /* cancels a load by d */
/* Unloads a module. -EBUSY while selected; -ERESTART while a CPU may use it: call again. */
int policy_unload(const char *name);
struct policy *policy_find(const char *name);
struct policy *policy_nth(unsigned i);
struct policy *policy_last(void);	/* the last one loaded */
struct policy *policy_selected(enum policy_point point, unsigned cpu);
/* Selects p (NULL: built-in) on the CPUs of the set (unused for the machine's points). 0 or -errno. */
int policy_select(enum policy_point point, struct policy *p, const struct cpu_set *set);
/* Logs a selection. by NULL: a boot module asked for it. */
void policy_log_selection(enum policy_point point, const struct policy *p,
			  const struct cpu_set *set, const struct domain *by);
/* Sets a parameter of a domain, or of the policy (d NULL). 0, -ENOENT, or the module's errno. */
int policy_set(struct policy *p, const struct domain *d, const char *name, u64 value);
/* Reads counter i; false after the last one. Copies the name, NUL-terminated, to name[32]. */
bool policy_counter(struct policy *p, u32 i, char *name, u64 *value);

/* Returns the module selected on a CPU, or NULL for the built-in policy. */
static inline struct policy *policy_of(const struct cpu *c, enum policy_point point)
{
	return unlikely(c->owner) ? NULL : READ_ONCE(c->policy[point]);
}

static inline bool policy_decides(const struct cpu *c)
{
	return unlikely(policy_of(c, POINT_SCHED));
}

/*
 * Calls a module's function with up to four arguments: policy_call.asm. Returns 0 if the call ends
 * by an exception or takes too long; the module is then ejected.
 */
u64 policy_call(u64 a, u64 b, u64 c, u64 d, const struct policy_fn *fn);
/* Called after such a failure. */
void policy_call_failed(void);

static inline u64 policy_do(const struct policy *p, enum policy_fn_nr nr, u64 a, u64 b, u64 c,
			    u64 d)
{
	return policy_call(a, b, c, d, &p->fn[nr]);
}

/* Returns the module that this CPU called last. */
struct policy *policy_called(const struct cpu *c);

/* Ejects p for a wrong answer or for harm done: no CPU calls it again. Any context. */
void policy_eject(struct policy *p, const char *what, const char *why, ...) __printf(3, 4);

/*
 * Does the scheduler's part of a swap: p decides for c from now on (NULL: built-in). The caller
 * raises CPU_WORK_RESCHED. sched.c
 */
void sched_set_policy(struct cpu *c, struct policy *p);

/* Returns the module that decides for c if it defines this function, else NULL. */
static inline struct policy *policy_asks(const struct cpu *c, enum policy_fn_nr nr)
{
	struct policy *p = policy_of(c, POINT_SCHED);

	return unlikely(p) && p->fn[nr].code ? p : NULL;
}

/* Called by sched.c where a module is selected (policy/calls.c), with the lock of c's run queue. */
void policy_do_charge(struct policy *p, struct cpu *c, struct vcpu *v);
static inline void policy_charge(struct cpu *c, struct vcpu *v)
{
	struct policy *p = policy_asks(c, FN_CHARGE);

	if (p)
		policy_do_charge(p, c, v);
}
/* Returns NULL to leave the choice to the core. */
struct cpu *policy_do_place(struct policy *p, struct vcpu *v, const struct cpu_set *idle);
static inline struct cpu *policy_place(struct cpu *c, struct vcpu *v, const struct cpu_set *idle)
{
	struct policy *p = policy_asks(c, FN_PLACE);

	return p ? policy_do_place(p, v, idle) : NULL;
}
void policy_enqueue(struct cpu *c, struct vcpu *v, enum policy_why why);
void policy_dequeue(struct cpu *c, struct vcpu *v);
bool policy_preempts(struct cpu *c, struct vcpu *v);
/*
 * Returns NULL: no vCPU for now, or the module was just ejected. *slice holds the built-in policy's
 * slice; the call sets the slice of the picked vCPU, or the time until the next call.
 */
struct vcpu *policy_pick(struct cpu *c, u64 *slice);
/* Returns whether an idle CPU may take vCPUs that wait on c. */
static inline bool policy_balances(const struct cpu *c)
{
	const struct policy *p = policy_of(c, POINT_SCHED);

	return !p || p->balance;
}
/* Called without locks. */
void policy_idle(struct cpu *c, u64 slept);
/* What the tools do after a round of copying a running guest's dirty pages. */
enum migrate_how policy_migrate(const struct migrate_round *r);
/* Reports v's exits since the last call to the policy. Returns true if it wants more. */
bool policy_exit(struct vcpu *v);
void policy_observe(struct vcpu *v);	/* start observing v, unless observed already */
u8 policy_node(u64 mem, unsigned vcpus, u8 own);

/* The architecture's part: arch/x86/sandbox/sandbox.c and policy_call.asm. */
u64 arch_module_base(unsigned slot);
int arch_module_map(const struct module *m, const void *pages) __must_check;
void arch_module_unmap(const struct module *m, const void *pages);
void arch_policy_cpu_init(struct cpu *c);
void arch_policy_watch(void);
/* Enables regular NMIs while modules are loaded. They end calls that have disabled interrupts. */
void arch_policy_nmis(bool on);
