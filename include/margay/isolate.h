/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a CPU. A shared CPU runs whatever the scheduler chooses. A dedicated domain has a CPU for
 * each vCPU: such a CPU runs its owner alone, without policies and timers, and others reach it by NMI
 * only. common/isolate.c
 */
#pragma once

#include <margay/vcpu.h>

/* The way from shared to dedicated and back, in this order. */
enum isolation {
	ISOLATION_NONE,
	ISOLATION_TAKES,	/* the CPUs have owners; others leave them */
	ISOLATION_BEGINS,	/* each CPU gives its timers away */
	ISOLATION_DONE,
	ISOLATION_LEAVES,	/* the vCPUs take their interrupts back */
	ISOLATION_WAITS,	/* for the last interrupts and NMIs on their way */
	ISOLATION_ENDS,		/* each CPU sets its local APIC up again */
};

/*
 * Chooses as many CPUs as d may have vCPUs, and which d could have: of its node, then of the next
 * ones; whole cores first. Returns 0 or -ENOSPC.
 */
int isolate_choose(const struct domain *d, struct cpu_set *set);
/*
 * Makes d dedicated: vCPU n gets the n-th CPU of the set; of an empty set, those whose topology it was
 * told, or what isolate_choose() finds. Returns 0, -ERESTART: call again, or an
 * error that isolate_why() explains; then nothing has changed. One call at a time on the machine.
 */
int isolate_dedicate(struct domain *d, const struct cpu_set *set);
/* Makes d shared again. Returns 0 or -ERESTART. */
int isolate_share(struct domain *d);
const char *isolate_why(int rc);
/* Begins or ends the isolation of this CPU: CPU_WORK_ISOLATE. */
void isolate_here(void);

/*
 * Maps the real local APIC for a trusted domain, while it is dedicated and all its vCPUs are online,
 * or unmaps it. Returns 0: nothing to do now, or -ERESTART: call again.
 */
int isolate_trusted(struct domain *d);

extern struct cpu_set owned_cpus;	/* sched.c */

/* Returns the CPUs of the set on which v may run. */
static inline struct cpu_set isolate_allowed(const struct vcpu *v, const struct cpu_set *set)
{
	struct cpu_set allowed = { 0 };

	if (v->core)
		cpu_set_add(&allowed, v->core->id);
	for (unsigned i = 0; !v->core && i < ARRAY_SIZE(allowed.bits); i++)
		allowed.bits[i] = set->bits[i] & ~READ_ONCE(owned_cpus.bits[i]);
	return allowed;
}
