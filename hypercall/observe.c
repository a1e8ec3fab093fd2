/* SPDX-License-Identifier: BSD-2-Clause */
/* Observation for control domains: counters, and control of the trace and its rings. */

#include "hypercall_priv.h"

struct copying {
	gvaddr_t to;
	u32 max, nr;
	bool failed;
};

static void copy_counter(void *to, const char *group, const char *name, u32 sub, u64 value)
{
	struct copying *c = to;
	struct margay_counter e = { .sub = sub, .value = value };

	strcopy(e.group, group, sizeof(e.group));
	strcopy(e.name, name, sizeof(e.name));
	if (c->nr < c->max && guest_write(c->to, c->nr, &e))
		c->failed = true;
	c->nr++;
}

static u32 next_domain(u32 after)
{
	u32 best = MARGAY_NONE;
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		if ((after == MARGAY_STAT_MACHINE || d->id > after) &&
		    (d->state == DOM_RUNNING || d->state == DOM_SHUTDOWN))
			best = min(best, (u32)d->id);
	return best;
}

/* d NULL: the machine. */
static long copy_counters(struct domain *d, u32 i, struct copying *c)
{
	struct vcpu *v = d ? domain_vcpu(d, i) : NULL;

	if (i == MARGAY_STAT_WHOLE && d)
		counters_of_domain(d, copy_counter, c);
	else if (i == MARGAY_STAT_WHOLE)
		counters_of_machine(copy_counter, c);
	else if (v)
		counters_of_vcpu(v, copy_counter, c);
	else if (!d && i < nr_cpus)
		counters_of_cpu(cpus[index_nospec(i, MAX_CPUS)], copy_counter, c);
	else
		return -ENOENT;
	return c->failed ? -EFAULT : 0;
}

long margay_stat(struct vcpu *v, struct margay_op *op)
{
	struct copying c = { .to = op->u.stat.counters, .max = op->u.stat.max };
	u32 id = op->u.stat.domain;
	struct domain *d puts_domain = NULL;
	long rc = id == MARGAY_STAT_MACHINE ? 0 : hcall_domain(v, (domid_t)id, &d);

	if (rc)
		return rc;
	rc = copy_counters(d, op->u.stat.index, &c);
	if (d) {
		id = d->id;
		strcopy(op->name, d->name, sizeof(op->name));
	}
	op->u.stat.domain = id;
	op->u.stat.nr = c.nr;
	op->u.stat.next = next_domain(id);
	return rc;
}

long margay_trace(struct margay_op *op)
{
	u32 i = op->u.ring.cpu, was = cpus[0]->trace;
	const struct cpu *c;

	if (op->cmd == MARGAY_TRACE) {
		long rc = trace_set(op->u.trace.events, op->u.trace.pages);

		op->u.trace.events = was;
		return rc;
	}
	c = i < nr_cpus ? cpus[index_nospec(i, MAX_CPUS)] : NULL;
	if (!c || !c->ring)
		return -ENOENT;
	op->u.ring.pages = 1 + (u32)(c->ring->records * sizeof(struct margay_trace) / PAGE_SIZE);
	op->u.ring.frame = virt_to_mfn(c->ring);
	return 0;
}
