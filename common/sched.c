/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler core: vCPU states, a run queue per CPU, and round robin with a time slice that is
 * armed only while another vCPU waits. A CPU keeps the registers of the last vCPU it ran
 * (cpu->loaded) until it runs another one or that vCPU is stopped, so that a short sleep needs no
 * save and restore. Such a vCPU wakes on the CPU that holds its registers. The lock of v->cpu's run
 * queue protects v->cpu and v->state.
 */
#include <margay/boot_guest.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/isolate.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>
#include <margay/trace.h>

struct cpu_set owned_cpus;

static struct cpu_set idle_cpus;
static u32 nr_displaced;		/* CPUs whose vCPU prefers others */

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

static void set_runstate(struct vcpu *v, int state, stime_t t)
{
	v->runstate.time[v->runstate.state] += t - v->runstate.state_entry_time;
	v->runstate.state = state;
	v->runstate.state_entry_time = v->view.since = t;
}

/*
 * Changes v's run state and updates its registered area, which other vCPUs of the guest read.
 * Called at each switch to or from v, on the CPU that v enters or leaves.
 */
static void switch_runstate(struct vcpu *v, int state, stime_t t)
{
	set_runstate(v, state, t);
	if (v->runstate_area.va)
		runstate_update(v);
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

static void enqueue(struct cpu *c, struct vcpu *v, enum policy_why why)
{
	list_add_tail(&v->runq_link, &c->runq.queue);
	c->view.nr_queued++;
	policy_enqueue(c, v, why);
}

static void unqueue(struct cpu *c, struct vcpu *v)
{
	list_del(&v->runq_link);
	c->view.nr_queued--;
}

static void dequeue(struct cpu *c, struct vcpu *v)
{
	if (!queued(v))
		return;
	unqueue(c, v);
	policy_dequeue(c, v);
}

/* Assigns v to c. Called with the lock of v's old run queue, which v is not on. */
static void assign_cpu(struct vcpu *v, struct cpu *c)
{
	v->cpu = c;
	v->view.cpu = c->id;
	v->moved = true;
}

static bool may_run_on(const struct vcpu *v, const struct cpu *c)
{
	return cpu_set_has(&v->allowed, c->id);
}

/* Soft affinity: a preference among the CPUs on which v may run. */
static bool prefers(const struct vcpu *v, const struct cpu *c)
{
	return cpu_set_has(&v->soft_affinity, c->id);
}

/* Notes whether c runs a vCPU that prefers other CPUs. Called on c. */
static void set_displaced(struct cpu *c, bool is)
{
	if (unlikely(c->displaced != is)) {
		c->displaced = is;
		atomic_add(&nr_displaced, is ? 1 : ~0U);
	}
}

static bool core_idle(const struct cpu *c)
{
	const struct cpu *s = c;

	do {
		if (!cpu_set_has(&idle_cpus, s->id))
			return false;
		s = s->sibling;
	} while (s != c);
	return true;
}

/*
 * Returns how well the idle c suits v: 0 if v may not run there, at most 16. The soft affinity counts
 * most, then the node, an idle core, and v's old CPU.
 */
static unsigned suitability(const struct vcpu *v, const struct cpu *c)
{
	if (!may_run_on(v, c))
		return 0;
	return 1 + (c == v->cpu) + 2 * core_idle(c) + 4 * (c->node == v->cpu->node) +
	       8 * prefers(v, c);
}

/* Returns the idle CPU that suits v best, or NULL. */
static struct cpu *idle_cpu_for(const struct vcpu *v)
{
	struct cpu *best = NULL;
	unsigned i, most = 0;

	if (core_idle(v->cpu) && likely(prefers(v, v->cpu)))
		return v->cpu;
	for_each_cpu(i, &idle_cpus) {
		unsigned suits = suitability(v, cpus[i]);

		if (suits > most) {
			best = cpus[i];
			most = suits;
		}
		if (most == 15)	/* the best of all CPUs but the old one */
			break;
	}
	return best;
}

/* Chooses a CPU for v, which is on none: the policy's, else an idle one, else the old one. */
static struct cpu *place_vcpu(struct vcpu *v)
{
	struct cpu *to = policy_place(v->cpu, v, &idle_cpus);

	if (!to)
		to = idle_cpu_for(v);
	return to ? to : v->cpu;
}

/*
 * Queues the runnable v on c and kicks c, unless another CPU stopped or queued v while the lock was
 * dropped. Called with c's lock; drops it.
 */
static void queue_and_kick(struct cpu *c, struct vcpu *v, enum policy_why why)
{
	if (v->state == RUN_RUNNABLE && !v->holds && !queued(v)) {
		enqueue(c, v, why);
		if (why == POLICY_WOKEN && policy_preempts(c, v))
			c->current->slice_end = 0;
		/* c is no longer idle: the next vCPU that wakes chooses another idle CPU. */
		cpu_set_remove(&idle_cpus, c->id);
	}
	spin_unlock(&c->runq.lock);
	cpu_raise(c, CPU_WORK_RESCHED);
}

/* Makes a blocked or offline v runnable. Called with c's lock; drops it. */
static void make_runnable(struct cpu *c, struct vcpu *v)
{
	struct cpu *to;

	v->halted = false;
	if (c->current == v) {	/* not switched out yet: it keeps running */
		v->state = RUN_RUNNING;
		spin_unlock(&c->runq.lock);
		return;
	}
	v->state = RUN_RUNNABLE;
	set_runstate(v, v->holds ? RUNSTATE_offline : RUNSTATE_runnable, now());
	if (unlikely(v->on_cpu && !prefers(v, c)))
		cpu_raise(c, CPU_WORK_EXPEL);
	to = v->on_cpu ? c : place_vcpu(v);
	if (to != c) {
		assign_cpu(v, to);
		spin_unlock(&c->runq.lock);
		c = lock_vcpu(v);
	}
	queue_and_kick(c, v, POLICY_WOKEN);
}

void vcpu_wake(struct vcpu *v)
{
	struct cpu *c;

	if (READ_ONCE(v->state) != RUN_BLOCKED)
		return;
	c = lock_vcpu(v);
	/* Only an NMI or INIT ends a halt with interrupts off; an event does not. */
	if (v->state != RUN_BLOCKED || (v->halted && !arch_vcpu_has_interrupt(v))) {
		spin_unlock(&c->runq.lock);
		return;
	}
	v->stats.wakeups++;
	trace(WAKE, v, 0, 0);
	make_runnable(c, v);
}

void vcpu_early_timer_slow(struct vcpu *v, stime_t at)
{
	/* If v has rearmed the timer on another CPU since timers_run(), `at` may be years away. */
	at = min(at, this_cpu()->timers.due + TIMER_AHEAD_MAX);
	if (READ_ONCE(v->state) != RUN_RUNNING) {
		WRITE_ONCE(v->not_before, at);
		/* A vCPU that polls a masked port has no other pending work. */
		atomic_or(&v->pending, VCPU_WORK_WINDOW);
		/* If it runs now, another event woke it; its entry may have missed not_before. */
		if (READ_ONCE(v->state) != RUN_RUNNING)
			return;
	}
	while (now() < at)
		cpu_relax();
}

/*
 * Measures the delay from the timer's function to the guest entry. The delay sets how early this
 * CPU runs its next early timer. Ignores a vCPU that waited for other vCPUs to run.
 */
void vcpu_wait_deadline(struct vcpu *v)
{
	struct timer_queue *q = &v->cpu->timers;
	stime_t at = v->not_before;
	s64 late = (s64)(now() - at);
	s64 ahead = (s64)q->ahead + (late + 64) / 4;

	if (late < (s64)TIMER_AHEAD_MAX)
		q->ahead = ahead < (s64)TIMER_EXIT_NS ? TIMER_EXIT_NS :
							min((u64)ahead, TIMER_AHEAD_MAX);
	/* Compare by difference: the deadline may be near 0 and underflow. */
	while ((s64)(now() - at) < 0)
		cpu_relax();
	v->not_before = 0;
}

void vcpu_block(struct vcpu *v)
{
	struct cpu *c;

	if (v->direct)	/* spins, or halts in its guest, where its interrupts go */
		return;
	c = lock_vcpu(v);
	/* If another CPU took v down meanwhile, v stays offline. */
	if (v->state == RUN_RUNNING)
		v->state = RUN_BLOCKED;
	spin_unlock(&c->runq.lock);
	smp_mb();
	/* A later vcpu_post() wakes v. This check sees the earlier ones. */
	if (arch_vcpu_has_interrupt(v))
		vcpu_wake(v);
	else
		cpu_raise(c, CPU_WORK_RESCHED);
}

int vcpu_restrict(struct vcpu *v, const struct cpu_set *set)
{
	struct cpu_set allowed = isolate_allowed(v, set);
	unsigned first = cpu_set_next(&allowed, v->id % nr_cpus);
	struct cpu *c;

	if (first >= nr_cpus)
		first = cpu_set_next(&allowed, 0);
	if (first >= nr_cpus)
		return -EINVAL;
	c = lock_vcpu(v);
	v->affinity = *set;
	v->allowed = allowed;
	if (may_run_on(v, c)) {
		spin_unlock(&c->runq.lock);
	} else if (v->on_cpu) { /* only c can save its registers, and schedule() sees that it must */
		cpu_raise(c, CPU_WORK_EXPEL);
		spin_unlock(&c->runq.lock);
	} else {
		dequeue(c, v);
		assign_cpu(v, cpus[first]);
		spin_unlock(&c->runq.lock);
		queue_and_kick(lock_vcpu(v), v, POLICY_MOVED);
	}
	return 0;
}

void vcpu_yield(struct vcpu *v)
{
	/* A guest that yields waits for another one: be kind to the other thread of the core. */
	if (list_empty(&v->cpu->runq.queue)) {
		cpu_relax();
		return;
	}
	v->slice_end = 0;
	atomic_or(&v->cpu->work, CPU_WORK_RESCHED);
}

void vcpu_hold(struct vcpu *v, unsigned n)
{
	struct cpu *c = lock_vcpu(v);

	v->holds += n;
	if (queued(v)) {
		dequeue(c, v);
		set_runstate(v, RUNSTATE_offline, now());
	}
	atomic_or(&v->pending, VCPU_WORK_STOP);
	spin_unlock(&c->runq.lock);
	if (v->on_cpu)
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_release(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	if (!--v->holds && v->state == RUN_RUNNABLE)
		set_runstate(v, RUNSTATE_runnable, now());
	queue_and_kick(c, v, POLICY_WOKEN);
}

void vcpu_up(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	if (v->state == RUN_OFFLINE)
		make_runnable(c, v);
	else
		spin_unlock(&c->runq.lock);
}

void vcpu_down(struct vcpu *v)
{
	struct cpu *c = lock_vcpu(v);

	v->state = RUN_OFFLINE;
	dequeue(c, v);
	if (c->current != v)
		set_runstate(v, RUNSTATE_offline, now());
	spin_unlock(&c->runq.lock);
	if (v->on_cpu)
		cpu_raise(c, CPU_WORK_RESCHED);
}

void vcpu_post(struct vcpu *v, u32 work)
{
	atomic_or(&v->pending, work);
	if (READ_ONCE(v->in_guest) && v->cpu != this_cpu())
		arch_cpu_kick(v->cpu);
}

/* Takes a waiting vCPU from another CPU's queue. Called when this CPU's queue is empty. */
static struct vcpu *steal_vcpu(struct cpu *self)
{
	for (unsigned i = 1; i < nr_cpus; i++) {
		struct cpu *c = cpus[(self->id + i) % nr_cpus];
		struct vcpu *v;

		if (list_empty(&c->runq.queue))
			continue;
		guard(&c->runq.lock);
		/* A CPU that runs nothing was just woken for the only vCPU in its queue. */
		if (!policy_balances(c) || c->held_back || (!c->current && c->view.nr_queued == 1))
			continue;
		list_for_each(v, &c->runq.queue, runq_link) {
			if (v->on_cpu || !may_run_on(v, self))
				continue;
			dequeue(c, v);
			assign_cpu(v, self);
			return v;
		}
	}
	return NULL;
}

/*
 * Makes this CPU schedule again at `end` at the latest. A timer that expires earlier stays armed
 * and calls this again. One that expires later belongs to an earlier vCPU or an earlier policy.
 */
static void time_slice(struct cpu *c, stime_t end)
{
	if (!timer_armed(&c->slice) || c->slice.expires > end)
		timer_set(&c->slice, end);
}

/* Returns whether the current vCPU keeps running. Called with c's lock. */
static bool keep_running(struct cpu *c, struct vcpu *v, stime_t t)
{
	bool alone = list_empty(&c->runq.queue);

	if (v->state != RUN_RUNNING || v->holds)
		return false;
	if (alone && !policy_decides(c))
		return true;
	if (t >= v->slice_end || c->repick)
		return false;
	if (alone && v->slice_end == POLICY_FOREVER)
		return true;
	v->slice_end = min(v->slice_end, t + POLICY_STARVE_NS / 4);
	time_slice(c, v->slice_end);
	return true;
}

/* Saves the registers of c->loaded, which is then on no CPU. */
static void unload(struct cpu *c)
{
	struct vcpu *v = c->loaded;

	arch_vcpu_save(v);
	c->loaded = NULL;
	atomic_store(&v->on_cpu, false);
}

/* Requeues v, which ran on c, on another CPU. Called with c's lock; drops and retakes it. */
static void requeue_on(struct cpu *c, struct vcpu *v, struct cpu *to)
{
	unload(c);
	assign_cpu(v, to);
	spin_unlock(&c->runq.lock);
	queue_and_kick(lock_vcpu(v), v, POLICY_MOVED);
	spin_lock(&c->runq.lock);
}

/*
 * Finds a CPU with fewer waiting vCPUs than c for the preempted v, on c's node if possible; else
 * NULL. A vCPU that wakes stays on its old CPU unless some CPU is idle. Without this function a
 * vCPU that never sleeps could keep one CPU while all others share another.
 */
static struct cpu *less_busy(const struct cpu *c, const struct vcpu *v)
{
	unsigned least = c->view.nr_queued;
	struct cpu *best;

	if (least < 2 || !policy_balances(c))
		return NULL;
	best = idle_cpu_for(v);
	if (best)
		return best;
	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpu *other = cpus[i];
		unsigned ahead =
			READ_ONCE(other->view.nr_queued) + (READ_ONCE(other->current) != NULL);
		bool nearer = best && best->node != c->node && other->node == c->node;

		if (other == c || !may_run_on(v, other) || ahead > least ||
		    (ahead == least && !nearer))
			continue;
		best = other;
		least = ahead;
	}
	return best;
}

/* The runstate of a vCPU that does not run. */
static int state_of(const struct vcpu *v)
{
	return v->state == RUN_OFFLINE || (v->state == RUN_RUNNABLE && v->holds) ?
		       RUNSTATE_offline :
	       v->state == RUN_RUNNABLE ? RUNSTATE_runnable :
					  RUNSTATE_blocked;
}

/* Switches out the current vCPU and requeues it if it can still run. Called with c's lock. */
static void switch_out(struct cpu *c, struct vcpu *v, stime_t t)
{
	struct cpu *to;

	c->current = NULL;
	trace(SCHED, v, v->state == RUN_RUNNING ? RUN_RUNNABLE : v->state, 0);
	policy_charge(c, v);
	if (v->state != RUN_RUNNING) {
		switch_runstate(v, state_of(v), t);
		return;
	}
	v->state = RUN_RUNNABLE;
	switch_runstate(v, state_of(v), t);
	if (v->holds)
		return;
	to = policy_place(c, v, &idle_cpus);
	if (!to)
		to = less_busy(c, v);
	if (to && to != c)
		requeue_on(c, v, to);
	else
		enqueue(c, v, POLICY_PREEMPTED);
}

/* Wakes an idle CPU that may run the first vCPU in c's queue. Called with c's lock. */
static void wake_idle_for(struct cpu *c)
{
	struct cpu *to = idle_cpu_for(list_first(&c->runq.queue, struct vcpu, runq_link));

	if (to && policy_balances(c)) {
		cpu_set_remove(&idle_cpus, to->id);
		cpu_raise(to, CPU_WORK_RESCHED);
	}
}

/*
 * Picks the next vCPU from this CPU's queue or another's. NULL: none. Called with c's lock; may
 * drop and retake it.
 */
static struct vcpu *pick_next(struct cpu *c, u64 *slice)
{
	struct vcpu *v;

	c->held_back = c->repick = false;
	if (list_empty(&c->runq.queue)) {
		spin_unlock(&c->runq.lock);
		v = steal_vcpu(c);
		spin_lock(&c->runq.lock);
		/* The lock was dropped: run v only if no CPU stopped or moved it. */
		if (!v || v->state != RUN_RUNNABLE || v->holds || queued(v) || v->cpu != c)
			return NULL;
		if (!policy_decides(c))
			return v;
		enqueue(c, v, POLICY_MOVED);
	}
	v = policy_pick(c, slice);
	if (!v && policy_decides(c)) {
		c->held_back = true;
		timer_set(&c->slice, now() + *slice);
		return NULL;
	}
	if (!v) {	/* no module, or it was just ejected */
		v = list_first(&c->runq.queue, struct vcpu, runq_link);
		*slice = opt.sched_slice * 1000UL;
	}
	unqueue(c, v);
	return v;
}

/* Returns the CPU to which v must move from c, or an idle one that it prefers; else NULL. */
static struct cpu *better_cpu(const struct cpu *c, const struct vcpu *v)
{
	unsigned first = cpu_set_next(&v->allowed, 0);
	struct cpu *idle;

	if (!may_run_on(v, c))
		return first < nr_cpus ? cpus[first] : NULL;
	if (prefers(v, c) || !policy_balances(c))
		return NULL;
	idle = idle_cpu_for(v);
	return idle && prefers(v, idle) ? idle : NULL;
}

/* Moves the vCPU that is loaded here to a better CPU, if there is one. */
static void expel(struct cpu *c)
{
	struct vcpu *v = c->loaded;
	struct cpu *to;

	guard(&c->runq.lock);
	/* A CPU that becomes idle now is seen here or sees this. */
	set_displaced(c, c->current && !prefers(c->current, c));
	smp_mb();
	to = v ? better_cpu(c, v) : NULL;
	if (!to)
		return;
	if (c->current == v) {
		c->current = NULL;
		trace(SCHED, v, v->state == RUN_RUNNING ? RUN_RUNNABLE : v->state, 0);
		policy_charge(c, v);
		if (v->state == RUN_RUNNING)
			v->state = RUN_RUNNABLE;
		switch_runstate(v, state_of(v), now());
	}
	dequeue(c, v);
	requeue_on(c, v, to);
	atomic_or(&c->work, CPU_WORK_RESCHED);
}

/* Picks this CPU's next vCPU and makes it current. NULL: nothing to run, or schedule again. */
static struct vcpu *schedule(struct cpu *c)
{
	u64 slice = opt.sched_slice * 1000UL;
	struct vcpu *v = c->current;
	stime_t t = now();

	guard(&c->runq.lock);
	if (v && keep_running(c, v, t))
		return v;
	if (v)
		switch_out(c, v, t);
	if (unlikely(READ_ONCE(c->work) & CPU_WORK_EXPEL))	/* of the one that is loaded */
		return NULL;
	v = pick_next(c, &slice);
	set_displaced(c, v && !prefers(v, c));
	if (unlikely(c->displaced))	/* a CPU that it prefers may be idle since v was placed */
		cpu_raise(c, CPU_WORK_EXPEL);
	if (c->loaded && c->loaded != v &&
	    (v || c->loaded->holds || c->loaded->state == RUN_OFFLINE))
		unload(c);
	if (!v)
		return NULL;
	v->on_cpu = true;
	v->state = RUN_RUNNING;
	if (t < v->view.since)	/* queued after t was read */
		t = now();
	switch_runstate(v, RUNSTATE_running, t);
	if (unlikely(v->slow_tick))
		vcpu_timers_resume(v);
	v->slice_end = slice == POLICY_FOREVER ? slice : t + slice;
	if (!list_empty(&c->runq.queue)) {
		time_slice(c, v->slice_end);
		wake_idle_for(c);
	} else if (policy_decides(c) && slice != POLICY_FOREVER) {
		time_slice(c, v->slice_end);
	}
	c->current = v;
	trace(SCHED, v, RUN_RUNNING, c->view.nr_queued);
	return v;
}

void sched_set_policy(struct cpu *c, struct policy *p)
{
	struct vcpu *v;

	guard(&c->runq.lock);
	c->policy[POINT_SCHED] = p;
	c->passed_over = 0;
	memset(c->view.priv, 0, sizeof(c->view.priv));
	list_for_each(v, &c->runq.queue, runq_link)
		policy_enqueue(c, v, POLICY_MOVED);
	/* The old policy may have set no limit: allow one more slice at most. */
	if (c->current)
		c->current->slice_end =
			min(c->current->slice_end, now() + opt.sched_slice * 1000UL);
}

static void run_current(struct cpu *c, struct vcpu *v)
{
	if (c->loaded != v) {
		arch_vcpu_load(v);
		if (v->moved)
			vcpu_timers_follow(v);
		c->loaded = v;
		c->stats.switches++;
	}
	atomic_and(&v->pending, ~(u32)VCPU_WORK_STOP);
	if (READ_ONCE(v->holds)) {	/* held after schedule() chose it */
		atomic_or(&c->work, CPU_WORK_RESCHED);
		return;
	}
	if (unlikely(policy_of(c, POINT_EXIT)))
		policy_observe(v);
	c->ran -= rdtsc();
	arch_vcpu_run(v);
	c->ran += rdtsc();
}

/* Prolongs the slice of the running vCPU by the time since t, in which others were served. */
static __noinline void prolong_slice(struct cpu *c, stime_t t)
{
	guard(&c->runq.lock);
	if (c->current && c->current->slice_end != POLICY_FOREVER)
		c->current->slice_end += now() - t;
}

static void run_timers(struct cpu *c)
{
	if (unlikely(timers_run(c->current)))
		prolong_slice(c, c->timers.due);
}

bool sched_timers_only(struct cpu *c)
{
	atomic_and(&c->work, ~(u32)CPU_WORK_TIMER);
	run_timers(c);
	return c->work;
}

/* Does the pending work of this CPU and returns its bits. */
static u32 do_work(struct cpu *c)
{
	u32 work = atomic_xchg(&c->work, 0);

	hold_look();
	if (likely(!(work & ~(u32)CPU_WORK_RESCHED)))
		return work;
	if (work & CPU_WORK_QUIESCE)
		quiesce_here();
	if (work & CPU_WORK_EXPEL)
		expel(c);
	if (work & CPU_WORK_ISOLATE)
		isolate_here();
	if (work & CPU_WORK_TIMER) {
		hold_at("loop:timers");
		run_timers(c);
	}
	if (work & CPU_WORK_GUESTS) {
		hold_at("loop:guests");
		boot_guests_work();
		/* Both may take long: timers come before the consoles' work. */
		arch_poll_irqs();
		atomic_or(&c->work, work & CPU_WORK_CONSOLE);
	} else if (work & CPU_WORK_CONSOLE) {
		hold_at("loop:console");
		console_work();
	}
	if (work & CPU_WORK_ERRORS)
		arch_report_errors();
	return work;
}

/* Asks CPUs whose vCPU prefers others to look for one. Called with this CPU among the idle ones. */
static void ask_displaced(void)
{
	for (unsigned i = 0; READ_ONCE(nr_displaced) && i < nr_cpus; i++)
		if (READ_ONCE(cpus[i]->displaced))
			cpu_raise(cpus[i], CPU_WORK_EXPEL);
}

void sched_wake_idle(void)
{
	unsigned i;

	for_each_cpu(i, &idle_cpus)
		cpu_raise(cpus[i], CPU_WORK_RESCHED);
}

static void sched_idle(struct cpu *c)
{
	stime_t start = now();

	c->idled -= start;
	timers_idle();
	pages_idle(c, start);
	policy_idle(c, c->slept);
	c->slept = now() - start;
	c->idled += start + c->slept;
}

void sched_loop(void)
{
	struct cpu *c = this_cpu();

	for (;;) {
		struct vcpu *v = c->current;
		u32 work = 0;

		while (READ_ONCE(c->work))
			work |= do_work(c);
		/* Changes that affect schedule() set CPU_WORK_RESCHED; a timer alone does not. */
		if (!v || work & CPU_WORK_RESCHED)
			v = schedule(c);
		if (v) {
			run_current(c, v);
			continue;
		}
		if (!c->owner)
			cpu_set_add(&idle_cpus, c->id);
		ask_displaced();
		/* A CPU that queues a vCPU now sees the idle bit, or this check sees its vCPU. */
		if (list_empty(&c->runq.queue) || c->held_back)
			sched_idle(c);
		cpu_set_remove(&idle_cpus, c->id);
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
	c->sibling = c;
	c->view.id = c->id;
	c->view.node = c->node;
}
