/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round robin: whoever waits longest is next, and runs until it sleeps or its slice is over. There are no
 * priorities, nothing to account, and no queue: who waits longest the core knows. This is what Margay does without any module, and a good start for a
 * policy of your own.
 *
 * The one subtlety is that a vCPU which nobody waits behind gets no slice: no timer interrupts it. When
 * somebody comes to wait after all, the CPU is asked to look again.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define DEFAULT_SLICE 10000000UL	/* ns */

/* The word of a CPU's priv: does one run there without a slice? */
enum { ALONE };

static u64 slice_ns = DEFAULT_SLICE;

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v __unused, enum policy_why why)
{
	if (!c->priv[ALONE])
		return;
	c->priv[ALONE] = false;
	if (why != POLICY_PREEMPTED)
		policy_resched(c->id);
}

static void dequeue(struct policy_cpu *c __unused, struct policy_vcpu *v __unused)
{
}

/* Whoever is picked does not wait any more. */
static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	c->priv[ALONE] = c->nr_queued <= 1;
	*slice = c->priv[ALONE] ? POLICY_FOREVER : slice_ns;
	return c->first;
}

static int set(u32 slot, const char *name, u64 value)
{
	if (slot != POLICY_MAX_DOMAINS || !same_name(name, "slice_us"))
		return -POLICY_ENOENT;
	if (value < 100 || value > 1000000)
		return -POLICY_EINVAL;
	slice_ns = value * 1000;
	return 0;
}

static int start(u32 nr_cpus __unused)
{
	slice_ns = DEFAULT_SLICE;
	return 0;
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
	.set = set,
	.balance = true,
};

const struct policy_module policy_module = {
	.name = "rr",
	.summary = "round robin",
	.sched = &sched,
	.start = start,
};
