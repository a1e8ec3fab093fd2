/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID for guests: computed once per domain; the exit patches a few words per vCPU. */
#pragma once

#include <margay/vcpu.h>
#include <x86/regs.h>

/* Executes CPUID on the machine. Unit tests replace it. */
void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out);
#ifdef MARGAY_UNIT
u32 cpuid_machine_ebx(u32 leaf, u32 subleaf);
#else
static inline u32 cpuid_machine_ebx(u32 leaf, u32 subleaf)
{
	u32 a, b, c, d;

	cpuid_count(leaf, subleaf, &a, &b, &c, &d);
	return b;
}
#endif

/* Initialises v's own results. */
void cpuid_vcpu_init(struct vcpu *v);
/* Updates the bits that follow CR4 and IA32_APIC_BASE. Called when either has changed. */
void cpuid_follow(struct vcpu *v);
/* Offers d the MTRRs, of which msr.c has none to set. Called when it gets its functions' bus. */
void cpuid_offer_mtrr(struct domain *d);
/* Returns the result for v, valid until the next call. */
const struct cpuid_regs *cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf);

/*
 * Features of leaf 1, EDX, that a guest from another hypervisor keeps: MCE, MCA, MTRR. There are no
 * machine checks to report and no MTRRs to set: msr.c.
 */
#define CPUID_MTRR BIT(12)
#define CPUID_MCA (BIT(7) | BIT(14))
#define CPUID_LATENT_1D ((u32)(CPUID_MTRR | CPUID_MCA))
/* Returns which of them d has. */
u32 cpuid_latent(const struct domain *d);

/* The bits that a guest may set, from the policy. */
u64 cpuid_cr4_allowed(const struct domain *d);
u64 cpuid_efer_allowed(const struct domain *d);
u64 cpuid_xcr0_allowed(const struct domain *d);

/* Returns p's result for leaf and subleaf. Bits that follow a vCPU's state are clear. */
struct cpuid_regs *cpuid_policy_at(struct cpuid_policy *p, u32 leaf, u32 sub);
/* Lowers the highest basic (leaf 0) or extended leaf (0x80000000). -EINVAL: p has fewer. */
int cpuid_policy_limit(struct cpuid_policy *p, u32 leaf, u32 max);
