/* SPDX-License-Identifier: BSD-2-Clause */
/* Helpers for policies: a queue of vCPUs, sets of CPUs, names of parameters. */
#ifndef MARGAY_POLICY_LIB_H
#define MARGAY_POLICY_LIB_H

#include <public/policy.h>

/*
 * A queue links vCPUs through their priv[0] and priv[1]. Its two end words are zero when it is
 * empty; they may be in a CPU's priv. Calls for one CPU are serialised, so there is no lock.
 */

static inline struct policy_vcpu *queue_first(const u64 ends[2])
{
	return (struct policy_vcpu *)(uintptr_t)ends[0];
}

static inline struct policy_vcpu *queue_next(const struct policy_vcpu *v)
{
	return (struct policy_vcpu *)(uintptr_t)v->priv[0];
}

/* Appends v. */
static inline void queue_add(u64 ends[2], struct policy_vcpu *v)
{
	struct policy_vcpu *last = (struct policy_vcpu *)(uintptr_t)ends[1];

	v->priv[0] = 0;
	v->priv[1] = ends[1];
	if (last)
		last->priv[0] = (uintptr_t)v;
	else
		ends[0] = (uintptr_t)v;
	ends[1] = (uintptr_t)v;
}

static inline void queue_remove(u64 ends[2], struct policy_vcpu *v)
{
	struct policy_vcpu *prev = (struct policy_vcpu *)(uintptr_t)v->priv[1];

	if (prev)
		prev->priv[0] = v->priv[0];
	else
		ends[0] = v->priv[0];
	if (v->priv[0])
		queue_next(v)->priv[1] = v->priv[1];
	else
		ends[1] = v->priv[1];
}

static inline bool cpu_in_set(u32 cpu, const u64 *set)
{
	return set[cpu / 64] >> (cpu % 64) & 1;
}

/* Returns the n-th CPU (modulo their number) of the set below nr; nr when there is none. */
static inline u32 cpu_nth(const u64 *set, u32 nr, u32 n)
{
	u32 count = 0, cpu;

	for (cpu = 0; cpu < nr; cpu++)
		count += cpu_in_set(cpu, set);
	if (!count)
		return nr;
	n %= count;
	for (cpu = 0; !cpu_in_set(cpu, set) || n--; cpu++)
		;
	return cpu;
}

static inline bool same_name(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

#endif
