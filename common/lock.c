/* SPDX-License-Identifier: BSD-2-Clause */
/* Pairs of locks of one level, and the lock order check of debug builds; lock.h has the order. */
#include <margay/arch.h>
#include <margay/percpu.h>

void spin_wait(const struct spinlock *l)
{
	u16 next = __atomic_load_n(&l->next, __ATOMIC_RELAXED);

	while ((s16)(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) - next) < 0)
		cpu_relax();
}

void spin_lock_two(struct spinlock *a, struct spinlock *b)
{
	struct spinlock *second = a < b ? b : a;

	spin_lock(a < b ? a : b);
	lock_order_enter(second, true);
	__spin_lock(second);
}

#ifdef DEBUG
void lock_order_enter(const struct spinlock *l, bool pair)
{
	struct cpu *c = this_cpu();
	unsigned top = c->lock_depth ? c->lock_levels[c->lock_depth - 1] : 0;

	if (l->level == LOCK_CONSOLE)	/* printing takes it too */
		return;
	if (c->lock_depth && (l->level < top || (l->level == top && !pair)))
		panic("lock order: level %u acquired while %u is held\n", l->level, top);
	BUG_ON(c->lock_depth == ARRAY_SIZE(c->lock_levels));
	c->lock_levels[c->lock_depth++] = l->level;
}

void lock_order_leave(const struct spinlock *l)
{
	struct cpu *c = this_cpu();
	unsigned i;

	if (l->level == LOCK_CONSOLE)
		return;
	for (i = c->lock_depth; i-- > 0;)
		if (c->lock_levels[i] == l->level)
			break;
	BUG_ON(i >= c->lock_depth);
	for (c->lock_depth--; i < c->lock_depth; i++)
		c->lock_levels[i] = c->lock_levels[i + 1];
}
#endif
