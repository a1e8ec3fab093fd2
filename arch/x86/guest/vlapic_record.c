/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC in Xen's records: its mode and the deadline of its timer, and the page of registers,
 * which comes after. The vCPU runs on no CPU. xen/arch-x86/hvm/save.h, SDM 3A table 11-1
 */
#include <x86/cpuid_policy.h>

#include "vcpu_records.h"

#define REG_SIZE 16U

u32 save_lapic(struct vcpu *v, void *record)
{
	struct hvm_hw_lapic *l = record;

	vlapic_timer_settle(v->vlapic);
	l->apic_base_msr = v->vlapic->base;
	l->disabled = (v->vlapic->svr & SVR_ENABLE ? 0 : 1) |
		      (vlapic_hw_enabled(v->vlapic) ? 0 : 2);
	l->timer_divisor = 1U << vlapic_divide_shift(v->vlapic->tdcr);
	l->tdt_msr = v->vlapic->tsc_deadline;
	return sizeof(*l);
}

int load_lapic(struct vcpu *v, const void *record, u32 n __unused)
{
	const struct hvm_hw_lapic *l = record;
	struct vlapic *vl = v->vlapic;
	u64 mode = l->apic_base_msr & (APIC_BASE_EN | APIC_BASE_EXTD);

	if ((l->apic_base_msr & ~(mode | APIC_BASE_BSP)) != VLAPIC_BASE || mode == APIC_BASE_EXTD)
		return -EINVAL;
	vlapic_init_regs(vl);
	vl->base = VLAPIC_BASE | mode | (vl->base & APIC_BASE_BSP);
	vl->tsc_deadline = l->tdt_msr;
	return 0;
}

u32 save_lapic_regs(struct vcpu *v, void *record)
{
	u32 *page = record;

	for (u32 offset = 0; offset < sizeof(struct hvm_hw_lapic_regs); offset += REG_SIZE)
		page[offset / sizeof(*page)] = (u32)vlapic_peek(v->vlapic, offset).val;
	return sizeof(struct hvm_hw_lapic_regs);
}

/* Sets the registers but for the timer's counts. Bits that the guest could not set are dropped. */
static void load_regs(struct vlapic *vl, const u32 *page)
{
#define REG(offset) page[(offset) / sizeof(*page)]
	vl->svr = REG(APIC_SVR) & SVR_VALID;
	vl->ldr = REG(APIC_LDR) & 0xff000000;
	vl->dfr = REG(APIC_DFR) | 0x0fffffff;
	vl->esr = REG(APIC_ESR);
	vl->icr = (u64)REG(APIC_ICR_HIGH) << 32 | (REG(APIC_ICR) & ICR_VALID);
	vl->tdcr = REG(APIC_TDCR) & TDCR_VALID;
	vl->tmict = REG(APIC_TMICT);
	for (u32 i = 0; i < NR_LVTS; i++)
		vl->lvt[i] = (REG(APIC_LVT + REG_SIZE * i) & vlapic_lvt_valid[i]) |
			     (vl->svr & SVR_ENABLE ? 0 : LVT_MASKED);
	*vlapic_reg(vl, APIC_TPR) = REG(APIC_TPR) & 0xff;
	for (u32 i = 0; i < 8; i++) {
		u32 at = REG_SIZE * i, legal = i ? ~0U : ~0xffffU;

		*vlapic_reg(vl, APIC_ISR + at) = REG(APIC_ISR + at) & legal;
		*vlapic_reg(vl, APIC_TMR + at) = vl->has_level ? REG(APIC_TMR + at) & legal : 0;
		atomic_or(&vl->irr[i / 2], (u64)(REG(APIC_IRR + at) & legal) << i % 2 * 32);
	}
	vlapic_by_hardware(vl->v, false);	/* finds the highest in service */
}

int load_lapic_regs(struct vcpu *v, const void *record, u32 n __unused)
{
	struct vlapic *vl = v->vlapic;
	const u32 *page = record;
	u64 deadline = vl->tsc_deadline;

	vlapic_init_regs(vl);
	load_regs(vl, page);
	if ((vl->lvt[LVT_TIMER] & LVT_MODE) == LVT_DEADLINE)
		vlapic_timer_deadline(vl, deadline);
	else	/* Xen's pages lack the count: then it is the whole time again */
		vlapic_timer_load(vl, REG(APIC_TMCCT) ? REG(APIC_TMCCT) : vl->tmict);
#undef REG
	v->moved = true;	/* its timer follows it */
	atomic_or(&v->pending, VCPU_WORK_LAPIC | VCPU_WORK_EVENT);
	cpuid_follow(v);
	return 0;
}
