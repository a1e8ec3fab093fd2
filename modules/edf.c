/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Earliest deadline first: a domain may be promised budget_us of CPU time in every period_us. Its
 * deadline is the end of the period. Among domains with budget left, the one with the nearest
 * deadline runs first. All promises are kept if their sum fits (Liu and Layland, 1973), so a
 * promise that would raise the sum above 95 % of the CPUs is refused. Time that is not promised, or
 * not used, goes to the vCPU that has waited longest, including those that have used up their
 * budget.
 *
 * vCPUs are bound to CPUs as they are placed, so the administrator must spread the vCPUs of
 * promised domains. As a last resort no vCPU waits longer than LONGEST_WAIT.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define SLICE 5000000UL		/* ns */
#define SLICE_MIN 50000UL
#define LONGEST_WAIT 500000000UL
#define DEFAULT_PERIOD 100000UL		/* us */
#define WHOLE 1000000UL		/* one CPU, in shares of the admission test */
#define ADMITTED 950000UL

/*
 * Words of a CPU's priv: queue; whether a vCPU runs alone. Words of a vCPU's priv: the budget that
 * it reserved, so that several CPUs do not spend it twice, and the period of that budget.
 */
enum { QUEUE, ALONE = 2 };
enum { TAKEN = 2, PERIOD };

static struct promise {
	u64 period, budget;	/* ns; budget 0: no promise */
	u64 index;		/* of the period that `used` counts */
	s64 used;
} promises[POLICY_MAX_DOMAINS];

static u32 nr_cpus;
static u64 used_up, refused;

static u64 deadline(const struct promise *p)
{
	return (__atomic_load_n(&p->index, __ATOMIC_RELAXED) + 1) * p->period;
}

/* Returns the domain's remaining budget of this period. The first call in a period renews it. */
static u64 budget_left(struct promise *p, u64 now)
{
	u64 then = __atomic_load_n(&p->index, __ATOMIC_RELAXED), index;
	s64 budget = (s64)p->budget, used, owed;

	if (!budget)
		return 0;
	index = now / p->period;
	if (index > then && __atomic_compare_exchange_n(&p->index, &then, index, false,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		used = __atomic_load_n(&p->used, __ATOMIC_RELAXED);
		if (used >= budget)
			__atomic_fetch_add(&used_up, 1, __ATOMIC_RELAXED);
		/* A late end of a slice is charged to the next budget. */
		owed = used > budget && index == then + 1 ? used - budget : 0;
		__atomic_fetch_sub(&p->used, used - owed, __ATOMIC_RELAXED);
	}
	used = __atomic_load_n(&p->used, __ATOMIC_RELAXED);
	return used < budget ? (u64)(budget - used) : 0;
}

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	queue_add(&c->priv[QUEUE], v);
	if (c->priv[ALONE] && why != POLICY_PREEMPTED)
		policy_resched(c->id);
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(&c->priv[QUEUE], v);
}

/*
 * Returns the vCPU with the nearest deadline, or the first in the queue if none has budget. *until:
 * the time when a domain that waits here without budget gets a new one.
 */
static struct policy_vcpu *choose(struct policy_cpu *c, u64 now, u64 *until)
{
	struct policy_vcpu *first = queue_first(&c->priv[QUEUE]), *best = NULL, *v;
	u64 best_deadline = POLICY_FOREVER;

	*until = POLICY_FOREVER;
	for (v = first; v; v = queue_next(v)) {
		struct promise *p = &promises[v->slot];
		u64 left = budget_left(p, now), end = p->budget ? deadline(p) : POLICY_FOREVER;

		if (now > v->since + LONGEST_WAIT)
			return v;
		if (left && end < best_deadline) {
			best = v;
			best_deadline = end;
		} else if (!left && end < *until) {
			*until = end;
		}
	}
	return best ? best : first;
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	u64 now = policy_now(), until, taken;
	struct policy_vcpu *v = choose(c, now, &until);
	struct promise *p;

