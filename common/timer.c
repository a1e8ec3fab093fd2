/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: a locked leftist heap per CPU, by expiry. The hardware is programmed for the first. A
 * timer's children expire no earlier. A timer's rank is the number of steps to the nearest free
 * place below it, at most the logarithm of the number of timers; the right child has the lower
 * rank. Arming and removal take a number of steps that the rank bounds, whatever guests arm.
 */
#include <margay/arch.h>
#include <margay/percpu.h>
#include <margay/timer.h>

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn };
}

void timers_init_cpu(struct timer_queue *q)
{
	spin_init(&q->lock, LOCK_TIMER);
	q->programmed = q->poll = ~0UL;
	q->ahead = TIMER_EXIT_NS;
}

/*
 * Locks the queue that t is on, or was on last. t->cpu changes only under that lock while t is not
 * armed, so an armed timer is always on the queue of t->cpu.
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

static unsigned rank(const struct timer *t)
{
	return t ? t->rank : 0;
}

/* Orders the children of t by rank. Returns whether the rank of t changed. */
static bool update_rank(struct timer *t)
{
	struct timer *left = t->left;
	unsigned old = t->rank;

	if (rank(left) < rank(t->right)) {
		t->left = t->right;
		t->right = left;
	}
	t->rank = rank(t->right) + 1;
	return t->rank != old;
}

/* Merges two heaps, one of them perhaps empty, along their right children. It has no parent yet. */
static struct timer *merge(struct timer *a, struct timer *b)
{
	struct timer *first = NULL, *up = NULL, **at = &first, *later;

	for (; a && b; a = a->right) {
		if (b->expires < a->expires) {
			later = a;
			a = b;
			b = later;
		}
		*at = a;
		a->up = up;
		up = a;
		at = &a->right;
	}
	*at = a ? a : b;
	if (*at)
		(*at)->up = up;
	for (; up; up = up->up)
		update_rank(up);
	return first;
}

static void insert(struct timer_queue *q, struct timer *t)
{
	struct timer *first = q->first;

	t->right = NULL;
	t->rank = 1;
	if (!first || t->expires < first->expires) {	/* mostly */
		t->left = first;
		t->up = NULL;
		if (first)
			first->up = t;
		q->first = t;
		return;
	}
	t->left = NULL;
	q->first = merge(first, t);
}

/* Returns whether an armed t may expire at that time where it is in the heap. */
static bool in_order(const struct timer *t, stime_t expires)
{
	return t->rank && (!t->up || t->up->expires <= expires) &&
	       (!t->left || expires <= t->left->expires) &&
	       (!t->right || expires <= t->right->expires);
}

/* Removes the armed t: its children take its place. */
static __noinline void take_out(struct timer_queue *q, struct timer *t)
{
	struct timer *up = t->up, *below = t->right ? merge(t->left, t->right) : t->left;

	if (below)
		below->up = up;
	if (!up)
		q->first = below;
	else if (up->left == t)
		up->left = below;
	else
		up->right = below;
	while (up && update_rank(up))
		up = up->up;
}

/* Removes t, if armed. */
static __always_inline void disarm(struct timer_queue *q, struct timer *t)
{
	if (!t->rank)
		return;
	if (q->first == t && !t->left)
		q->first = NULL;	/* mostly: it is alone */
	else
		take_out(q, t);
	t->rank = 0;
}

/* Returns the CPU to arm this CPU's timers on. */
static struct cpu *timer_cpu(void)
{
	struct cpu *self = this_cpu();

	return unlikely(self->isolated) ? housekeeping_cpu : self;
}

/* Programs the hardware timer of the queue's CPU for `at` if that is sooner. */
static void program(struct cpu *c, stime_t at)
{
	if (at >= READ_ONCE(c->timers.programmed))
		return;
	if (unlikely(c != this_cpu())) {
		cpu_raise(c, CPU_WORK_TIMER);
		return;
	}
	c->timers.programmed = at;
	arch_timer_program(at);
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
		disarm(q, t);
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
	struct cpu *self = timer_cpu();
	struct timer_queue *q = &self->timers;
	stime_t at;

	spin_lock(&q->lock);
	if (unlikely(t->cpu != self)) {
		spin_unlock(&q->lock);
		q = lock_queue_to_arm(self, t);
	}
	if (in_order(t, expires)) {
		t->expires = expires;
	} else {
		disarm(q, t);
		t->expires = expires;
		insert(q, t);
	}
	at = interrupt_at(t);
	spin_unlock(&q->lock);
	/* Interrupts are off here, so nothing else changes this CPU's hardware timer. */
	if (q == &self->timers)
		program(self, at);
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
		disarm(q, t);
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
	armed = timer_armed(t) && q != &timer_cpu()->timers;
	if (armed)
		disarm(q, t);
	spin_unlock(&q->lock);
	if (armed)
		timer_set(t, t->expires);
}

void timers_leave(void)
{
	struct timer_queue *from = &this_cpu()->timers, *to = &housekeeping_cpu->timers;
	struct timer *t;

	from->programmed = from->poll = ~0UL;
	do {
		spin_lock_pair(&from->lock, &to->lock);
		t = from->first;
		if (t) {
			disarm(from, t);
			t->cpu = housekeeping_cpu;
			insert(to, t);
		}
		spin_unlock_pair(&from->lock, &to->lock);
	} while (t);
	cpu_raise(housekeeping_cpu, CPU_WORK_TIMER);
}

/* Returns the earliest time at which t may run. */
static stime_t earliest(const struct timer_queue *q, const struct timer *t)
{
	return t->early && t->expires > q->ahead ? t->expires - q->ahead : t->expires;
}

void timers_idle(void)
{
	struct timer_queue *q = &this_cpu()->timers;
	stime_t at = q->poll;

	guard(&q->lock);
	if (q->first)
		at = min(at, earliest(q, q->first));
	if (at < q->programmed) {
		q->programmed = at;
		arch_timer_program(at);
	}
}

void timers_keep_poll(void)
{
	struct timer_queue *q = &this_cpu()->timers;

	if (q->programmed == ~0UL && q->poll != ~0UL) {
		q->programmed = q->poll;
		arch_timer_program(q->poll);
	}
}

bool timers_run(const struct vcpu *running)
{
	struct timer_queue *q = &this_cpu()->timers;
	stime_t due = q->due = now();
	unsigned left = TIMERS_AT_ONCE;
	bool others = false;
	struct timer *t;

	if (unlikely(due >= q->poll)) {
		q->poll = ~0UL;	/* the poll sets it again */
		atomic_or(&this_cpu()->work, CPU_WORK_ERRORS);
	}
	/* Later timers wait for the next call: guests' timers must not keep a CPU here. */
	spin_lock(&q->lock);
	while ((t = q->first) && earliest(q, t) <= due && left--) {
		disarm(q, t);
		q->running = t;
		if (unlikely(t->owner != running))
			others |= t->owner != NULL;
		spin_unlock(&q->lock);
		t->fn(t);
		spin_lock(&q->lock);
		q->running = NULL;
		if (left % 8 == 0 && now() - due > TIMERS_LONG_NS)
			left = 0;
	}
	q->programmed = t ? interrupt_at(t) : ~0UL;
	if (t && earliest(q, t) <= due)
		q->programmed = now() + TIMERS_PAUSE_NS;
	if (t)
		arch_timer_program(q->programmed);
	spin_unlock(&q->lock);
	return others;
}
