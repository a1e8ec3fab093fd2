/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shares: on every CPU that several domains use, each domain gets time in proportion to its weight,
 * however many of its vCPUs wait there. A domain has a virtual time per CPU, which advances more
 * slowly the greater its weight. The domain with the least virtual time is next. A domain that
 * slept does not keep its deficit: it resumes at the virtual time of the others. vCPUs are spread
 * over the CPUs, so that domains share them.
 *
 * A domain may also be capped to a percentage of one CPU. Its run time is counted per window of 100
 * ms, over all CPUs; time beyond the cap is carried over to the next windows.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define SLICE 5000000UL		/* ns */
#define SLICE_MIN 100000UL
#define WINDOW 100000000UL
#define PERCENT (WINDOW / 100)
#define LONGEST_WAIT 250000000UL	/* a vCPU that waits longer is next, whatever the weights */
#define DEFAULT_WEIGHT 256
#define MAX_WEIGHT 65535

/*
 * Words of a CPU's priv: queue; virtual time reached; flags. ALONE: no other waits. UNLIMITED: no
 * slice. KNOWN: seen since selection. PICKED: has picked.
 */
enum { QUEUE, REACHED = 2, ALONE, UNLIMITED, KNOWN, PICKED };

static struct account {
	u64 weight;		/* 0: not set */
	u64 cap;		/* ns per window; 0: none */
	u64 window, used;	/* ns run in that window, plus the excess of earlier windows */
} accounts[POLICY_MAX_DOMAINS];
static struct {
	u64 of[POLICY_MAX_DOMAINS];
} PER_CPU(vtimes);

static u32 nr_cpus;
static u64 capped;		/* number of times that a pick skipped a capped vCPU */

static u64 now_window(void)
{
	return policy_now() / WINDOW;
}

/* Returns the domain's time left in this window. Races between CPUs shift it by a slice. */
static u64 cap_left(struct account *a)
{
	u64 cap = __atomic_load_n(&a->cap, __ATOMIC_RELAXED), now = now_window();
	u64 then = __atomic_load_n(&a->window, __ATOMIC_RELAXED), paid, used;

	if (!cap)
		return POLICY_FOREVER;
	if (now > then && __atomic_compare_exchange_n(&a->window, &then, now, false,
						      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		used = __atomic_load_n(&a->used, __ATOMIC_RELAXED);
		paid = now - then > used / cap ? used : (now - then) * cap;
		__atomic_fetch_sub(&a->used, paid, __ATOMIC_RELAXED);
	}
	used = __atomic_load_n(&a->used, __ATOMIC_RELAXED);
	return used < cap ? cap - used : 0;
}

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	u64 *vtime = vtimes[c->id].of;

	/* The policy is new on this CPU: virtual times of an earlier selection are stale. */
	if (!c->priv[KNOWN])
		memset(vtime, 0, sizeof(vtimes[0].of));
	c->priv[KNOWN] = true;
	queue_add(&c->priv[QUEUE], v);
	if (why == POLICY_PREEMPTED)
		return;
	if (vtime[v->slot] < c->priv[REACHED])
		vtime[v->slot] = c->priv[REACHED];
	if (c->priv[ALONE])
		policy_resched(c->id);
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(&c->priv[QUEUE], v);
}

static struct policy_vcpu *choose(struct policy_cpu *c)
{
	u64 now = policy_now(), *vtime = vtimes[c->id].of;
	struct policy_vcpu *best = NULL;

	for (struct policy_vcpu *v = queue_first(&c->priv[QUEUE]); v; v = queue_next(v)) {
		if (!cap_left(&accounts[v->slot])) {
			capped++;	/* time withheld by the cap is not a deficit */
			if (vtime[v->slot] < c->priv[REACHED])
				vtime[v->slot] = c->priv[REACHED];
			continue;
		}
		if (now > v->since + LONGEST_WAIT)
			return v;
		if (!best || vtime[v->slot] < vtime[best->slot])
			best = v;
	}
	return best;
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v = choose(c);
	u64 left;

