/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Observation: counters of exits and of the time they take, always on, and trace records in per-CPU rings,
 * off but for one predicted branch. common/trace.c, common/counters.c; the records: public/margay.h.
 */
#ifndef MARGAY_TRACE_H
#define MARGAY_TRACE_H

#include <margay/arch.h>
#include <margay/hold.h>

#include <public/margay.h>

#define TRACE_BIT(event) (1U << MARGAY_TRACE_##event)

/* A record of v's (NULL: none's) into this CPU's ring. Not in interrupts, which would find one half done. */
void trace_write(unsigned event, const struct vcpu *v, u64 a, u64 b);
void trace_exit(const struct vcpu *v, u32 reason);

#define trace(event, v, a, b)                                                     \
	do {                                                                      \
		if (unlikely(tracing(TRACE_BIT(event))))                          \
			trace_write(MARGAY_TRACE_##event, v, a, b);               \
	} while (0)

/*
 * The kinds of records that all CPUs write from now on, and the size of their rings, which stays once they
 * are there: pages, a power of two up to TRACE_MAX_PAGES. One caller at a time. 0, -EINVAL, -ENOMEM.
 */
#define TRACE_MAX_PAGES 256U
int trace_set(u32 mask, u32 pages);
/* Is this page one of a ring's, for a control domain to read? */
bool trace_page(mfn_t mfn);

/* In a back-end's run loop, first thing about an exit. */
static inline void count_exit(struct vcpu *v, enum exit_reason r)
{
	v->exits[r]++;
	hold_at(exit_names[r]);
	if (unlikely(tracing(TRACE_BIT(EXIT) | (r == EXIT_HYPERCALL ? TRACE_BIT(HYPERCALL) : 0))))
		trace_exit(v, r);
}

/*
 * What lies between an exit and the next entry is Margay's time. Half of the TSC does for it: no exit takes
 * a second without a visit to the scheduler, which begins anew.
 */
static inline void time_exit(struct vcpu *v)
{
	v->exit_tsc = (u32)rdtsc();
}

static inline void time_entry(struct cpu *c, struct vcpu *v)
{
	u32 ticks = (u32)rdtsc() - v->exit_tsc;

	v->exit_ticks += ticks;
	c->exit_ticks += ticks;
}

/*
 * The name of a hypercall by its number, NULL for those not served, and v's counters of it, HCALL_SUBOPS of them.
 * Number 0 stands for all that are not served. nr is below NR_HYPERCALLS.
 */
const char *hypercall_name(unsigned nr);
const u64 *hypercall_counts(const struct vcpu *v, unsigned nr);

/* Tells all that is counted of one thing, each by a name within a group; sub is NO_SUB or an operation's number. */
#define NO_SUB (~0U)
typedef void counter_fn(void *to, const char *group, const char *name, u32 sub, u64 value);
void counters_of_vcpu(struct vcpu *v, counter_fn *put, void *to);
void counters_of_domain(const struct domain *d, counter_fn *put, void *to);
void counters_of_cpu(const struct cpu *c, counter_fn *put, void *to);
void counters_of_machine(counter_fn *put, void *to);

#endif
