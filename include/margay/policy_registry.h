/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy modules: loading, selection for a policy point and a set of CPUs, calls into them, and their
 * ejection. common/policy/registry.c; what modules themselves see is in policy.h.
 */
#ifndef MARGAY_POLICIES_H
#define MARGAY_POLICIES_H

#include <margay/module.h>
#include <margay/vcpu.h>

enum policy_point { POINT_SCHED, POINT_IDLE, POINT_EXIT, POINT_PLACE, NR_POINTS };
static const char *const policy_point_names[NR_POINTS] __unused = { "sched", "idle", "exit",
								    "place" };

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
	FN_START,
	FN_COUNTER,
	NR_FNS
};

static const char *const policy_fn_names[NR_FNS] __unused = {
	"enqueue",     "dequeue", "pick", "charge", "preempts", "place",   "set",
	"domain_gone", "idle",    "exit", "node",   "start",    "counter",
};

struct policy_fn {
	const void *code;	/* NULL: the module has none */
	u64 nr;
};

struct policy {
	struct list link;
	struct module mod;
	u8 *pages;		/* the module's, contiguous */
	unsigned nr_pages, slot;
	u64 serial;		/* no other module ever has it */
	struct policy_fn fn[NR_FNS];
	bool balance;		/* sched_policy.balance */
	bool started;
	volatile bool ejected;	/* nobody has a pointer to it any more, nor gets one */
	bool unmapped;
	u64 period;		/* the grace period that its unloading waits for */
	char summary[64];
	char why[96];		/* it was ejected for */
	u64 selected;
};

/*
 * A control operation is under way: one at a time. False: busy, try again after a visit to the scheduler.
 * All below but the calls need it, and no locks held.
 */
bool policy_control_enter(void);
void policy_control_leave(void);

/* Boot modules: `policies-allowed` is text as of sha256sum; no other module loads then. */
void policy_allow(const char *text, size_t len);
bool policy_allowed(const u8 digest[32]);
/* `policy`: loaded, and selected as its words say. Errors are reported. */
void policy_boot(const struct guest_spec *spec, const void *file, size_t len);

/* Takes a module file into Margay's memory. 0 or negative errno with a line in why (MODULE_REASON). */
int policy_load(const void *file, size_t len, char *why);
/* -EBUSY while it is selected anywhere; -ERESTART: a CPU may still use it, call again. */
int policy_unload(const char *name);
struct policy *policy_find(const char *name);
struct policy *policy_nth(unsigned i);
struct policy *policy_last(void);	/* the one loaded last */
struct policy *policy_selected(enum policy_point point, unsigned cpu);
/* On the CPUs of the set (ignored for POINT_PLACE); NULL: the built-in one. 0 or negative errno. */
int policy_select(enum policy_point point, struct policy *p, const struct cpu_set *set);
/* A parameter of a domain's, or of the policy's own (d NULL). 0, -ENOENT, or the module's errno. */
int policy_set(struct policy *p, const struct domain *d, const char *name, u64 value);
/* The i-th counter; NULL after the last. Copied, with an end, to name[32]. */
bool policy_counter(struct policy *p, u32 i, char *name, u64 *value);

/* The selected module of this CPU or another, or NULL where the built-in policy decides. */
static inline struct policy *policy_of(const struct cpu *c, enum policy_point point)
{
	return READ_ONCE(c->policy[point]);
}

static inline bool policy_decides(const struct cpu *c)
{
	return unlikely(policy_of(c, POINT_SCHED));
}

/*
 * Calls a function of a module's with up to four arguments: policy_call.asm. When the call ends by an
 * exception or lasts too long the answer is 0, and the module was ejected.
 */
u64 policy_call(u64 a, u64 b, u64 c, u64 d, const struct policy_fn *fn);
/* Called then. */
void policy_call_failed(void);

static inline u64 policy_do(const struct policy *p, enum policy_fn_nr nr, u64 a, u64 b, u64 c,
			    u64 d)
{
	return policy_call(a, b, c, d, &p->fn[nr]);
}

/* What this CPU called last. */
struct policy *policy_called(const struct cpu *c);

/* p answered nonsense or harms: nobody calls it again. Any context. */
void policy_eject(struct policy *p, const char *what, const char *why, ...) __printf(3, 4);

/* The scheduling core's part of a swap, sched.c: c is ruled by p from now on (NULL: built-in). */
void sched_set_policy(struct cpu *c, struct policy *p);

/* The module that decides for c, if it wants to hear of that. */
static inline struct policy *policy_asks(const struct cpu *c, enum policy_fn_nr nr)
{
	struct policy *p = policy_of(c, POINT_SCHED);

	return unlikely(p) && p->fn[nr].code ? p : NULL;
}

/* What sched.c asks where a module is selected (policy_calls.c); c's queue is locked. */
void policy_do_charge(struct policy *p, struct cpu *c, struct vcpu *v);
static inline void policy_charge(struct cpu *c, struct vcpu *v)
{
	struct policy *p = policy_asks(c, FN_CHARGE);

	if (p)
		policy_do_charge(p, c, v);
}
/* NULL: the core's choice. */
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
 * NULL: none for now, or ejected meanwhile. *slice comes as the built-in policy's; it goes as that of the
 * answer, or as the time till the next question.
 */
struct vcpu *policy_pick(struct cpu *c, u64 *slice);
/* May an idle CPU take what waits on c? */
static inline bool policy_balances(const struct cpu *c)
{
	const struct policy *p = policy_of(c, POINT_SCHED);

	return !p || p->balance;
}
/* No lock held. */
void policy_idle(struct cpu *c, u64 slept);
/* Tells the policy of v's exits since the last time; true: it wants to hear more. */
bool policy_exit(struct vcpu *v);
void policy_observe(struct vcpu *v);	/* from now on, if it was not already */
u8 policy_node(u64 mem, unsigned vcpus, u8 own);

/* The architecture's part: arch/x86/sandbox/sandbox.c and policy_call.asm. */
u64 arch_module_base(unsigned slot);
int arch_module_map(const struct module *m, const void *pages) __must_check;
void arch_module_unmap(const struct module *m, const void *pages);
void arch_policy_cpu_init(struct cpu *c);
void arch_policy_watch(void);
/* Regular NMIs, by which calls end that have switched interrupts off: as long as there are modules. */
void arch_policy_nmis(bool on);

#endif
