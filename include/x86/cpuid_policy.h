/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID tells a guest: computed once per domain, a few words patched per vCPU at the exit. */
#ifndef MARGAY_CPUID_POLICY_H
#define MARGAY_CPUID_POLICY_H

#include <margay/vcpu.h>

/* The machine's answer. Unit tests bring a machine of their own. */
void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out);

/* 0 or -ENOMEM. d->nr_vcpus and `x86` (hvm.h) must be known. */
int cpuid_policy_init(struct domain *d);
void cpuid_policy_free(struct domain *d);
/* The answer for v, until the next call; what depends on v or its state (APIC id, OSXSAVE) is filled in. */
const struct cpuid_regs *cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf);

/* Bits a guest may set, derived from the policy. */
u64 cpuid_cr4_allowed(const struct domain *d);
u64 cpuid_efer_allowed(const struct domain *d);
u64 cpuid_xcr0_allowed(const struct domain *d);
/* The guest sees RDTSCP or RDPID, and so IA32_TSC_AUX. */
bool cpuid_has_tsc_aux(const struct domain *d);

#endif
