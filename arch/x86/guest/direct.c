/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts straight to the guest: a vCPU that owns its CPU uses the CPU's local APIC. When it
 * begins, the state of its virtual APIC goes there, and comes back when it ends. An interrupt that
 * other CPUs send in between is an IPI of the guest's own vector; one that comes late is taken by
 * Margay on the isolated CPU and is pending in the virtual APIC. All functions run on the vCPU's own
 * CPU with interrupts off. SDM 3A 11, APM2 16.
 *
 * In x2APIC mode only the registers of `open_regs` and the deadline timer are open; the others, the
 * ICR above all, exit and are virtual. A trusted domain has the whole page.
 */
#include <margay/isolate.h>
#include <margay/quiesce.h>
#include <margay/sched.h>
#include <x86/apic.h>
#include <x86/direct.h>
#include <x86/paging.h>

#include "guest.h"

#define LVT_OF_TIMER (APIC_LVT + 0x10 * LVT_TIMER)
#define ICR_SELF BIT(18)
#define ADOPT_TRIES 100000U

static const struct {
	u16 reg, n;
	bool rd, wr;
} open_regs[] = {
	{ APIC_TPR, 1, true, true },
	{ APIC_PPR, 1, true, false },
	{ APIC_EOI, 1, false, true },
	{ APIC_ISR, 24, true, false },	/* and TMR, IRR */
	{ APIC_SELF_IPI, 1, false, true },
};

static int open_msrs(struct vcpu *v, bool open)
{
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(open_regs); i++)
		for (u32 n = 0; n < open_regs[i].n && !rc; n++)
			rc = hvm->msr_exits(v, MSR_X2APIC_BASE + open_regs[i].reg / 16 + n,
					    !(open && open_regs[i].rd), !(open && open_regs[i].wr));
	return rc;
}

bool arch_vcpu_may_be_direct(const struct vcpu *v)
{
	const struct vlapic *vl = v->vlapic;

	/* Vectors below 32 cannot be put in service: on the host they are exceptions. */
	return vlapic_enabled(vl) && !*vlapic_reg(vl, APIC_ISR) &&
	       (v->domain->trusted ? !vlapic_x2apic(vl) : x86.x2apic && vlapic_x2apic(vl));
}

u32 arch_vcpu_apic_id(const struct vcpu *v) { return vlapic_id(v); }

bool arch_can_isolate(void) { return !x86.posting; }

int arch_map_apic(struct domain *d)
{
	return p2m_map(d, VLAPIC_BASE >> PAGE_SHIFT,
		       (rdmsr(MSR_APIC_BASE) & PTE_ADDR) >> PAGE_SHIFT, 0, P2M_MMIO);
}

void arch_unmap_apic(struct domain *d)
{
	p2m_unmap(d, VLAPIC_BASE >> PAGE_SHIFT, 1U << P2M_MMIO);
}

/*
 * Gives a running timer to the APIC: the page's any, in x2APIC mode only the TSC deadline, if the
 * guest's TSC is the machine's. Other timers stay virtual.
 */
static void timer_give(struct vlapic *vl)
{
	bool page = vl->v->domain->trusted;
	u32 lvt = vl->lvt[LVT_TIMER], count;
	u64 deadline;

	if (!page && (!x86.tsc_deadline || vl->v->tsc_offset || (lvt & LVT_MODE) != LVT_DEADLINE))
		return;
	timer_stop(&vl->timer);	/* it has raised its interrupt, or never will */
	count = vl->expires ? max(vlapic_timer_count(vl), 1U) : 0;
	deadline = vl->tsc_deadline;
	vlapic_timer_stop(vl);
	vl->tsc_deadline = 0;
	vl->timer_given = true;
	apic_write(LVT_OF_TIMER, lvt);
	if (page) {
		apic_write(APIC_TDCR, vl->tdcr);
		apic_write(APIC_TMICT, count && lvt & LVT_PERIODIC ? vl->tmict : count);
		return;
	}
	hvm->msr_exits(vl->v, MSR_TSC_DEADLINE, false, false);
	wrmsr(MSR_TSC_DEADLINE, deadline);
}

static void timer_take(struct vlapic *vl)
{
	u64 deadline;
	u32 count, before;

	if (!vl->timer_given)
		return;
	vl->timer_given = false;
	if (!vl->v->domain->trusted) {
		hvm->msr_exits(vl->v, MSR_TSC_DEADLINE, true, true);
		deadline = rdmsr(MSR_TSC_DEADLINE);
		apic_write(LVT_OF_TIMER, LVT_DEADLINE | LVT_MASKED);
		if (deadline)	/* else it has expired, and its interrupt is pending */
			vlapic_timer_deadline(vl, deadline);
		return;
	}
	vl->lvt[LVT_TIMER] = apic_read(LVT_OF_TIMER);
	before = apic_read(APIC_TMCCT);
	apic_write(LVT_OF_TIMER, vl->lvt[LVT_TIMER] | LVT_MASKED);
	count = apic_read(APIC_TMCCT);
	if (before && (!count || count > before)) /* expired meanwhile; may be pending already */
		vlapic_lvt_deliver(vl, LVT_TIMER);
	vl->tdcr = apic_read(APIC_TDCR);
	vl->tmict = apic_read(APIC_TMICT);
	apic_write(APIC_TMICT, 0);
	vlapic_timer_load(vl,
			  vl->tmict && vl->lvt[LVT_TIMER] & LVT_PERIODIC ? max(count, 1U) : count);
}

