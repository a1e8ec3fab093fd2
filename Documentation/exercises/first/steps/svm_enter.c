/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 4: a guest on AMD-V. APM2 15.5, appendices B and C. */
#include "hv.h"

#define INTERCEPTS 0x00c	/* offsets in the VMCB */
#define INTERCEPTS_2 0x010
#define ASID 0x058
#define EXIT_CODE 0x070
#define STATE_ES 0x400
#define STATE_CS 0x410
#define STATE_SS 0x420
#define STATE_DS 0x430
#define STATE_EFER 0x4d0
#define STATE_CR4 0x548
#define STATE_CR3 0x550
#define STATE_CR0 0x558
#define STATE_RFLAGS 0x570
#define STATE_RIP 0x578
#define STATE_RSP 0x5d8
#define STATE_RAX 0x5f8

#define INTERCEPT_CPUID (1U << 18)
#define INTERCEPT_HLT (1U << 24)
#define INTERCEPT_VMRUN 1U	/* required */
#define EXIT_CPUID 0x72
#define EXIT_HLT 0x78

static u8 vmcb[4096] __attribute__((aligned(4096)));

static u64 *state(unsigned offset)
{
	return (u64 *)(vmcb + offset);
}

static void segment(unsigned offset, u16 selector, u16 attributes)
{
	*state(offset) = selector | (u64)attributes << 16 | 0xffffffffUL << 32;
}

/* The guest begins at rip, in 64-bit mode, with our own page tables: it could touch all we have. */
void svm_prepare(const u8 *rip)
{
	u64 cr0, cr4;

	__asm__("mov %%cr0, %0" : "=r"(cr0));
	__asm__("mov %%cr4, %0" : "=r"(cr4));
	*(u32 *)(vmcb + INTERCEPTS) = INTERCEPT_CPUID | INTERCEPT_HLT;
	*(u32 *)(vmcb + INTERCEPTS_2) = INTERCEPT_VMRUN;
	*(u32 *)(vmcb + ASID) = 1;
	segment(STATE_CS, 0x08, 0x29b);
	segment(STATE_SS, 0x10, 0xc93);
	segment(STATE_DS, 0x10, 0xc93);
	segment(STATE_ES, 0x10, 0xc93);
	*state(STATE_EFER) = rdmsr(0xc0000080);
	*state(STATE_CR0) = cr0;
	*state(STATE_CR3) = (u64)pml4;
	*state(STATE_CR4) = cr4;
	*state(STATE_RFLAGS) = 2;
	*state(STATE_RIP) = (u64)rip;
	*state(STATE_RSP) = (u64)guest_stack;
}

void svm_switch(struct regs *r, void *vmcb);	/* switch.asm */

enum why svm_enter(struct regs *r)
{
	*state(STATE_RAX) = r->rax;
	svm_switch(r, vmcb);
	r->rax = *state(STATE_RAX);
	switch (*state(EXIT_CODE)) {
	case EXIT_HLT:
		return WHY_HLT;
	case EXIT_CPUID:
		return WHY_CPUID;
	}
	return WHY_OTHER;
}

void svm_skip(unsigned len)
{
	*state(STATE_RIP) += len;
}
