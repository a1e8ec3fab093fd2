/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the scheduler asks a policy module, and what it does with the answers: each is checked against the
 * core's own truth, and a wrong one ejects the module. c's queue is locked, by the caller, in all that
 * names c but policy_idle().
 */
#include <margay/arch.h>
#include <margay/exit.h>
#include <margay/policies.h>
#include <margay/sched.h>

#define SLICE_MIN 100000UL
#define SLICE_MAX (POLICY_STARVE_NS / 4)
#define PASSED_OVER_MAX 8

static bool asks(const struct cpu *c, struct policy **p, const struct sched_policy **ops)
{
	*p = policy_of(c, POINT_SCHED);
	if (!*p)
		return false;
	*ops = (*p)->mod.desc->sched;
	return true;
}

static void show(const struct cpu *c, struct vcpu *v)
{
	v->view.cpu = c->id;
	v->view.since = v->runstate.state_entry_time;
	v->view.runtime = v->runstate.time[RUNSTATE_running];
}

void policy_enqueue(struct cpu *c, struct vcpu *v, enum policy_why why)
{
	const struct sched_policy *ops;
	struct policy *p;

	if (!asks(c, &p, &ops))
		return;
	if (v->policy_serial != p->serial) {
		v->policy_serial = p->serial;
		memset(v->view.priv, 0, sizeof(v->view.priv));
		why = POLICY_MOVED;
	}
	show(c, v);
	policy_do(p, "enqueue", ops->enqueue, (u64)&c->view, (u64)&v->view, why, 0);
}

void policy_dequeue(struct cpu *c, struct vcpu *v)
{
	const struct sched_policy *ops;
	struct policy *p;

	if (!asks(c, &p, &ops))
		return;
	policy_do(p, "dequeue", ops->dequeue, (u64)&c->view, (u64)&v->view, 0, 0);
}

void policy_charge(struct cpu *c, struct vcpu *v)
{
	const struct sched_policy *ops;
	struct policy *p;

	/* One that ran before a swap is not this policy's to charge. */
	if (asks(c, &p, &ops) && ops->charge && v->policy_serial == p->serial)
		policy_do(p, "charge", ops->charge, (u64)&c->view, (u64)&v->view,
			  now() - v->view.since, 0);
}

bool policy_preempts(struct cpu *c, struct vcpu *v)
{
	const struct sched_policy *ops;
	struct policy *p;
	struct policy_ret r;

	if (!c->current || !asks(c, &p, &ops) || !ops->preempts)
		return false;
	r = policy_do(p, "preempts", ops->preempts, (u64)&c->view, (u64)&v->view,
		      (u64)&c->current->view, 0);
	return !r.failed && (r.value & 1);
}

/* The one that has waited longest was passed over once more: that may not go on for ever. */
static bool starves(struct cpu *c, struct policy *p, const struct vcpu *first)
{
	u64 waited = now() - first->view.since;

	if (++c->passed_over < PASSED_OVER_MAX || waited < POLICY_STARVE_NS)
		return false;
	policy_eject(p, "pick", "%s vcpu %u has waited for %lu ms", first->domain->name, first->id,
		     waited / 1000000);
	return true;
}

static struct vcpu *check_pick(struct cpu *c, struct policy *p, u64 answer)
{
	struct vcpu *v;

	list_for_each(v, &c->runq.queue, runq_link)
		if ((u64)&v->view == answer)
			return v;
	policy_eject(p, "pick", "%#lx is not a vCPU that waits on CPU %u", answer, c->id);
	return NULL;
}

struct vcpu *policy_pick(struct cpu *c, u64 *slice)
{
	struct vcpu *first = list_first(&c->runq.queue, struct vcpu, runq_link), *v = NULL;
	const struct sched_policy *ops;
	struct policy_ret r;
	struct policy *p;

	if (!asks(c, &p, &ops))
		return NULL;
	c->policy_answer = 0;
	r = policy_do(p, "pick", ops->pick, (u64)&c->view, (u64)&c->policy_answer, 0, 0);
	if (r.failed)
		return NULL;
	if (r.value) {
		v = check_pick(c, p, r.value);
		if (!v)
			return NULL;
	}
	if (v == first)
		c->passed_over = 0;
	else if (starves(c, p, first))
		return NULL;
	*slice = max(c->policy_answer, SLICE_MIN);
	*slice = min(*slice, SLICE_MAX);
	if (c->policy_answer == POLICY_FOREVER && v && c->view.nr_queued == 1)
		*slice = POLICY_FOREVER;
	return v;
}

struct cpu *policy_place(struct cpu *c, struct vcpu *v, const u64 *idle)
{
	const struct sched_policy *ops;
	struct policy_ret r;
	struct policy *p;
	u32 cpu;

	if (!asks(c, &p, &ops) || !ops->place)
		return NULL;
	show(c, v);
	r = policy_do(p, "place", ops->place, (u64)&v->view, (u64)idle, 0, 0);
	cpu = (u32)r.value;
	if (r.failed)
		return NULL;
	if (cpu < nr_cpus && test_bit(cpu, v->affinity))
		return cpus[cpu];
	policy_eject(p, "place", "%s vcpu %u may not run on CPU %u", v->domain->name, v->id, cpu);
	return NULL;
}

/* Looks for work for ns without halting; interrupts are let in all the time. */
static void poll(struct cpu *c, u64 ns)
{
	stime_t end = now() + ns;

	while (!READ_ONCE(c->work) && now() < end) {
		arch_poll_irqs();
		cpu_relax();
	}
}

void policy_idle(struct cpu *c, u64 slept)
{
	struct policy *p = policy_of(c, POINT_IDLE);
	struct policy_ret r;

	if (likely(!p) || !policy_announce(&c->policy[POINT_IDLE], p)) {
		arch_idle();
		return;
	}
	c->policy_answer = 0;
	r = policy_do(p, "idle", p->mod.desc->idle->idle, (u64)&c->view, slept,
		      (u64)&c->policy_answer, 0);
	if (!r.failed && (u32)r.value == IDLE_POLL)
		poll(c, min(c->policy_answer, 1000000UL));
	else if (!r.failed && (u32)r.value != IDLE_HALT)
		policy_eject(p, "idle", "%u is no way to be idle", (u32)r.value);
	else
		arch_idle();
}

/*
 * The run loops only count exits; which ones came since the last time is seen from the counters. So
 * observing costs nothing where no policy is selected.
 */
bool policy_exit(struct vcpu *v)
{
	struct cpu *c = this_cpu();
	struct policy *p = policy_of(c, POINT_EXIT);

	if (!p)
		return false;
	for (u32 i = 0; i < NR_EXITS; i++)
		for (; v->exits_seen[i] != v->exits[i]; v->exits_seen[i]++) {
			if (!policy_announce(&c->policy[POINT_EXIT], p))
				return false;
			policy_do(p, "exit", p->mod.desc->exit->exit, (u64)&c->view, (u64)&v->view,
				  i, 0);
		}
	return true;
}

void policy_observe(struct vcpu *v)
{
	if (v->deferred & VCPU_WORK_OBSERVE)
		return;
	memcpy(v->exits_seen, v->exits, NR_EXITS * sizeof(*v->exits));
	atomic_or(&v->work, VCPU_WORK_OBSERVE);
}
