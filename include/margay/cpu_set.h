/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of physical CPUs by id, and the limits of the numbers of CPUs and of a guest's vCPUs. */
#pragma once

#include <margay/atomic.h>
#include <margay/lib.h>

#define MAX_CPUS 1024
#define MAX_VCPUS 1024U

extern unsigned nr_cpus;	/* online CPUs are 0..nr_cpus-1 */

struct cpu_set {
	u64 bits[MAX_CPUS / 64];
};

static inline bool cpu_set_has(const struct cpu_set *s, unsigned cpu)
{
	return test_bit(cpu, s->bits);
}

/* Both operations are atomic. */
static inline void cpu_set_add(struct cpu_set *s, unsigned cpu) { set_bit(cpu, s->bits); }

static inline void cpu_set_remove(struct cpu_set *s, unsigned cpu) { clear_bit(cpu, s->bits); }

static inline void cpu_set_fill(struct cpu_set *s) { memset(s, 0xff, sizeof(*s)); }

/* Returns the first online CPU of the set at or after from; nr_cpus when there is none. */
static inline unsigned cpu_set_next(const struct cpu_set *s, unsigned from)
{
	return find_next_bit(s->bits, nr_cpus, from);
}

#define for_each_cpu(cpu, s)                                                                  \
	for ((cpu) = cpu_set_next((s), 0); (cpu) < nr_cpus; (cpu) = cpu_set_next((s), (cpu) + 1))
