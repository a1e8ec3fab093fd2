/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 3: VT-x. SDM 3C 24.7, 3D A. */
#include "hv.h"

#define FEATURE_CONTROL 0x3a
#define FC_LOCKED 1UL
#define FC_VMX_OUTSIDE_SMX 4UL
#define VMX_BASIC 0x480
#define VMX_CR0_FIXED0 0x486
#define VMX_CR4_FIXED0 0x488
#define CR4_VMXE (1UL << 13)

static u32 vmxon_region[1024] __attribute__((aligned(4096)));

bool vmx_present(void)
{
	return cpuid(1).ecx & 1 << 5;
}

bool vmx_on(void)
{
	u64 region = (u64)vmxon_region, cr0, cr4;
	bool failed;

	if (!(rdmsr(FEATURE_CONTROL) & FC_LOCKED))
		wrmsr(FEATURE_CONTROL, rdmsr(FEATURE_CONTROL) | FC_LOCKED | FC_VMX_OUTSIDE_SMX);
	if (!(rdmsr(FEATURE_CONTROL) & FC_VMX_OUTSIDE_SMX))
		return false;
	__asm__("mov %%cr0, %0" : "=r"(cr0));
	__asm__("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | rdmsr(VMX_CR0_FIXED0)));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_VMXE | rdmsr(VMX_CR4_FIXED0)));
	vmxon_region[0] = (u32)rdmsr(VMX_BASIC);	/* the revision of the format */
	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
	return !failed;
}
