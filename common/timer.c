/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers: a list per CPU, sorted by time, under its own lock, and the hardware set to the first. */
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
}

/*
 * Locks the list that t is in or was in last. t->cpu changes only under that lock while t is not armed, so
 * an armed timer is always in the list of t->cpu.
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

static stime_t first_expiry(const struct timer_queue *q)
{
	return list_empty(&q->armed) ? ~0UL : list_first(&q->armed, struct timer, link)->expires;
}

/* Behind those of the same time. The list is short: a vCPU has four timers at most. */
static void insert(struct timer_queue *q, struct timer *t)
{
	struct timer *later;

	list_for_each(later, &q->armed, link)
		if (later->expires > t->expires)
			break;
	list_add_before(&t->link, &later->link);
}

void timer_set(struct timer *t, stime_t expires)
{
	struct cpu *self = this_cpu();
	struct timer_queue *q;

	if (!READ_ONCE(t->cpu))
		(void)atomic_cas(&t->cpu, (struct cpu *)NULL, self);
	for (;;) {
		q = lock_queue_of(t);
		list_del(&t->link);
		/*
		 * While its function runs on another CPU it stays there, so that timer_stop() has one place
		 * to wait for. That CPU sets its hardware on the way out.
		 */
		if (q == &self->timers || q->running == t)
			break;
		t->cpu = self;
		spin_unlock(&q->lock);
	}
	t->expires = expires;
	insert(q, t);
	if (q == &self->timers && expires < q->programmed) {
		q->programmed = expires;
		arch_timer_program(expires);
	}
	spin_unlock(&q->lock);
}

void timer_stop(struct timer *t)
{
	struct timer_queue *q;
	bool busy;

	/* The function may set its timer once more while we wait for it. */
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

void timers_run(void)
{
	struct timer_queue *q = &this_cpu()->timers;
	stime_t due = now();

	/* What becomes due meanwhile waits for the next time: guests' timers must not keep a CPU here. */
	spin_lock(&q->lock);
	while (first_expiry(q) <= due) {
		struct timer *t = list_first(&q->armed, struct timer, link);

		list_del(&t->link);
		q->running = t;
		spin_unlock(&q->lock);
		t->fn(t);
		spin_lock(&q->lock);
		q->running = NULL;
	}
	q->programmed = first_expiry(q);
	arch_timer_program(q->programmed);
	spin_unlock(&q->lock);
}
