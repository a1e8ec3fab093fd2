/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Observation: counters of exits and their time, always on, and trace records in per-CPU rings,
 * which cost one predicted branch when off. common/trace.c, common/counters.c; the records:
 * public/margay.h.
 */
#pragma once

#include <margay/hold.h>
#include <margay/vcpu.h>

#include <public/margay.h>

#define TRACE_BIT(event) (1U << MARGAY_TRACE_##event)

/*
 * Writes a record of v (NULL: no vCPU) to this CPU's ring. Not from interrupts, which could find a
 * half-written record.
 */
void trace_write(unsigned event, const struct vcpu *v, u64 a, u64 b);
void trace_exit(const struct vcpu *v, u32 reason);

#define trace(event, v, a, b)                                                     \
	do {                                                                      \
		if (unlikely(tracing(TRACE_BIT(event))))                          \
			trace_write(MARGAY_TRACE_##event, v, a, b);               \
	} while (0)

/*
 * Sets the kinds of records that all CPUs write from now on. The first call also sets the size of
 * the rings in pages: a power of two up to TRACE_MAX_PAGES. One caller at a time. 0, -EINVAL,
 * -ENOMEM.
 */
#define TRACE_MAX_PAGES 256U
int trace_set(u32 mask, u32 pages);
/* Returns whether this page belongs to a ring and a control domain may map it. */
bool trace_page(mfn_t mfn);

/* Counts an exit. A back-end's run loop calls it first after each exit. */
static inline void count_exit(struct vcpu *v, enum exit_reason r)
{
	v->exits[r]++;
	hold_at(exit_names[r]);
	if (unlikely(tracing(TRACE_BIT(EXIT) | (r == EXIT_HYPERCALL ? TRACE_BIT(HYPERCALL) : 0))))
		trace_exit(v, r);
}

/*
 * Measure the time from an exit to the next entry, which is Margay's. The lower half of the TSC
 * suffices: no exit takes a second without a visit to the scheduler, which restarts the
 * measurement.
 */
static inline void time_exit(struct vcpu *v)
{
	v->exit_tsc = (u32)rdtsc();
}

static inline void time_entry(struct vcpu *v)
{
	u32 ticks = (u32)rdtsc() - v->exit_tsc;

	v->exit_ticks += ticks;
	count_exit_ticks(ticks);
}

/*
 * hypercall_name() returns the name of a hypercall, NULL if it is not served. hypercall_counts()
 * returns v's HCALL_SUBOPS counters of it. Number 0 stands for all hypercalls that are not served.
 * nr is below NR_HYPERCALLS.
 */
const char *hypercall_name(unsigned nr);
const u64 *hypercall_counts(const struct vcpu *v, unsigned nr);
/* Returns the name of operation nr of the named hypercall, NULL if it has none. */
const char *operation_name(const char *call, u64 nr);

/* Report all counters of an object, by group and name. sub: NO_SUB or an operation's number. */
#define NO_SUB (~0U)
typedef void counter_fn(void *to, const char *group, const char *name, u32 sub, u64 value);
void counters_of_vcpu(struct vcpu *v, counter_fn *put, void *to);
void counters_of_domain(const struct domain *d, counter_fn *put, void *to);
void counters_of_cpu(const struct cpu *c, counter_fn *put, void *to);
void counters_of_machine(counter_fn *put, void *to);
