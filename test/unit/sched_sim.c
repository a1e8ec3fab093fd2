/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated machine of sched_sim.h. Handles events by time; calls policies like the core. */
#include "host.h"

#include <public/policy.h>

#include "sched_sim.h"

struct sim sim;
static const struct policy_module *policy_of[SIM_CPUS];
static u64 random_state = 1, turns;

void sim_seed(u64 seed)
{
	random_state = seed * 2 + 1;
}

u64 sim_random(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

u64 policy_now(void)
{
	return sim.now;
}

void policy_resched(u32 cpu)
{
	assert_true(cpu < sim.nr_cpus);
	sim.cpu[cpu].resched = true;
}

void policy_log(const char *text)
{
	(void)text;
}

static const struct sched_policy *ops(const struct sim_cpu *c)
{
	return policy_of[c->view.id]->sched;
}

static void enqueue(struct sim_cpu *c, struct sim_vcpu *v, enum policy_why why)
{
	assert_int_not_equal(v->state, SIM_QUEUED);
	v->state = SIM_QUEUED;
	v->view.cpu = c->view.id;
	v->view.since = sim.now;
	v->turn = ++turns;
	c->view.nr_queued++;
	ops(c)->enqueue(&c->view, &v->view, why);
}

/* Takes the current vCPU off the CPU; runnable means that it would continue. */
static void retire(struct sim_cpu *c, bool runnable)
{
	struct sim_vcpu *v = c->current;
	u64 ns = sim.now - c->began;

	c->current = NULL;
	v->ran += ns;
	v->left -= v->sleep ? ns : 0;
	v->view.runtime += ns;
	v->state = SIM_ASLEEP;
	if (ops(c)->charge)
		ops(c)->charge(&c->view, &v->view, ns);
	if (runnable)
		enqueue(c, v, POLICY_PREEMPTED);
}

static void take(struct sim_cpu *c, struct sim_vcpu *v)
{
	assert_int_equal(v->state, SIM_QUEUED);
	c->view.nr_queued--;
	v->longest_wait = sim.now - v->view.since > v->longest_wait ? sim.now - v->view.since :
								      v->longest_wait;
}

static bool steal(struct sim_cpu *c)
{
	for (u32 i = 0; i < sim.nr_vcpus; i++) {
		struct sim_vcpu *v = &sim.vcpu[i];
		struct sim_cpu *from = &sim.cpu[v->view.cpu];

		if (v->state != SIM_QUEUED || from == c || !ops(from)->balance ||
		    !(v->affinity[0] >> c->view.id & 1))
			continue;
		sim_move(v, c->view.id);
		return true;
	}
	return false;
}

/* Returns the vCPU that has waited longest on c. */
static struct policy_vcpu *first(const struct sim_cpu *c)
{
	struct sim_vcpu *best = NULL;

	for (struct sim_vcpu *v = sim.vcpu; v < sim.vcpu + sim.nr_vcpus; v++)
		if (v->state == SIM_QUEUED && v->view.cpu == c->view.id &&
		    (!best || v->turn < best->turn))
			best = v;
	return best ? &best->view : NULL;
}

static void schedule(struct sim_cpu *c)
{
	struct policy_vcpu *answer;
	struct sim_vcpu *v;
	u64 slice = 0;

	c->resched = false;
	if (c->current)
		retire(c, true);
	if (!c->view.nr_queued)
		steal(c);
	c->view.first = first(c);
	answer = ops(c)->pick(&c->view, &slice);
	sim.picks++;
	c->began = sim.now;
	c->until = slice > POLICY_FOREVER - sim.now - sim.late ?
			   POLICY_FOREVER :
			   sim.now + slice + (sim.late ? sim_random(sim.late) : 0);
	c->resched = false;
	if (!answer)
		return;
	assert_true(slice > 0);
	v = (struct sim_vcpu *)answer;
	assert_true(v >= sim.vcpu && v < sim.vcpu + sim.nr_vcpus);
	assert_int_equal(v->view.cpu, c->view.id);
	take(c, v);
	v->state = SIM_RUNNING;
	v->view.since = sim.now;
	v->picks++;
	c->current = v;
}

static void wake(struct sim_vcpu *v)
{
	u64 idle[POLICY_MAX_CPUS / 64] = { 0 };
	u32 to = v->view.cpu;
	struct sim_cpu *c;

	for (u32 i = 0; i < sim.nr_cpus; i++)
		if (!sim.cpu[i].current && !sim.cpu[i].view.nr_queued)
			idle[0] |= 1UL << i;
	if (ops(&sim.cpu[to])->place)
		to = ops(&sim.cpu[to])->place(&v->view, idle);
	assert_true(to < sim.nr_cpus && v->affinity[0] >> to & 1);
	c = &sim.cpu[to];
	v->left = v->busy;
	enqueue(c, v, POLICY_WOKEN);
	if (!c->current ||
	    (ops(c)->preempts && ops(c)->preempts(&c->view, &v->view, &c->current->view)))
		c->resched = true;
}

void sim_move(struct sim_vcpu *v, u32 cpu)
{
	struct sim_cpu *c = &sim.cpu[v->view.cpu];

	assert_int_equal(v->state, SIM_QUEUED);
	ops(c)->dequeue(&c->view, &v->view);
	take(c, v);
	v->state = SIM_ASLEEP;
	enqueue(&sim.cpu[cpu], v, POLICY_MOVED);
	sim.cpu[cpu].resched |= !sim.cpu[cpu].current;
}

/*
 * Swaps policies like the core: hands waiting vCPUs over now, a running one when it is preempted.
 */
void sim_swap(u32 cpu, const struct policy_module *policy)
{
	struct sim_cpu *c = &sim.cpu[cpu];

	policy_of[cpu] = policy;
	memset(c->view.priv, 0, sizeof(c->view.priv));
	for (u32 i = 0; i < sim.nr_vcpus; i++) {
		struct sim_vcpu *v = &sim.vcpu[i];

		if (v->view.cpu != cpu)
			continue;
		memset(v->view.priv, 0, sizeof(v->view.priv));
		if (v->state == SIM_QUEUED)
			policy->sched->enqueue(&c->view, &v->view, POLICY_MOVED);
	}
	c->resched = true;
}

static u64 next_event(void)
{
	u64 next = POLICY_FOREVER;

	for (u32 i = 0; i < sim.nr_cpus; i++) {
		const struct sim_cpu *c = &sim.cpu[i];
		const struct sim_vcpu *v = c->current;

		if (c->until < next)
			next = c->until;
		if (v && v->sleep && c->began + v->left < next)
			next = c->began + v->left;
	}
	for (u32 i = 0; i < sim.nr_vcpus; i++)
		if (sim.vcpu[i].state == SIM_ASLEEP && sim.vcpu[i].wakes < next)
			next = sim.vcpu[i].wakes;
	return next;
}

static void do_events(void)
{
	for (u32 i = 0; i < sim.nr_cpus; i++) {
		struct sim_cpu *c = &sim.cpu[i];
		struct sim_vcpu *v = c->current;

		if (v && v->sleep && sim.now >= c->began + v->left) {
			v->wakes = sim.now + v->sleep;
			v->left = sim.now - c->began;
			retire(c, false);
			c->resched = true;
		}
		if (sim.now >= c->until)
			c->resched = true;
	}
	for (u32 i = 0; i < sim.nr_vcpus; i++)
		if (sim.vcpu[i].state == SIM_ASLEEP && sim.vcpu[i].wakes <= sim.now)
			wake(&sim.vcpu[i]);
	for (u32 i = 0; i < sim.nr_cpus; i++)
		if (sim.cpu[i].resched)
			schedule(&sim.cpu[i]);
}

/* Checks that every vCPU is in one place and that the CPUs' counts are right. */
static void check(void)
{
	u32 queued[SIM_CPUS] = { 0 }, running = 0;

	for (u32 i = 0; i < sim.nr_vcpus; i++) {
		const struct sim_vcpu *v = &sim.vcpu[i];

		if (v->state == SIM_QUEUED)
			queued[v->view.cpu]++;
		if (v->state == SIM_RUNNING) {
			running++;
			assert_ptr_equal(sim.cpu[v->view.cpu].current, v);
		}
	}
	for (u32 i = 0; i < sim.nr_cpus; i++) {
		assert_int_equal(queued[i], sim.cpu[i].view.nr_queued);
		running -= sim.cpu[i].current != NULL;
	}
	assert_int_equal(running, 0);
}

void sim_run(u64 until)
{
	u64 events = 0, next;

	for (;;) {
		do_events();
		check();
		next = next_event();
		for (u32 i = 0; i < sim.nr_cpus; i++)
			if (sim.cpu[i].resched)
				next = sim.now;
		assert_true(next >= sim.now && events++ < 10000000);
		if (next > until)
			next = until;
		if (sim.watch && next > sim.now)
			sim.watch(sim.now, next);
		sim.now = next;
		if (next == until)
			break;
	}
	/* Account running vCPUs as if they left now. */
	for (u32 i = 0; i < sim.nr_cpus && !sim.goes_on; i++) {
		struct sim_cpu *c = &sim.cpu[i];

		if (c->current)
			schedule(c);
	}
}

u64 sim_ran(u16 slot)
{
	u64 sum = 0;

	for (u32 i = 0; i < sim.nr_vcpus; i++)
		if (sim.vcpu[i].view.slot == slot)
			sum += sim.vcpu[i].ran;
	return sum;
}

void sim_forget(void)
{
	for (u32 i = 0; i < sim.nr_vcpus; i++)
		sim.vcpu[i].ran = sim.vcpu[i].longest_wait = sim.vcpu[i].picks = 0;
	sim.picks = 0;
}

void sim_init(const struct policy_module *policy, u32 nr_cpus)
{
	memset(&sim, 0, sizeof(sim));
	sim.policy = policy;
	sim.nr_cpus = nr_cpus;
	sim.now = 12345678;
	sim.late = 20000;
	sim_seed(1);
	for (u32 i = 0; i < nr_cpus; i++) {
		sim.cpu[i].view.id = i;
		sim.cpu[i].until = POLICY_FOREVER;
		policy_of[i] = policy;
	}
	/* Modules live as long as the program. Remove what earlier tests left. */
	for (u32 slot = 0; slot < POLICY_MAX_DOMAINS && policy->sched->domain_gone; slot++)
		policy->sched->domain_gone(slot);
	if (policy->start)
		assert_int_equal(policy->start(nr_cpus), 0);
}

struct sim_vcpu *sim_domain(u16 slot, u32 nr_vcpus, u64 busy, u64 sleep, u64 at)
{
	struct sim_vcpu *first = &sim.vcpu[sim.nr_vcpus];

	assert_true(sim.nr_vcpus + nr_vcpus <= SIM_VCPUS);
	for (u32 i = 0; i < nr_vcpus; i++) {
		struct sim_vcpu *v = &sim.vcpu[sim.nr_vcpus++];

		v->view = (struct policy_vcpu){ .domain = slot + 100, .slot = slot, .id = i,
						.nr_vcpus = nr_vcpus, .cpu = i % sim.nr_cpus,
						.affinity = v->affinity };
		memset(v->affinity, 0xff, sizeof(v->affinity));
		v->state = SIM_ASLEEP;
		v->busy = busy;
		v->sleep = sleep;
		v->wakes = sim.now + at;
	}
	return first;
}
