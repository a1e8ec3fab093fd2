/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's calls to a policy module. Each answer is checked against the core's own state,
 * and a wrong one ejects the module. Functions that take c, except policy_idle(), are called with
 * the lock of c's run queue.
 */
#include <margay/hold.h>
#include <margay/policy_registry.h>

#define SLICE_MIN 100000UL
#define SLICE_MAX (POLICY_STARVE_NS / 4)
#define PASSED_OVER_MAX 8

void policy_enqueue(struct cpu *c, struct vcpu *v, enum policy_why why)
{
	struct policy *p = policy_of(c, POINT_SCHED);

	if (!p)
		return;
	if (v->policy_serial != p->serial) {
		v->policy_serial = p->serial;
		memset(v->view.priv, 0, sizeof(v->view.priv));
		why = POLICY_MOVED;
	}
	v->view.runtime = v->runstate.time[RUNSTATE_running];
	policy_do(p, FN_ENQUEUE, (u64)&c->view, (u64)&v->view, why, 0);
}

void policy_dequeue(struct cpu *c, struct vcpu *v)
{
	struct policy *p = policy_of(c, POINT_SCHED);

	if (p)
		policy_do(p, FN_DEQUEUE, (u64)&c->view, (u64)&v->view, 0, 0);
}

void policy_do_charge(struct policy *p, struct cpu *c, struct vcpu *v)
{
	/* A vCPU that was picked before a swap is not charged to this policy. */
	if (v->policy_serial == p->serial)
		policy_do(p, FN_CHARGE, (u64)&c->view, (u64)&v->view, now() - v->view.since, 0);
}

bool policy_preempts(struct cpu *c, struct vcpu *v)
{
	struct policy *p = c->current ? policy_asks(c, FN_PREEMPTS) : NULL;

	/* This policy has no state for a vCPU that another policy scheduled. */
	return p && c->current->policy_serial == p->serial &&
	       policy_do(p, FN_PREEMPTS, (u64)&c->view, (u64)&v->view, (u64)&c->current->view, 0) &
		       1;
}

/* Ejects the policy if it passed over the longest-waiting vCPU too often and for too long. */
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
	struct vcpu *first = list_first(&c->runq.queue, struct vcpu, runq_link), *v = first;
	struct policy *p = policy_of(c, POINT_SCHED);
	u64 answer;

	if (!p)
		return NULL;
	c->view.first = &first->view;
	answer = policy_do(p, FN_PICK, (u64)&c->view, (u64)slice, 0, 0);
	if (likely(answer == (u64)&first->view)) {
		c->passed_over = 0;
	} else {
		v = answer ? check_pick(c, p, answer) : NULL;
		if (p->ejected || starves(c, p, first))
			return NULL;
	}
	if (unlikely(*slice - SLICE_MIN > SLICE_MAX - SLICE_MIN) &&
	    !(*slice == POLICY_FOREVER && v && c->view.nr_queued == 1))
		*slice = *slice < SLICE_MIN ? SLICE_MIN : SLICE_MAX;
	return v;
}

struct cpu *policy_do_place(struct policy *p, struct vcpu *v, const struct cpu_set *idle)
{
	struct cpu_set preferred = { 0 };
	u64 some = 0;
	u32 cpu;

	for (u32 i = 0; i < ARRAY_SIZE(idle->bits); i++)
		some |= preferred.bits[i] = idle->bits[i] & v->allowed.bits[i] &
					    v->soft_affinity.bits[i];
	if (some)
		idle = &preferred;
	if (v->policy_serial != p->serial)	/* new to the policy: enqueue will set the serial */
		memset(v->view.priv, 0, sizeof(v->view.priv));
	v->view.runtime = v->runstate.time[RUNSTATE_running];
	cpu = (u32)policy_do(p, FN_PLACE, (u64)&v->view, (u64)idle->bits, 0, 0);
	if (cpu >= nr_cpus || !cpu_set_has(&v->allowed, cpu))
		policy_eject(p, "place", "%s vcpu %u may not run on CPU %u", v->domain->name, v->id,
			     cpu);
	return p->ejected ? NULL : cpus[cpu];
}

/* Polls for work for ns without halting, with windows for interrupts. */
static void poll_for_work(struct cpu *c, u64 ns)
{
	stime_t end = now() + ns;

	while (!READ_ONCE(c->work) && now() < end) {
		arch_poll_irqs();
		hold_look();
		cpu_relax();
	}
}

void policy_idle(struct cpu *c, u64 slept)
{
	struct policy *p = policy_of(c, POINT_IDLE);
	enum idle_how how;

	if (likely(!p)) {
		arch_idle();
		return;
	}
	c->policy_answer = 0;
	how = policy_do(p, FN_IDLE, (u64)&c->view, slept, (u64)&c->policy_answer, 0);
	if (how != IDLE_POLL && how != IDLE_HALT)
		policy_eject(p, "idle", "%u is not a way to idle", how);
	if (how == IDLE_POLL)
		poll_for_work(c, min(c->policy_answer, 1000000UL));
	else
		arch_idle();
}

/*
 * Reports the exits since the last call, which the counters show. The run loops only count exits,
 * so observation costs nothing where no policy is selected.
 */
bool policy_exit(struct vcpu *v)
{
	struct cpu *c = this_cpu();
	struct policy *p = policy_of(c, POINT_EXIT);

	if (!p)
		return false;
	for (u32 i = 0; i < NR_EXITS; i++)
		for (; v->exits_seen[i] != v->exits[i]; v->exits_seen[i]++) {
			if (p->ejected)
				return false;
			policy_do(p, FN_EXIT, (u64)&c->view, (u64)&v->view, i, 0);
		}
	return true;
}

void policy_observe(struct vcpu *v)
{
	if (v->waiting_window & VCPU_WORK_OBSERVE)
		return;
	memcpy(v->exits_seen, v->exits, sizeof(v->exits));
	atomic_or(&v->pending, VCPU_WORK_OBSERVE);
}
