/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gangs: the vCPUs of a domain run at the same time on all CPUs. Processes that compute together
 * often wait for each other, in vain if the partner does not run. So time is divided into windows,
 * and each window belongs to one domain, in turn. All CPUs read the same clock and know the same
 * domains, so they agree without communication.
 *
 * Where the owner of the window has nothing to run, another domain runs, by a lot drawn from the
 * window's number and the domain's. The lot is the same on every CPU, so a sleeping domain leaves
 * its windows to other gangs. vCPUs are spread over the CPUs by their ids: two of the same domain
 * on one CPU could not run at the same time.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define DEFAULT_WINDOW 10000000UL	/* ns */
#define NEARLY 50000UL	/* a window ends this long before its nominal end */
#define SET_WORDS (POLICY_MAX_DOMAINS / 64)

/* Words of a CPU's priv: queue; whether a vCPU runs alone. */
enum { QUEUE, ALONE = 2 };

static u64 present[SET_WORDS];	/* slots of the domains seen */
static u64 window_ns = DEFAULT_WINDOW;
static u32 nr_cpus;
static u64 picks_owner, picks_other;

/* Returns the n-th present domain (modulo their number); POLICY_MAX_DOMAINS when there is none. */
static u32 owner_of(u64 n)
{
	u64 count = 0, set[SET_WORDS];

	for (u32 i = 0; i < SET_WORDS; i++) {
		set[i] = __atomic_load_n(&present[i], __ATOMIC_RELAXED);
		for (u64 w = set[i]; w; w &= w - 1)
			count++;
	}
	n = count ? n % count : 0;
	for (u32 i = 0; i < SET_WORDS; i++)
		for (u64 w = set[i]; w; w &= w - 1)
			if (!n--)
				return i * 64 + (u32)__builtin_ctzl(w);
	return POLICY_MAX_DOMAINS;
}

/* Returns the rank of a domain in a window: the lowest runs first. */
static u64 rank(u64 window, u32 owner, u32 slot)
{
	u64 lot = (window * POLICY_MAX_DOMAINS + slot + 1) * 0x9e3779b97f4a7c15UL;

	lot ^= lot >> 32;	/* mix, so that no domain is favoured */
	lot *= 0xbf58476d1ce4e5b9UL;
	return slot == owner ? 0 : 1 + (lot >> 8);
}

static u64 window_now(void)
{
	return (policy_now() + NEARLY) / window_ns;
}

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	u64 bit = 1UL << (v->slot % 64);

	if (!(present[v->slot / 64] & bit))
		__atomic_fetch_or(&present[v->slot / 64], bit, __ATOMIC_RELAXED);
	queue_add(&c->priv[QUEUE], v);
	if (c->priv[ALONE] && why != POLICY_PREEMPTED)
		policy_resched(c->id);
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(&c->priv[QUEUE], v);
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	u64 window = window_now(), r, best_rank = POLICY_FOREVER;
	struct policy_vcpu *v, *best = NULL;
	u32 owner = owner_of(window);

	for (v = queue_first(&c->priv[QUEUE]); v; v = queue_next(v)) {
		r = rank(window, owner, v->slot);
		if (r < best_rank) {
			best = v;
			best_rank = r;
		}
	}
	if (best) {
		queue_remove(&c->priv[QUEUE], best);
		__atomic_fetch_add(best_rank ? &picks_other : &picks_owner, 1, __ATOMIC_RELAXED);
	}
	c->priv[ALONE] = !queue_first(&c->priv[QUEUE]);
	*slice = c->priv[ALONE] ? POLICY_FOREVER : (window + 1) * window_ns - policy_now();
	return best;
}

static bool preempts(struct policy_cpu *c __unused, const struct policy_vcpu *v,
		     const struct policy_vcpu *cur)
{
	u64 window = window_now();
	u32 owner = owner_of(window);

	return rank(window, owner, v->slot) < rank(window, owner, cur->slot);
}

static u32 place(const struct policy_vcpu *v, const u64 *idle __unused)
{
	return cpu_nth(v->affinity, nr_cpus, v->id);
}

static int set(u32 slot, const char *name, u64 value)
{
	if (slot != POLICY_MAX_DOMAINS || !same_name(name, "window_us"))
		return -POLICY_ENOENT;
	if (value < 500 || value > 100000)
		return -POLICY_EINVAL;
	window_ns = value * 1000;
	return 0;
}

static void domain_gone(u32 slot)
{
	__atomic_fetch_and(&present[slot / 64], ~(1UL << (slot % 64)), __ATOMIC_RELAXED);
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
	*value = i ? picks_other : picks_owner;
	return i ? "picks-of-others" : "picks-of-window-owner";
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
	.preempts = preempts,
	.place = place,
	.set = set,
	.domain_gone = domain_gone,
};

const struct policy_module policy_module = {
	.name = "gang",
	.summary = "all vCPUs of a domain at the same time",
	.sched = &sched,
	.start = start,
	.counter = counter,
};
