/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers and their access instructions. SDM 4, APM2 appendix A. */
#pragma once

#include <margay/types.h>

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_PLATFORM_ID 0x17
#define MSR_UPDATE_TRIGGER 0x79
#define MSR_PATCH_LEVEL 0x8b
#define MSR_TSC_ADJUST 0x3b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB 1
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_PAT 0x277
#define MSR_FLUSH_CMD 0x10b
#define FLUSH_CMD_L1D 1
#define MSR_ARCH_CAPABILITIES 0x10a
#define ARCH_CAP_PSCHANGE_MC_NO BIT(6)
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_BASE 0x800
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_AMD_PATCH_LOADER 0xc0010020
#define MSR_VM_CR 0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define MSR_DE_CFG 0xc0011029
#define DE_CFG_LFENCE_SERIALIZE BIT(1)
#define DE_CFG_FP_BACKUP BIT(9) /* set it to mitigate Zenbleed */

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

/* Adds a faulting address and its continuation address to the exception table. */
#define EXTABLE(from, to) ".pushsection .extable,\"a\"; .quad " from ", " to "; .popsection\n"

/* Returns false, without changing *val, when the CPU raises #GP. */
static inline bool rdmsr_safe(u32 msr, u64 *val)
{
	u32 lo, hi;
	bool ok = false;

	__asm__ volatile("1: rdmsr; movb $1, %2; 2:\n" EXTABLE("1b", "2b")
			 : "=a"(lo), "=d"(hi), "+r"(ok)
			 : "c"(msr));
	if (ok)
		*val = (u64)hi << 32 | lo;
	return ok;
}

/* Returns false when the CPU raises #GP. */
static inline bool wrmsr_safe(u32 msr, u64 val)
{
	bool ok = false;

	__asm__ volatile("1: wrmsr; movb $1, %0; 2:\n" EXTABLE("1b", "2b")
			 : "+r"(ok)
			 : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32))
			 : "memory");
	return ok;
}
