/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID tells a guest: computed once per domain, a few words patched per vCPU at the exit. */
#ifndef MARGAY_CPUID_POLICY_H
#define MARGAY_CPUID_POLICY_H

#include <margay/vcpu.h>

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

/* The machine's answer. Unit tests bring a machine of their own. */
#ifdef MARGAY_HOST
void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out);
#else
static inline void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	__asm__ volatile("cpuid"
			 : "=a"(out->eax), "=b"(out->ebx), "=c"(out->ecx), "=d"(out->edx)
			 : "a"(leaf), "c"(subleaf));
}
#endif

/* 0 or -ENOMEM. d->nr_vcpus and `x86` (hvm.h) must be known. */
int cpuid_policy_init(struct domain *d);
void cpuid_policy_free(struct domain *d);
/* The answer for v; what depends on the vCPU or its state (APIC id, OSXSAVE, XSAVE size) is filled in. */
void cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *out);

/*
 * XCR0 as it is now. While the vCPU's registers are in the CPU that is the place to ask: not every
 * emulator intercepts XSETBV.
 */
static inline u64 vcpu_xcr0(struct vcpu *v)
{
#ifndef MARGAY_HOST
	u32 lo, hi;

	if (v->xcr0 && this_cpu()->loaded == v) {
		__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		v->xcr0 = (u64)hi << 32 | lo;
	}
#endif
	return v->xcr0;
}

/* Bits a guest may set, derived from the policy. */
u64 cpuid_cr4_allowed(const struct domain *d);
u64 cpuid_efer_allowed(const struct domain *d);
u64 cpuid_xcr0_allowed(const struct domain *d);
/* The guest sees RDTSCP or RDPID, and so IA32_TSC_AUX. */
bool cpuid_has_tsc_aux(const struct domain *d);

#endif
