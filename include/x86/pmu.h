/* SPDX-License-Identifier: BSD-2-Clause */
/* The performance counters of a guest that has the CPU's. arch/x86/guest/pmu.c */
#pragma once

#include <margay/vcpu.h>

#define PMU_COUNTERS 8
#define PMU_FIXED 3

struct pmu {
	/* VT-x's MSR areas for PERF_GLOBAL_CTRL: the guest's value, and Margay's. SDM 3C 25.7.2 */
	struct {
		u32 msr, unused;
		u64 value;
	} global[2];
	u64 control[PMU_COUNTERS + 1];	/* as the guest wrote them; the last is FIXED_CTR_CTRL */
	u64 counter[PMU_COUNTERS + PMU_FIXED];	/* while v is not loaded */
	u64 status;	/* overflows that the CPU no longer knows of */
	u64 told;	/* overflows that are no cause for another interrupt */
	bool loaded;
};

/* Finds out what the CPUs have. */
void pmu_init(void);
/* Enumerates the counters in a policy's leaves. Returns false if guests can have none. */
bool pmu_cpuid(struct cpuid_regs *leaf1, struct cpuid_regs *leaf10, struct cpuid_regs *ext1);

/* Creates v->pmu if its domain has the counters. */
int pmu_create(struct vcpu *v);
void pmu_destroy(struct vcpu *v);

/* All below: on v's own CPU. v has a PMU. */
void pmu_load(struct vcpu *v);
/* Leaves nothing of v's in the CPU. */
void pmu_save(struct vcpu *v);
/* Lets counters interrupt this CPU, by NMI. Before v runs. */
void pmu_arm(const struct vcpu *v);
/* In an NMI handler: returns whether a counter of the loaded vCPU may be the cause. */
bool pmu_nmi(const struct cpu *c);
/* Raises the interrupt of counters that have overflowed, by the guest's local APIC. */
void pmu_interrupt(struct vcpu *v);

/* Accesses that exit. A vCPU without a PMU has none of these MSRs: -EPERM. */
struct msr_read pmu_rdmsr(struct vcpu *v, u32 msr);
int pmu_wrmsr(struct vcpu *v, u32 msr, u64 val);