	if (v) {
		queue_remove(&c->priv[QUEUE], v);
		if (c->priv[REACHED] < vtimes[c->id].of[v->slot])
			c->priv[REACHED] = vtimes[c->id].of[v->slot];
	}
	c->priv[ALONE] = !queue_first(&c->priv[QUEUE]);
	if (!v) {
		*slice = c->priv[ALONE] ? POLICY_FOREVER :
					  (now_window() + 1) * WINDOW - policy_now();
		return NULL;
	}
	*slice = c->priv[ALONE] ? POLICY_FOREVER : SLICE;
	left = cap_left(&accounts[v->slot]);
	if (*slice > left)
		*slice = left < SLICE_MIN ? SLICE_MIN : left;
	c->priv[UNLIMITED] = *slice == POLICY_FOREVER;
	c->priv[PICKED] = true;
	return v;
}

static void charge(struct policy_cpu *c, struct policy_vcpu *v, u64 ns)
{
	struct account *a = &accounts[v->slot];
	u64 weight = a->weight ? a->weight : DEFAULT_WEIGHT;

	/* It ran under another policy, before this one was selected. */
	if (!c->priv[PICKED])
		return;
	/* A cap set while it ran does not apply to the time before. */
	if (a->cap && !c->priv[UNLIMITED])
		__atomic_fetch_add(&a->used, ns, __ATOMIC_RELAXED);
	/* While no one else waited, its time cost the others nothing. */
	if (c->priv[ALONE] && ns > SLICE)
		ns = SLICE;
	vtimes[c->id].of[v->slot] += ns * DEFAULT_WEIGHT / weight;
}

/* Returns an idle CPU, the old one if possible; else the CPU that the vCPU's id selects. */
static u32 place(const struct policy_vcpu *v, const u64 *idle)
{
	u64 free[POLICY_MAX_CPUS / 64];
	u32 cpu;

	for (u32 i = 0; i < POLICY_MAX_CPUS / 64; i++)
		free[i] = idle[i] & v->affinity[i];
	if (cpu_in_set(v->cpu, free))
		return v->cpu;
	cpu = cpu_nth(free, nr_cpus, v->id);
	if (cpu == nr_cpus)
		cpu = cpu_nth(v->affinity, nr_cpus, v->id);
	return cpu;
}

static int set(u32 slot, const char *name, u64 value)
{
	struct account *a = &accounts[slot % POLICY_MAX_DOMAINS];

	if (slot < POLICY_MAX_DOMAINS && same_name(name, "weight")) {
		if (!value || value > MAX_WEIGHT)
			return -POLICY_EINVAL;
		a->weight = value;
		return 0;
	}
	if (slot < POLICY_MAX_DOMAINS && same_name(name, "cap")) {
		if (value > 100UL * POLICY_MAX_CPUS)
			return -POLICY_EINVAL;
		a->window = now_window();
		a->used = 0;
		a->cap = value * PERCENT;
		for (u32 i = 0; i < nr_cpus; i++)	/* vCPUs that run without limit get one */
			policy_resched(i);
		return 0;
	}
	return -POLICY_ENOENT;
}

static void domain_gone(u32 slot)
{
	accounts[slot] = (struct account){ 0 };
	for (u32 i = 0; i < nr_cpus; i++)
		vtimes[i].of[slot] = 0;
}

static int start(u32 nr)
{
	nr_cpus = nr;
	return 0;
}

static const char *counter(u32 i, u64 *value)
{
	*value = capped;
	return i ? NULL : "passed-over-by-cap";
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
	.charge = charge,
	.place = place,
	.set = set,
	.domain_gone = domain_gone,
	.balance = true,
};

const struct policy_module policy_module = {
	.name = "credit",
	.summary = "shares by weight, and caps, per domain",
	.sched = &sched,
	.start = start,
	.counter = counter,
};
