/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round robin: the vCPU that has waited longest is next, and runs until it blocks or its slice
 * ends. There are no priorities, no accounting, and no queue, since the core knows which vCPU has
 * waited longest. This is Margay's behaviour without a module, and a good start for a policy of
 * your own.
 *
 * The one subtlety: a vCPU gets no slice while no other waits, so no timer interrupts it. When
 * another begins to wait, the policy asks the CPU to pick again.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define DEFAULT_SLICE 10000000UL	/* ns */

/* The word of a CPU's priv: whether a vCPU runs there without a slice. */
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

/* A picked vCPU no longer waits. */
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