void direct_timer(struct vcpu *v, bool direct)
{
	if (!v->direct)
		return;
	if (direct)
		timer_give(v->vlapic);
	else
		timer_take(v->vlapic);
}

/*
 * Puts a vector in service in this CPU's APIC, in ascending order: takes its interrupt, without an
 * EOI.
 */
static void adopt(struct vcpu *v, u8 vector)
{
	struct cpu *c = v->cpu;

	c->adopted = vector;
	apic_send_ipi(c->apic_id, vector);
	for (unsigned i = 0; READ_ONCE(c->adopted) && i < ADOPT_TRIES; i++)
		arch_poll_irqs();
	c->adopted = 0;
}

static void enter(struct vcpu *v)
{
	struct vlapic *vl = v->vlapic;

	hvm->direct(v, true);
	if (!v->domain->trusted && open_msrs(v, true)) {
		hvm->direct(v, false);
		return;
	}
	for (u32 i = 32; i < 256; i++)
		if (*vlapic_reg(vl, APIC_ISR + i / 32 * 16) >> i % 32 & 1)
			adopt(v, (u8)i);
	for (u32 i = 0; i < 8; i++) {	/* those that hardware was to deliver */
		u32 *irr = vlapic_reg(vl, APIC_IRR + 16 * i);

		atomic_or(&vl->irr[i / 2], (u64)*irr << i % 2 * 32);
		*irr = 0;
	}
	if (v->domain->trusted) {
		apic_write(APIC_DFR, vl->dfr);
		apic_write(APIC_LDR, vl->ldr);
		apic_write(APIC_ICR_HIGH, (u32)(vl->icr >> 32));
		apic_write(APIC_LVT + 0x10 * LVT_PERF, vl->lvt[LVT_PERF]);
	}
	apic_write(APIC_SVR, vl->svr);
	v->direct = true;
	timer_give(vl);
	atomic_or(&v->pending, VCPU_WORK_LAPIC);
}

void direct_leave(struct vcpu *v)
{
	struct vlapic *vl = v->vlapic;
	unsigned n = 0;

	timer_take(vl);
	v->direct = false;
	hvm->direct(v, false);
	if (!v->domain->trusted)
		open_msrs(v, false);
	if (v->domain->trusted) {
		vl->lvt[LVT_PERF] = apic_read(APIC_LVT + 0x10 * LVT_PERF);
		vl->svr = apic_read(APIC_SVR);
		vl->dfr = apic_read(APIC_DFR);
		vl->ldr = apic_read(APIC_LDR);
		vl->icr = (u64)apic_read(APIC_ICR_HIGH) << 32 | (u32)vl->icr;
	}
	for (u32 i = 0; i < 8; i++) {
		u32 isr = apic_read(APIC_ISR + 16 * i);

		*vlapic_reg(vl, APIC_ISR + 16 * i) = isr;
		for (; isr; isr &= isr - 1)
			n++;
	}
	while (n--)	/* each ends the highest */
		apic_eoi();
	vlapic_by_hardware(v, false);	/* finds the highest in service */
	/* Taken as interrupts, what is pending moves to the virtual APIC; the rest is copied. */
	arch_cpu_isolate(true);
	atomic_or(&vl->irr[0], (u64)(apic_read(APIC_IRR) & ~0xffffU));
	atomic_or(&v->pending, VCPU_WORK_LAPIC | VCPU_WORK_NMI);
}

void direct_update(struct vcpu *v)
{
	const struct domain *d = v->domain;
	/* Whoever has the page uses that APIC, until isolate_trusted() takes the page away. */
	bool may = v->cpu->isolated &&
		   (d->trusted ? d->apic_mapped : d->isolation == ISOLATION_DONE) &&
		   (v->direct || arch_vcpu_may_be_direct(v));

	if (may && !v->direct)
		enter(v);
	else if (!may && v->direct)
		direct_leave(v);
}

void direct_outside(struct vcpu *v)
{
	apic_write(APIC_TPR, *vlapic_reg(v->vlapic, APIC_TPR));
	quiesce_outside();
}

void direct_inside(struct vcpu *v)
{
	quiesce_inside();
	*vlapic_reg(v->vlapic, APIC_TPR) = apic_read(APIC_TPR);
	if (v->domain->trusted) {	/* others look for the destinations of messages */
		v->vlapic->dfr = apic_read(APIC_DFR);
		v->vlapic->ldr = apic_read(APIC_LDR);
	}
	apic_write(APIC_TPR, TPR_ISOLATED);
}

void direct_interrupt(struct cpu *c, u8 vector)
{
	if (vector == c->adopted) {
		c->adopted = 0;
		return;
	}
	if (!apic_in_service(vector))	/* spurious: an EOI would end another */
		return;
	apic_eoi();
	set_bit(vector, c->owner->vlapic->irr);
	vcpu_post(c->owner, VCPU_WORK_LAPIC);
	vcpu_wake(c->owner);
}

void direct_move_irr(struct vcpu *v)
{
	for (u32 i = 0; i < 4; i++) {
		u64 *irr = &v->vlapic->irr[i], w = READ_ONCE(*irr) ? atomic_xchg(irr, 0UL) : 0;

		for (; w; w &= w - 1)
			apic_send_ipi(v->cpu->apic_id, i * 64 + (u32)__builtin_ctzl(w));
	}
	if (v->vlapic->timer_held)	/* its last tick is on its way */
		vlapic_timer_resume(v->vlapic);
}

void direct_put_back(u8 vector)
{
	if (!apic_in_service(vector))
		return;
	apic_eoi();
	apic_send_ipi(this_cpu()->apic_id, vector);
}
