/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An example of a policy built outside of Margay's tree, with only the installed headers: `make`
 * here builds lottery.mod. It draws one of the vCPUs that wait on a CPU by lot (Waldspurger and
 * Weihl, 1994). So each gets its share in the long run, and a guest cannot predict when. Since
 * draws can fail many times in a row, no vCPU waits longer than LONGEST_WAIT.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define SLICE 5000000UL		/* ns */
#define LONGEST_WAIT 500000000UL

enum { QUEUE, WAITING = 2, RANDOM };	/* words of a CPU's priv */

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	(void)why;
	queue_add(&c->priv[QUEUE], v);
	c->priv[WAITING]++;
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(&c->priv[QUEUE], v);
	c->priv[WAITING]--;
}

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v = queue_first(&c->priv[QUEUE]);
	u64 draw;

	*slice = SLICE;
	if (!v)
		return NULL;
	c->priv[RANDOM] = c->priv[RANDOM] * 6364136223846793005UL + (policy_now() | 1);
	draw = (c->priv[RANDOM] >> 33) % c->priv[WAITING];
	if (policy_now() - v->since < LONGEST_WAIT)
		while (draw--)
			v = queue_next(v);
	dequeue(c, v);
	return v;
}

static const struct sched_policy sched = {
	.enqueue = enqueue,
	.dequeue = dequeue,
	.pick = pick,
	.balance = true,
};

const struct policy_module policy_module = {
	.name = "lottery",
	.summary = "a random one of the waiting vCPUs",
	.sched = &sched,
};