	c->priv[ALONE] = false;
	*slice = POLICY_FOREVER;
	if (!v)
		return NULL;
	queue_remove(&c->priv[QUEUE], v);
	p = &promises[v->slot];
	taken = budget_left(p, now);
	if (taken > SLICE)
		taken = SLICE;
	__atomic_fetch_add(&p->used, (s64)taken, __ATOMIC_RELAXED);
	v->priv[TAKEN] = taken;
	v->priv[PERIOD] = p->index;

	c->priv[ALONE] = !queue_first(&c->priv[QUEUE]);
	if (c->priv[ALONE])
		return v;
	*slice = taken ? taken : SLICE;
	if (!taken && p->budget && deadline(p) < until)
		until = deadline(p);
	if (until > now && until - now < *slice)
		*slice = until - now;
	if (*slice < SLICE_MIN)
		*slice = SLICE_MIN;
	return v;
}

static void charge(struct policy_cpu *c, struct policy_vcpu *v, u64 ns)
{
	struct promise *p = &promises[v->slot];
	u64 now = policy_now(), left = budget_left(p, now), taken = v->priv[TAKEN];

	/* Time beyond the budget is free, and this period does not pay for the last one. */
	if (!p->budget || !taken)
		return;
	if (v->priv[PERIOD] != p->index)
		taken = 0;
	if (ns > now % p->period)
		ns = now % p->period;
	if (c->priv[ALONE] && ns > left + taken)
		ns = left + taken;
	__atomic_fetch_add(&p->used, (s64)(ns - taken), __ATOMIC_RELAXED);
}

static bool preempts(struct policy_cpu *c __unused, const struct policy_vcpu *v,
		     const struct policy_vcpu *cur)
{
	struct promise *p = &promises[v->slot], *q = &promises[cur->slot];
	u64 now = policy_now();

	return budget_left(p, now) && (!budget_left(q, now) || deadline(p) < deadline(q));
}

/* Returns a share of one CPU or of several, rounded up. */
static u64 share(u64 period, u64 budget)
{
	return (budget * WHOLE + period - 1) / period;
}

static int set(u32 slot, const char *name, u64 value)
{
	struct promise *p = &promises[slot % POLICY_MAX_DOMAINS];
	u64 period = p->period ? p->period : DEFAULT_PERIOD * 1000, budget = p->budget, sum = 0;

	if (slot >= POLICY_MAX_DOMAINS)
		return -POLICY_ENOENT;
	if (same_name(name, "period_us")) {
		if (value < 1000 || value > 1000000)
			return -POLICY_EINVAL;
		period = value * 1000;
	} else if (same_name(name, "budget_us")) {
		if (value > 1000000UL * nr_cpus)
			return -POLICY_EINVAL;
		budget = value * 1000;
	} else {
		return -POLICY_ENOENT;
	}
	for (u32 i = 0; i < POLICY_MAX_DOMAINS; i++)
		if (i != slot && promises[i].budget)
			sum += share(promises[i].period, promises[i].budget);
	if (sum + share(period, budget) > ADMITTED * nr_cpus) {
		refused++;
		return -POLICY_ENOSPC;
	}
	p->period = period;
	p->index = policy_now() / period;
	p->used = 0;
	__atomic_store_n(&p->budget, budget, __ATOMIC_RELEASE);
	return 0;
}

static void domain_gone(u32 slot)
{
	promises[slot] = (struct promise){ 0 };
}

static int start(u32 nr)
{
	nr_cpus = nr;
	return 0;
}

static const char *counter(u32 i, u64 *value)
{
	if (i > 1)
		return NULL;
	*value = i ? refused : used_up;
	return i ? "promises-refused" : "budgets-used-up";
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
	.charge = charge,
	.preempts = preempts,
	.set = set,
	.domain_gone = domain_gone,
	.balance = true,
};

const struct policy_module policy_module = {
	.name = "edf",
	.summary = "a budget in every period; earliest deadline first",
	.sched = &sched,
	.start = start,
	.counter = counter,
};
