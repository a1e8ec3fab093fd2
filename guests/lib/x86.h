/* SPDX-License-Identifier: BSD-2-Clause */
/* One inline function per privileged instruction, and the register bits the guests use. */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#include "types.h"

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MTRR_CAP		0xfe
#define MSR_PAT			0x277
#define MSR_MTRR_DEF		0x2ff
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC		0x800
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102

#define EFER_SCE		(1u << 0)
#define EFER_LME		(1u << 8)
#define EFER_LMA		(1u << 10)
#define EFER_NXE		(1u << 11)
#define CR0_TS			(1ul << 3)
#define CR0_WP			(1ul << 16)
#define CR4_PAE			(1ul << 5)
#define CR4_OSXSAVE		(1ul << 18)
#define RFLAGS_TF		(1ul << 8)
#define RFLAGS_IF		(1ul << 9)

#define PTE_P			(1ull << 0)
#define PTE_RW			(1ull << 1)
#define PTE_US			(1ull << 2)
#define PTE_A			(1ull << 5)
#define PTE_D			(1ull << 6)
#define PTE_PS			(1ull << 7)
#define PTE_NX			(1ull << 63)

/* Exception vectors, by the manual's names. */
enum { X86_DE = 0, X86_DB = 1, X86_NMI = 2, X86_BP = 3, X86_OF = 4, X86_UD = 6, X86_NM = 7,
       X86_DF = 8, X86_TS = 10, X86_NP = 11, X86_SS = 12, X86_GP = 13, X86_PF = 14, X86_MF = 16,
       X86_AC = 17, X86_XM = 19 };

struct cpuid_regs {
	uint32_t a, b, c, d;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}

/* Auth(enticAMD) or Hygo(nGenuine), whose CPUs follow AMD's manual. */
static inline bool cpu_is_amd(void)
{
	uint32_t vendor = cpuid(0, 0).b;

	return vendor == 0x68747541 || vendor == 0x6f677948;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
	asm volatile("wrmsr" :: "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
		     : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline uint64_t xgetbv(uint32_t n)
{
	uint32_t lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(n));
	return (uint64_t)hi << 32 | lo;
}

static inline void xsetbv(uint32_t n, uint64_t val)
{
	asm volatile("xsetbv" :: "c"(n), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)));
}

#define X86_CR(n)									\
static inline uint64_t read_cr##n(void)							\
{											\
	uint64_t v;									\
	asm volatile("mov %%cr" #n ", %0" : "=r"(v) :: "memory");			\
	return v;									\
}											\
static inline void write_cr##n(uint64_t v)						\
{											\
	asm volatile("mov %0, %%cr" #n :: "r"(v) : "memory");				\
}
X86_CR(0)
X86_CR(2)
X86_CR(3)
X86_CR(4)
X86_CR(8)

#define X86_DR(n)									\
static inline uint64_t read_dr##n(void)							\
{											\
	uint64_t v;									\
	asm volatile("mov %%dr" #n ", %0" : "=r"(v) :: "memory");			\
	return v;									\
}											\
static inline void write_dr##n(uint64_t v)						\
{											\
	asm volatile("mov %0, %%dr" #n :: "r"(v) : "memory");				\
}
X86_DR(0)
X86_DR(1)
X86_DR(2)
X86_DR(3)
X86_DR(6)
X86_DR(7)

#define X86_IO(name, type, suffix)							\
static inline type in##suffix(uint16_t port)						\
{											\
	type v;										\
	asm volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port));			\
	return v;									\
}											\
static inline void out##suffix(uint16_t port, type v)					\
{											\
	asm volatile("out" #suffix " %0, %1" :: "a"(v), "Nd"(port));			\
}
X86_IO(byte, uint8_t, b)
X86_IO(word, uint16_t, w)
X86_IO(long, uint32_t, l)

static inline void irq_enable(void)
{
	asm volatile("sti; nop" ::: "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" ::: "memory");
}

/* Enables interrupts and halts, without a window between the two. */
static inline void irq_enable_and_halt(void)
{
	asm volatile("sti; hlt" ::: "memory");
}

/*
 * For each iteration of a wait loop. STI followed by CLI lets no interrupt in, so it has no effect;
 * but on Bochs 2.7 the host's interrupts end a guest that was entered with IF clear only after IF
 * changed.
 */
static inline void cpu_pause(void)
{
	uint64_t flags;

	asm volatile("pause; pushfq; pop %0" : "=r"(flags) :: "memory");
	if (!(flags & 0x200))
		asm volatile("sti; cli" ::: "memory");
}

static inline void mfence(void)
{
	asm volatile("mfence" ::: "memory");
}

static inline void invlpg(const void *p)
{
	asm volatile("invlpg (%0)" :: "r"(p) : "memory");
}

#endif
