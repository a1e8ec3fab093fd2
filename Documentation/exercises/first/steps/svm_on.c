/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 3: AMD-V. APM2 15.4, 15.30. */
#include "hv.h"

#define EFER 0xc0000080
#define EFER_SVME (1UL << 12)
#define VM_CR 0xc0010114
#define VM_CR_SVMDIS (1UL << 4)
#define VM_HSAVE_PA 0xc0010117

static u8 host_save[4096] __attribute__((aligned(4096)));

bool svm_present(void)
{
	return cpuid(0x80000000).eax >= 0x80000001 && cpuid(0x80000001).ecx & 4;
}

bool svm_on(void)
{
	if (rdmsr(VM_CR) & VM_CR_SVMDIS)
		return false;
	wrmsr(EFER, rdmsr(EFER) | EFER_SVME);
	wrmsr(VM_HSAVE_PA, (u64)host_save);	/* VMRUN saves our state here */
	return true;
}
