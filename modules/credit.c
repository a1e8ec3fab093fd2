/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shares: on every CPU where domains meet, each gets time in proportion to its weight, however many of its
 * vCPUs wait there. A domain has a virtual time on each CPU, which runs the slower the greater its weight
 * is; the domain that is furthest behind is next. One that slept does not keep its arrears: it starts
 * again where the others are. vCPUs are spread over the CPUs, so that domains do meet.
 *
 * Besides, a domain may be capped to so many percent of one CPU. What it ran is counted per window of
 * 100 ms, over all CPUs; what it ran too much is owed to the next windows.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define SLICE 5000000UL		/* ns */
#define SLICE_MIN 100000UL
#define WINDOW 100000000UL
#define PERCENT (WINDOW / 100)
#define LONGEST_WAIT 250000000UL	/* whoever waits longer is next, whatever the weights */
#define DEFAULT_WEIGHT 256
#define MAX_WEIGHT 65535

/* Words of a CPU's priv: its queue; the virtual time it has come to; runs one alone, or without limit? */
enum { QUEUE, REACHED = 2, ALONE, UNLIMITED, KNOWN, PICKED };

static struct account {
	u64 weight;		/* 0: not set */
	u64 cap;		/* ns per window; 0: none */
	u64 window, used;	/* ns run in that window, and what is owed from before */
} accounts[POLICY_MAX_DOMAINS];
static struct {
	u64 of[POLICY_MAX_DOMAINS];
} PER_CPU(vtimes);

static u32 nr_cpus;
static u64 capped;		/* how often a pick passed somebody over */

static u64 now_window(void)
{
	return policy_now() / WINDOW;
}

/* What the domain may still run in this window. CPUs may race for it: one slice more or less. */
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

	/* The CPU is new here, and times from when it was ruled by this policy before are stale. */
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
			capped++;	/* what the cap keeps from it is no arrears */
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

	/* It ran for another policy, before this one was selected. */
	if (!c->priv[PICKED])
		return;
	/* A cap that was set while it ran is not for the time before. */
	if (a->cap && !c->priv[UNLIMITED])
		__atomic_fetch_add(&a->used, ns, __ATOMIC_RELAXED);
	/* As long as nobody else was there, it took nothing from anybody. */
	if (c->priv[ALONE] && ns > SLICE)
		ns = SLICE;
	vtimes[c->id].of[v->slot] += ns * DEFAULT_WEIGHT / weight;
}

/* An idle CPU, the old one preferred; else the one that is this vCPU's by its number. */
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
		for (u32 i = 0; i < nr_cpus; i++)	/* who runs without limit gets one */
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
