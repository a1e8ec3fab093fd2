/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control, debug and flags registers by the manuals' names, and their access instructions. SDM 3A
 * 2.5.
 */
#pragma once

#include <margay/lib.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)

/* The components of XCR0, SDM 1 13.1. */
#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU BIT(9)

/* The parts that every XSAVE area has. */
#define FXSAVE_SIZE 512U
#define XSAVE_HEADER_SIZE 64U

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_FFXSR BIT(14)
#define EFER_AIBRSE BIT(21)

#define DR6_B 0xfUL
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR7_GD BIT(13)

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)
#define RFLAGS_AC BIT(18)

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static inline void cpuid_count(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(sub));
}

#define DEFINE_REG(name)                                                                      \
	static inline u64 read_##name(void)                                                   \
	{                                                                                     \
		u64 v;                                                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v));                            \
		return v;                                                                     \
	}                                                                                     \
	static inline void write_##name(u64 v)                                                \
	{                                                                                     \
		__asm__ volatile("mov %0, %%" #name ::"r"(v) : "memory");                     \
	}
DEFINE_REG(cr0)
DEFINE_REG(cr2)
DEFINE_REG(cr3)
DEFINE_REG(cr4)
DEFINE_REG(dr6)

#ifndef MARGAY_UNIT
/* Reads the guest's PKRU: CR4.PKE is clear while Margay runs, and the register keeps its value. */
static inline u32 read_pkru(void)
{
	u64 cr4 = read_cr4();
	u32 pkru;

	write_cr4(cr4 | CR4_PKE);
	__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	write_cr4(cr4);
	return pkru;
}
#endif

static inline void write_xcr0(u64 v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
