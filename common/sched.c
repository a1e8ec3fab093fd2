/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's core: states of vCPUs, a run queue per CPU, round robin with a time slice that is timed
 * only while somebody waits. A CPU keeps the registers of the last vCPU it ran (cpu->loaded) until it
 * runs another or that one is stopped, so that a short sleep costs no save and restore; such a vCPU wakes
 * where its registers are. v->cpu and v->state change under the lock of v->cpu's run queue.
 */
#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/hypercall.h>
#include <margay/printk.h>
#include <margay/sched.h>
#include <margay/smp.h>

static u64 idle_cpus[MAX_CPUS / 64];

static struct cpu *lock_vcpu(struct vcpu *v)
{
	for (;;) {
		struct cpu *c = READ_ONCE(v->cpu);

		spin_lock(&c->runq.lock);
		if (v->cpu == c)
			return c;
		spin_unlock(&c->runq.lock);
	}
}

static void set_runstate(struct vcpu *v, int state)
{
	stime_t t = now();

	v->runstate.time[v->runstate.state] += t - v->runstate.state_entry_time;
	v->runstate.state = state;
	v->runstate.state_entry_time = t;
}

void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out)
{
	struct cpu *c = lock_vcpu(v);

	*out = v->runstate;
	out->time[out->state] += now() - out->state_entry_time;
	spin_unlock(&c->runq.lock);
}

static bool queued(const struct vcpu *v)
{
	return !list_empty(&v->runq_link);
}

static void enqueue(struct cpu *c, struct vcpu *v)
{
	list_add_tail(&v->runq_link, &c->runq.queue);
	c->runq.nr_queued++;
}

static void dequeue(struct cpu *c, struct vcpu *v)
{
	list_del(&v->runq_link);
	c->runq.nr_queued--;
}

static bool may_run_on(const struct vcpu *v, const struct cpu *c)
{
	return test_bit(c->id, v->affinity);
}

/* An idle CPU, the old one and its node preferred; else the old one, or the least queued allowed. */
static struct cpu *place(struct vcpu *v)
{
	struct cpu *best = NULL;
	unsigned i;

	if (v->on_cpu)
		return v->cpu;
	if (may_run_on(v, v->cpu) && test_bit(v->cpu->id, idle_cpus))
		return v->cpu;
	for_each_bit(i, idle_cpus, nr_cpus) {
		if (!test_bit(i, v->affinity))
			continue;
		if (!best || (cpus[i]->node == v->cpu->node && best->node != v->cpu->node))
			best = cpus[i];
	}
	if (best)
		return best;
	if (may_run_on(v, v->cpu))
		return v->cpu;
	for_each_bit(i, v->affinity, nr_cpus)
		if (!best || cpus[i]->runq.nr_queued < best->runq.nr_queued)
			best = cpus[i];
	return best ? best : v->cpu;
}

/* v became runnable; its CPU's queue is locked, and unlocked here. Finds it a CPU and tells that one. */
static void put_runnable(struct cpu *c, struct vcpu *v)
{
	struct cpu *to = place(v);

	if (to != c) {
		v->cpu = to;
		spin_unlock(&c->runq.lock);
		to = lock_vcpu(v);
		c = to;
	}
	if (v->state == RUN_RUNNABLE && !v->pause_count && !queued(v) && c->current != v) {
		enqueue(c, v);
		/* Taken: the next one that wakes finds another idle CPU. */
		clear_bit(c->id, idle_cpus);
		spin_unlock(&c->runq.lock);
		cpu_raise(c, CPU_WORK_RESCHED);
		return;
	}
	spin_unlock(&c->runq.lock);
}

/* v, asleep or off, runs again. Its CPU's queue is locked, and unlocked here. */
static void resume(struct cpu *c, struct vcpu *v)
{
	if (c->current == v) {	/* still on its way out: it just stays */
		v->state = RUN_RUNNING;
		spin_unlock(&c->runq.lock);
		return;
	}
	v->state = RUN_RUNNABLE;
	set_runstate(v, RUNSTATE_runnable);
	put_runnable(c, v);
}

void vcpu_wake(struct vcpu *v)
{
	struct cpu *c;

	if (READ_ONCE(v->state) != RUN_BLOCKED)
		return;
	c = lock_vcpu(v);
	if (v->state != RUN_BLOCKED) {
		spin_unlock(&c->runq.lock);
		return;
	}
	/* A sleep with interrupts off ends by an NMI or INIT, not by any event. */
	if (v->halted && !vcpu_has_work(v)) {
		spin_unlock(&c->runq.lock);
		return;
	}
	v->wakeups++;
	v->halted = false;
	resume(c, v);
}

bool vcpu_has_work(struct vcpu *v)
{
	return arch_vcpu_has_interrupt(v);
}

