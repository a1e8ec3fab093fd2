/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adaptive polling: a CPU without work looks for some for a while before it halts, as waking from a halt
 * takes microseconds. How long pays depends on the guests, so each CPU learns it: an idle time that a
 * longer look would have covered doubles the time to look, one that was far longer halves it, down to
 * none. A guest that sleeps for long so costs no power, and one that plays ping-pong never halts.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define POLL_MIN 5000UL		/* ns */
#define POLL_MAX 200000UL
#define AT_ONCE 50000UL

static struct cpu_state {
	u64 poll;		/* ns to look now; 0: halt at once */
	u64 until;		/* it looks until then; 0: it does not */
	u64 looked;		/* in vain, before it halted */
} __aligned(64) PER_CPU(cpus);

static u64 looks, halts;

static void learn(struct cpu_state *s, u64 slept)
{
	if (slept > POLL_MAX)
		s->poll /= 2;
	else if (slept > s->poll)
		s->poll = s->poll ? s->poll * 2 : POLL_MIN;
	if (s->poll < POLL_MIN)
		s->poll = 0;
	if (s->poll > POLL_MAX)
		s->poll = POLL_MAX;
}

static enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns)
{
	struct cpu_state *s = &cpus[c->id];
	u64 now = policy_now();

	/* Asked right after it looked in vain: the same idle time goes on. */
	if (s->until && now - s->until < AT_ONCE) {
		s->until = 0;
		s->looked = s->poll;
		__atomic_fetch_add(&halts, 1, __ATOMIC_RELAXED);
		return IDLE_HALT;
	}
	learn(s, slept + s->looked);
	s->looked = 0;
	s->until = s->poll ? now + s->poll : 0;
	*ns = s->poll;
	__atomic_fetch_add(s->poll ? &looks : &halts, 1, __ATOMIC_RELAXED);
	return s->poll ? IDLE_POLL : IDLE_HALT;
}

static const char *counter(u32 i, u64 *value)
{
	if (i > 1)
		return NULL;
	*value = i ? halts : looks;
	return i ? "halts" : "looks";
}

static const struct idle_policy idle_ops = { .idle = idle };

const struct policy_module policy_module = {
	.name = "haltpoll",
	.summary = "looks for work before it halts, for as long as that pays",
	.idle = &idle_ops,
	.counter = counter,
};
