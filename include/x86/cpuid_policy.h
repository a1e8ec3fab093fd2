/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID for guests: computed once per domain; the exit patches a few words per vCPU. */
#ifndef MARGAY_CPUID_POLICY_H
#define MARGAY_CPUID_POLICY_H

#include <margay/vcpu.h>

/* Executes CPUID on the machine. Unit tests replace it. */
void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out);

/*
 * Returns the result for v, valid until the next call; fills in what depends on v (APIC id,
 * OSXSAVE).
 */
const struct cpuid_regs *cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf);

/* The bits that a guest may set, from the policy. */
u64 cpuid_cr4_allowed(const struct domain *d);
u64 cpuid_efer_allowed(const struct domain *d);
u64 cpuid_xcr0_allowed(const struct domain *d);

#endif
