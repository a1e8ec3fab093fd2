/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUs of the machine have, and limits; filled at boot. arch/x86/cpu/features.c */
#ifndef X86_FEATURES_H
#define X86_FEATURES_H

#include <margay/types.h>

/* Features that guests may see, and limits. */
struct x86_features {
	u64 xcr0_mask;			/* XSAVE components that guests may enable */
	u32 xsave_size;			/* of xcr0_mask */
	u64 tsc_hz;
	bool invariant_tsc, tsc_adjust, tsc_deadline, x2apic, page1g, nested_page1g, xsave, rdtscp;
	bool lfence_serializes;
	bool fip_leaks;		/* FXRSTOR leaves the last x87 instruction of the vCPU before */
	bool itlb_multihit;	/* code in large pages of both kinds can stop the CPU */
	u8 phys_bits;
	u8 vendor;	/* whose CPUID leaves and MSRs it has: by its virtualization, not by name */
};
enum { X86_VENDOR_INTEL, X86_VENDOR_AMD };
extern struct x86_features x86;

void features_init(void);
void features_init_cpu(void);

#endif
