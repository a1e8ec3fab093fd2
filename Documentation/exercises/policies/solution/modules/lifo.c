/* SPDX-License-Identifier: BSD-2-Clause */
/* Last come, first served; but a vCPU that has waited for long runs at once. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define SLICE 5000000UL		/* ns */
#define PATIENCE 100000000UL

/* Words of a CPU's priv: queue_add() and the like keep the queue in the first two. */
enum { QUEUE };

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why __unused)
{
	queue_add(&c->priv[QUEUE], v);
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(&c->priv[QUEUE], v);
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v = queue_first(&c->priv[QUEUE]);

	*slice = SLICE;
	if (!v)
		return NULL;
	/* The first has waited longest. */
	if (policy_now() < v->since + PATIENCE)
		while (queue_next(v))
			v = queue_next(v);
	queue_remove(&c->priv[QUEUE], v);
	return v;
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
};

const struct policy_module policy_module = {
	.name = "lifo",
	.summary = "last come, first served, but nobody waits for long",
	.sched = &sched,
};
