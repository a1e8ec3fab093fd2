/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers: a locked list per CPU, sorted by expiry. The hardware is programmed for the first. */
#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/percpu.h>
#include <margay/timer.h>

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn };
	list_init(&t->link);
}

void timers_init_cpu(struct timer_queue *q)
{
	spin_init(&q->lock, LOCK_TIMER);
	list_init(&q->armed);
	q->programmed = ~0UL;
	q->ahead = TIMER_EXIT_NS;
}

/*
 * Locks the list that t is on, or was on last. t->cpu changes only under that lock while t is not
 * armed, so an armed timer is always on the list of t->cpu.
 */
static struct timer_queue *lock_queue_of(struct timer *t)
{
	for (;;) {
		struct cpu *c = READ_ONCE(t->cpu);

		if (!c)
			return NULL;
		spin_lock(&c->timers.lock);
		if (t->cpu == c)
			return &c->timers;
		spin_unlock(&c->timers.lock);
	}
}

/* Inserts t after timers of the same expiry. Lists are short: a vCPU has at most four timers. */
static void insert(struct timer_queue *q, struct timer *t)
{
	struct timer *later;

	list_for_each(later, &q->armed, link)
		if (later->expires > t->expires)
			break;
	list_add_before(&t->link, &later->link);
}

/* Locks and returns the queue to arm t on: this CPU's, or that of the CPU running its function. */
static __noinline struct timer_queue *lock_queue_to_arm(struct cpu *self, struct timer *t)
{
	if (!READ_ONCE(t->cpu))
		(void)atomic_cas(&t->cpu, (struct cpu *)NULL, self);
	for (;;) {
		struct timer_queue *q = lock_queue_of(t);

		/*
		 * While t's function runs on another CPU, t stays on that CPU's queue, so that
		 * timer_stop() waits for one CPU only. That CPU programs its hardware when the
		 * function returns.
		 */
		if (q == &self->timers || q->running == t)
			return q;
		list_del(&t->link);
		t->cpu = self;
		spin_unlock(&q->lock);
	}
}

/* Returns the time that the hardware is programmed for, for t. */
static stime_t interrupt_at(const struct timer *t)
{
	return t->early && t->expires > TIMER_EXIT_NS ? t->expires - TIMER_EXIT_NS : t->expires;
}

void timer_set(struct timer *t, stime_t expires)
{
	struct cpu *self = this_cpu();
	struct timer_queue *q = &self->timers;
	stime_t at;

	spin_lock(&q->lock);
	if (unlikely(t->cpu != self)) {
		spin_unlock(&q->lock);
		q = lock_queue_to_arm(self, t);
	}
	if (timer_armed(t))
		list_del(&t->link);
	t->expires = expires;
	insert(q, t);
	at = interrupt_at(t);
	spin_unlock(&q->lock);
	/* Interrupts are off here, so nothing else changes this CPU's hardware timer. */
	if (q == &self->timers && at < q->programmed) {
		q->programmed = at;
		arch_timer_program(at);
	}
}

void timer_stop(struct timer *t)
{
	struct timer_queue *q;
	bool busy;

	/* The function may arm its timer once more while this waits. */
	do {
		q = lock_queue_of(t);
		if (!q)
			return;
		list_del(&t->link);
		busy = q->running == t && q != &this_cpu()->timers;
		spin_unlock(&q->lock);
		while (busy && READ_ONCE(q->running) == t)
			cpu_relax();
	} while (busy);
}

void timer_follow(struct timer *t)
{
	struct timer_queue *q = lock_queue_of(t);
	bool armed;

	if (!q)
		return;
	armed = timer_armed(t) && q != &this_cpu()->timers;
	if (armed)
		list_del(&t->link);
	spin_unlock(&q->lock);
	if (armed)
		timer_set(t, t->expires);
}

/* Returns the earliest time at which t may run. */
static stime_t earliest(const struct timer_queue *q, const struct timer *t)
{
	return t->early && t->expires > q->ahead ? t->expires - q->ahead : t->expires;
}

static struct timer *first_timer(struct timer_queue *q)
{
	return list_empty(&q->armed) ? NULL : list_first(&q->armed, struct timer, link);
}

void timers_idle(void)
{
	struct timer_queue *q = &this_cpu()->timers;
	const struct timer *t;

	guard(&q->lock);
	t = first_timer(q);
	if (t && earliest(q, t) < q->programmed) {
		q->programmed = earliest(q, t);
		arch_timer_program(q->programmed);
	}
}

void timers_run(void)
{
	struct timer_queue *q = &this_cpu()->timers;
	stime_t due = q->due = now();
	unsigned left = TIMERS_AT_ONCE;
	struct timer *t;

	/* Later timers wait for the next call: guests' timers must not keep a CPU here. */
	spin_lock(&q->lock);
	while ((t = first_timer(q)) && earliest(q, t) <= due && left--) {
		list_del(&t->link);
		q->running = t;
		spin_unlock(&q->lock);
		t->fn(t);
		spin_lock(&q->lock);
		q->running = NULL;
	}
	q->programmed = t ? interrupt_at(t) : ~0UL;
	if (t && earliest(q, t) <= due)
		q->programmed = now() + TIMERS_PAUSE_NS;
	if (t)
		arch_timer_program(q->programmed);
	spin_unlock(&q->lock);
}
