/* SPDX-License-Identifier: BSD-2-Clause */
/* Starves one vCPU: the head of its queue. */
#include "hostile.h"

static struct policy_vcpu *pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v = queue_first(c->priv);

	if (!due() || !v || !queue_next(v))
		return fair_pick(c, slice);
	v = queue_next(v);
	queue_remove(c->priv, v);
	*slice = SLICE;
	return v;
}

HOSTILE("unfair", "lets one vCPU wait for ever")
