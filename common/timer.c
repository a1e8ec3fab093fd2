/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers: a pairing heap per CPU under its own lock, and the hardware set to the first. */
#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/percpu.h>
#include <margay/timer.h>

static struct timer *meld(struct timer *a, struct timer *b)
{
	struct timer *t;

	if (!a || !b)
		return a ? a : b;
	if (b->expires < a->expires) {
		t = a;
		a = b;
		b = t;
	}
	/* b becomes a's first child. */
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Melds the children in pairs from left to right, then the pairs from the last to the first. */
static struct timer *meld_children(struct timer *first)
{
	struct timer *pairs = NULL, *heap = NULL;

	while (first) {
		struct timer *a = first, *b = a->next, *rest = b ? b->next : NULL;

		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
		first = rest;
	}
	while (pairs) {
		struct timer *rest = pairs->next;

		pairs->next = NULL;
		heap = meld(heap, pairs);
		pairs = rest;
	}
	if (heap)
		heap->next = heap->prev = NULL;
	return heap;
}

void heap_insert(struct timer_heap *h, struct timer *t)
{
	t->child = t->next = t->prev = NULL;
	h->root = meld(h->root, t);
}

void heap_remove(struct timer_heap *h, struct timer *t)
{
	struct timer *sub = meld_children(t->child);

	if (h->root == t) {
		h->root = sub;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		h->root = meld(h->root, sub);
	}
	t->child = t->next = t->prev = NULL;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn };
}

void timers_init_cpu(struct timer_heap *h)
{
	spin_init(&h->lock, LOCK_TIMER);
	h->root = NULL;
	h->programmed = ~0UL;
}

/*
 * Locks the heap that t is in or was in last. t->cpu changes only under that lock while t is not armed, so
 * an armed timer is always in the heap of t->cpu.
 */
static struct timer_heap *lock_heap_of(struct timer *t)
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

static void disarm(struct timer_heap *h, struct timer *t)
{
	if (t->armed)
		heap_remove(h, t);
	t->armed = false;
}

void timer_set(struct timer *t, stime_t expires)
{
	struct cpu *self = this_cpu();
	struct timer_heap *h;

	if (!READ_ONCE(t->cpu))
		(void)atomic_cas(&t->cpu, (struct cpu *)NULL, self);
	for (;;) {
		h = lock_heap_of(t);
		disarm(h, t);
		/*
		 * While its function runs on another CPU it stays there, so that timer_stop() has one place
		 * to wait for. That CPU sets its hardware on the way out.
		 */
		if (h == &self->timers || h->running == t)
			break;
		t->cpu = self;
		spin_unlock(&h->lock);
	}
	t->expires = expires;
	t->armed = true;
	heap_insert(h, t);
	if (h == &self->timers && h->root == t && expires < h->programmed) {
		h->programmed = expires;
		arch_timer_program(expires);
	}
	spin_unlock(&h->lock);
}

void timer_stop(struct timer *t)
{
	struct timer_heap *h;
	bool busy;

	/* The function may set its timer once more while we wait for it. */
	do {
		h = lock_heap_of(t);
		if (!h)
			return;
		disarm(h, t);
		busy = h->running == t && h != &this_cpu()->timers;
		spin_unlock(&h->lock);
		while (busy && READ_ONCE(h->running) == t)
			cpu_relax();
	} while (busy);
}

void timers_run(void)
{
	struct timer_heap *h = &this_cpu()->timers;
	stime_t first, due = now();

	/* What becomes due meanwhile waits for the next time: guests' timers must not keep a CPU here. */
	spin_lock(&h->lock);
	while (h->root && h->root->expires <= due) {
		struct timer *t = h->root;

		disarm(h, t);
		h->running = t;
		spin_unlock(&h->lock);
		t->fn(t);
		spin_lock(&h->lock);
		h->running = NULL;
	}
	first = h->root ? h->root->expires : ~0UL;
	h->programmed = first;
	arch_timer_program(first);
	spin_unlock(&h->lock);
}