void vcpu_block(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	/* Taken down by another meanwhile: it stays so. */
	if (v->state == RUN_RUNNING)
		v->state = RUN_BLOCKED;
	spin_unlock(&c->runq.lock);
	smp_mb();
	/* Whoever posts from now on wakes; what was posted before is seen here. */
	if (vcpu_has_work(v))
		vcpu_wake(v);
	else
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_yield(struct vcpu *v)
{
	if (!v->cpu->runq.nr_queued)
		return;
	v->slice_end = 0;
	cpu_raise(v->cpu, CPU_WORK_RESCHED);
}

static void unload(struct cpu *c)
{
	struct vcpu *v = c->loaded;

	if (!v)
		return;
	arch_vcpu_save(v);
	c->loaded = NULL;
	atomic_store(&v->on_cpu, false);
}

void vcpu_pause_nosync(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	v->pause_count++;
	if (queued(v))
		dequeue(c, v);
	atomic_or(&v->work, VCPU_WORK_STOP);
	spin_unlock(&c->runq.lock);
	if (v->on_cpu)
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_pause(struct vcpu *v)
{
	struct cpu *self = this_cpu();

	vcpu_pause_nosync(v);
	/* Asleep with its registers in this very CPU: nobody else can take them out. */
	spin_lock(&self->runq.lock);
	if (self->loaded == v && self->current != v)
		unload(self);
	spin_unlock(&self->runq.lock);
	while (READ_ONCE(v->on_cpu))
		cpu_relax();
}

void vcpu_unpause(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	if (--v->pause_count == 0 && v->state == RUN_RUNNABLE)
		put_runnable(c, v);
	else
		spin_unlock(&c->runq.lock);
}

void vcpu_up(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	if (v->state != RUN_OFFLINE) {
		spin_unlock(&c->runq.lock);
		return;
	}
	v->halted = false;
	resume(c, v);
}

void vcpu_down(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	v->state = RUN_OFFLINE;
	if (queued(v))
		dequeue(c, v);
	if (c->current != v)
		set_runstate(v, RUNSTATE_offline);
	spin_unlock(&c->runq.lock);
	if (v->on_cpu)
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_set_affinity(struct vcpu *v, const u64 *mask)
{
	struct cpu *c;

	if (find_next_bit(mask, nr_cpus, 0) >= nr_cpus)
		return;
	c = lock_vcpu(v);
	memcpy(v->affinity, mask, sizeof(v->affinity));
	if (queued(v) && !may_run_on(v, c)) {
		dequeue(c, v);
		put_runnable(c, v);
		return;
	}
	spin_unlock(&c->runq.lock);
	if (v->on_cpu)
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_kick(struct vcpu *v)
{
	if (READ_ONCE(v->in_guest) && v->cpu != this_cpu())
		arch_cpu_kick(v->cpu);
}

void vcpu_post(struct vcpu *v, u32 work)
{
	atomic_or(&v->work, work);
	vcpu_kick(v);
}

/* Takes a waiting vCPU from another CPU's queue for this one, which has none. */
static struct vcpu *steal(struct cpu *self)
{
	for (unsigned i = 1; i < nr_cpus; i++) {
		struct cpu *c = cpus[(self->id + i) % nr_cpus];
		struct vcpu *v;

		if (!READ_ONCE(c->runq.nr_queued))
			continue;
		spin_lock(&c->runq.lock);
		list_for_each(v, &c->runq.queue, runq_link) {
			if (v->on_cpu || !may_run_on(v, self))
				continue;
			dequeue(c, v);
			v->cpu = self;
			spin_unlock(&c->runq.lock);
			return v;
		}
		spin_unlock(&c->runq.lock);
	}
	return NULL;
}

/* The running vCPU leaves this CPU or not: by its state, the others waiting and its slice. Locked. */
static bool keep_running(struct cpu *c, struct vcpu *v)
{
	stime_t t;

	if (v->state != RUN_RUNNING || v->pause_count || !may_run_on(v, c))
		return false;
	if (list_empty(&c->runq.queue))
		return true;
	t = now();
	if (t >= v->slice_end)
		return false;
	if (!timer_armed(&c->slice))
		timer_set(&c->slice, v->slice_end);
	return true;
}

static void retire(struct cpu *c, struct vcpu *v)
{
	if (v->state == RUN_RUNNING) {
		v->state = RUN_RUNNABLE;
		set_runstate(v, RUNSTATE_runnable);
	} else {
		set_runstate(v, v->state == RUN_OFFLINE ? RUNSTATE_offline : RUNSTATE_blocked);
	}
	c->current = NULL;
}

static bool must_unload(const struct cpu *c)
{
	const struct vcpu *v = c->loaded;

	return v->pause_count || v->state == RUN_OFFLINE || !may_run_on(v, c);
}

/* The first in the queue that may run here. Locked. */
static struct vcpu *pick(struct cpu *c)
{
	struct vcpu *v;

	list_for_each(v, &c->runq.queue, runq_link)
		if (may_run_on(v, c)) {
			dequeue(c, v);
			return v;
		}
	return NULL;
}

/*
 * Those that woke or were preempted here but may not run here (any more) go elsewhere. None of them is
 * loaded: place() finds them another CPU. Locked, but opened in between.
 */
static void move_misplaced(struct cpu *c)
{
	struct vcpu *v;

	list_for_each(v, &c->runq.queue, runq_link) {
		if (may_run_on(v, c))
			continue;
		dequeue(c, v);
		put_runnable(c, v);
		spin_lock(&c->runq.lock);
		v = list_entry(&c->runq.queue, struct vcpu, runq_link);	/* from the start */
	}
}

/* Somebody still waits here: an idle CPU that may run it is told to look. Locked. */
static void offer(struct cpu *c)
{
	const struct vcpu *v = list_first(&c->runq.queue, struct vcpu, runq_link);
	unsigned i;

	for_each_bit(i, idle_cpus, nr_cpus)
		if (test_bit(i, v->affinity)) {
			clear_bit(i, idle_cpus);
			cpu_raise(cpus[i], CPU_WORK_RESCHED);
			return;
		}
}

/* Chooses this CPU's next vCPU and makes it current; NULL: nothing to run, or look again. */
static struct vcpu *schedule(struct cpu *c)
{
	struct vcpu *prev = c->current, *v;

	spin_lock(&c->runq.lock);
	if (prev) {
		if (keep_running(c, prev)) {
			spin_unlock(&c->runq.lock);
			return prev;
		}
		retire(c, prev);
		if (prev->state == RUN_RUNNABLE && !prev->pause_count)
			enqueue(c, prev);
	}
	v = pick(c);
	if (c->loaded && c->loaded != v && (v || must_unload(c)))
		unload(c);
	move_misplaced(c);
	if (!v) {
		spin_unlock(&c->runq.lock);
		v = steal(c);
		if (!v)
			return NULL;
		spin_lock(&c->runq.lock);
	}
	/* The lock was open: it is ours to run only if nobody stopped or moved it. */
	if (v->state != RUN_RUNNABLE || v->pause_count || queued(v) || v->cpu != c) {
		spin_unlock(&c->runq.lock);
		return NULL;
	}
	if (!may_run_on(v, c)) {
		put_runnable(c, v);
		return NULL;
	}
	if (c->loaded != v)
		unload(c);
	v->on_cpu = true;
	v->state = RUN_RUNNING;
	set_runstate(v, RUNSTATE_running);
	v->slice_end = now() + opt.sched_slice * 1000UL;
	if (!list_empty(&c->runq.queue)) {
		timer_set(&c->slice, v->slice_end);
		offer(c);
	}
	c->current = v;
	spin_unlock(&c->runq.lock);
	return v;
}

static void run_current(struct cpu *c, struct vcpu *v)
{
	if (c->loaded != v) {
		arch_vcpu_load(v);
		c->loaded = v;
		c->stats.switches++;
	}
	atomic_and(&v->work, ~(u32)VCPU_WORK_STOP);
	if (READ_ONCE(v->pause_count)) {	/* stopped between the choice and here */
		atomic_or(&c->work, CPU_WORK_RESCHED);
		return;
	}
	if (v->runstate_area.va)
		runstate_update(v);
	arch_vcpu_run(v);
}

static void do_work(struct cpu *c)
{
	u32 work = atomic_xchg(&c->work, 0);

	if (work & CPU_WORK_CALL)
		cpu_do_call(c);
	if (work & CPU_WORK_TIMER)
		timers_run();
	if (work & CPU_WORK_CONSOLE)
		console_work();
	if (work & CPU_WORK_REAP)
		domains_reap();
}

void sched_loop(void)
{
	struct cpu *c = this_cpu();

	for (;;) {
		struct vcpu *v;

		c->rounds++;
		while (READ_ONCE(c->work))
			do_work(c);
		v = schedule(c);
		if (v) {
			run_current(c, v);
			continue;
		}
		set_bit(c->id, idle_cpus);
		/* Who queues something after this sees the idle bit or is seen here. */
		if (!READ_ONCE(c->runq.nr_queued))
			arch_idle();
		clear_bit(c->id, idle_cpus);
	}
}

static void slice_end(struct timer *t __unused)
{
	atomic_or(&this_cpu()->work, CPU_WORK_RESCHED);
}

void __init sched_init_cpu(struct cpu *c)
{
	spin_init(&c->runq.lock, LOCK_RUNQ);
	list_init(&c->runq.queue);
	timers_init_cpu(&c->timers);
	timer_init(&c->slice, slice_end);
}
