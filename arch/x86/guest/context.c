/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU registers that neither back-end switches: XSAVE state (switched eagerly, at every change
 * of vCPU), debug registers, TSC_AUX. SDM 1 13, 3B 18.2.
 */
#include <x86/direct.h>
#include <x86/pmu.h>
#include <x86/spec.h>

#include "guest.h"

#define FCW_RESET 0x037f
#define MXCSR_RESET 0x1f80

/*
 * Uses plain XSAVE, which writes every component: XSAVEOPT may skip some after the state has moved.
 */
static void fpu_save(struct vcpu *v)
{
	u64 mask = x86.xcr0_mask;
	u32 lo, hi;

	if (!x86.xsave) {
		__asm__ volatile("fxsave64 (%0)" ::"r"(v->xsave) : "memory");
		return;
	}
	/* Not every emulator intercepts XSETBV, so read the guest's XCR0 from the CPU. */
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	v->xcr0 = (u64)hi << 32 | lo;
	write_xcr0(mask);
	__asm__ volatile("xsave64 (%0)" ::"r"(v->xsave), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

static void fpu_restore(struct vcpu *v)
{
	static const u32 zero;
	u32 lo = (u32)x86.xcr0_mask, hi = (u32)(x86.xcr0_mask >> 32);

	/*
	 * With no exception pending, FXRSTOR leaves FIP, FDP and FOP alone: load our own values
	 * first.
	 */
	if (x86.fip_leaks)
		__asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(zero));
	if (!x86.xsave) {
		__asm__ volatile("fxrstor64 (%0)" ::"r"(v->xsave) : "memory");
		return;
	}
	/* While no guest's registers are loaded, XCR0 holds Margay's value with all features. */
	__asm__ volatile("xrstor64 (%0)" ::"r"(v->xsave), "a"(lo), "d"(hi) : "memory");
	write_xcr0(v->xcr0);
}

void arch_vcpu_load(struct vcpu *v)
{
	if (hvm->load)
		hvm->load(v);
	/*
	 * Flush the branch predictor: one vCPU's training must not steer another vCPU. A returning
	 * vCPU needs the flush too: its kernel's own barriers ran on the other CPU.
	 */
	if (spec.actions & SPEC_IBPB)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	fpu_restore(v);
	__asm__ volatile(
		"mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3" ::"r"(v->dr[0]),
		"r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]));
	if (x86.tsc_aux)
		wrmsr(MSR_TSC_AUX, v->msr_tsc_aux);
	if (unlikely(v->pmu))
		pmu_load(v);
}

void arch_vcpu_save(struct vcpu *v)
{
	if (unlikely(v->direct))
		direct_leave(v);
	if (unlikely(v->pmu))
		pmu_save(v);
	if (hvm->save)
		hvm->save(v);
	fpu_save(v);
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(v->dr[0]), "=r"(v->dr[1]), "=r"(v->dr[2]), "=r"(v->dr[3]));
}

void context_reset(struct vcpu *v)
{
	u8 *x = v->xsave;

	memset(x, 0, x86.xsave_size);
	*(u16 *)x = FCW_RESET;
	*(u32 *)(x + 24) = MXCSR_RESET;
	/* XSTATE_BV: x87 and SSE come from the values above; the rest is in its initial state. */
	*(u64 *)(x + FXSAVE_SIZE) = 3;
	v->xcr0 = x86.xsave;
	memset(v->dr, 0, sizeof(v->dr));
	v->msr_tsc_aux = 0;
	v->spec_ctrl = 0;
	if (this_cpu()->loaded == v) {
		if (x86.xsave)
			write_xcr0(x86.xcr0_mask);
		arch_vcpu_load(v);
	}
}
