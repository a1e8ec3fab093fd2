/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adaptive polling: an idle CPU polls for work before it halts, since waking from a halt takes
 * microseconds. Each CPU learns how long polling pays: an idle period that a longer poll would have
 * covered doubles the poll time, a much longer one halves it, down to none. So a guest with long
 * sleeps costs no power, and one that plays ping-pong never halts.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define POLL_MIN 5000UL		/* ns */
#define POLL_MAX 200000UL
#define AT_ONCE 50000UL

static struct cpu_state {
	u64 poll;		/* current poll time in ns; 0: halt at once */
	u64 until;		/* polls until then; 0: does not poll */
	u64 looked;		/* time polled in vain before it halted */
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

	/* Called right after polling in vain: the idle period continues. */
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
	.summary = "polls for work for a while before it halts",
	.idle = &idle_ops,
	.counter = counter,
};
