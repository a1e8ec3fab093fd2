/* SPDX-License-Identifier: BSD-2-Clause */
/* Features of the machine's CPUs, and limits; set at boot. arch/x86/cpu/features.c */
#pragma once

#include <margay/types.h>

/* Features that guests may see, and limits. */
struct x86_features {
	u64 xcr0_mask;			/* XSAVE components that guests may enable */
	u32 xsave_size;			/* for xcr0_mask */
	u64 nested_dirty; /* bit of a written page's nested leaf; without one, the right to write */
	u64 tsc_hz;
	bool invariant_tsc, tsc_adjust, tsc_deadline, x2apic, page1g, nested_page1g, xsave;
	bool tsc_aux;		/* RDTSCP or RDPID, hence IA32_TSC_AUX */
	bool lfence_serializes;
	bool fip_leaks;		/* FXRSTOR leaves FIP, FDP and FOP of the previous vCPU */
	bool virt_spec_ctrl;	/* AMD: VMRUN switches SPEC_CTRL */
	bool posting;		/* CPUs take interrupts that an IOMMU posts to a vCPU */
	bool itlb_multihit;	/* code in large pages can cause a machine check */
	u8 phys_bits;
	u8 vendor;	/* whose CPUID leaves and MSRs: by back-end, not by name */
};
enum { X86_VENDOR_INTEL, X86_VENDOR_AMD };
extern struct x86_features x86;

void features_init(void);
void features_init_cpu(void);
bool under_tcg(void);	/* Returns whether the machine is QEMU's TCG. */
/* Prints the CPU, its features, the mitigations and the memory map: option report=. describe.c */
void machine_describe(void);
