/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common part of the misbehaving modules. A module is a plain round robin for its first AFTER
 * picks, so that guests run under it when it misbehaves. Margay must eject it, and the guests must
 * not notice.
 */
#ifndef TEST_HOSTILE_H
#define TEST_HOSTILE_H

#include <public/policy_lib.h>

#define AFTER 100
#define SLICE 10000000UL	/* ns */

/* Hides a value from the compiler's analysis. */
#define OPAQUE(x) ({ __typeof__(x) _x = (x); __asm__ volatile("" : "+r"(_x)); _x; })

static u64 picks;

static __attribute__((unused)) bool due(void)
{
	return __atomic_fetch_add(&picks, 1, __ATOMIC_RELAXED) >= AFTER;
}

static void enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	(void)why;
	queue_add(c->priv, v);
}

static void dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	queue_remove(c->priv, v);
}

static __attribute__((unused)) struct policy_vcpu *fair_pick(struct policy_cpu *c, u64 *slice)
{
	struct policy_vcpu *v = queue_first(c->priv);

	if (v)
		queue_remove(c->priv, v);
	*slice = SLICE;
	return v;
}

/* HOSTILE("name", "summary", more fields of struct sched_policy). Needs a function pick. */
#define HOSTILE(called, does, ...)                                                        \
	POLICY_MODULE_NOTE                                                                \
	static const struct sched_policy sched = { .enqueue = enqueue, .dequeue = dequeue, \
						   .pick = pick, __VA_ARGS__ };           \
	const struct policy_module policy_module = { .name = called, .summary = does,     \
						     .sched = &sched, START };
#ifndef START
#define START .start = NULL
#endif

#endif
