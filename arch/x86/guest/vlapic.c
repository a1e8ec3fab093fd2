/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's local APIC: registers, priorities, xAPIC page and x2APIC MSRs. The timer is in
 * vlapic_timer.c, interprocessor interrupts in vlapic_ipi.c. Other CPUs set bits in IRR atomically;
 * there is no lock. APIC id = vCPU id; in xAPIC mode its lower 8 bits. SDM 3A 11.
 */
#include <margay/sched.h>
#include <x86/apic.h>
#include <x86/direct.h>
#include <x86/posting.h>
#include <x86/vioapic.h>

#include "guest.h"

#define APIC_VERSION_VALUE (0x14U | (NR_LVTS - 1) << 16)
#define DFR_FLAT 0xffffffffU

/*
 * Writable bits. Delivery status (12) and remote IRR (14) read 0; writes to them are accepted in
 * any mode.
 */
const u32 vlapic_lvt_valid[NR_LVTS] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};
#define LVT_READ_ONLY 0x5000U

int vlapic_create(struct vcpu *v)
{
	struct vlapic *vl = kzalloc(sizeof(*vl));

	if (!vl)
		return -ENOMEM;
	vl->page = dom_alloc_meta(v->domain, 1);
	if (!vl->page) {
		kfree(vl);
		return -ENOMEM;
	}
	vl->v = v;
	v->vlapic = vl;
	v->arch_timer = &vl->timer;
	v->sipi_wait = v->id != 0;
	timer_init(&vl->timer, vlapic_timer_fired);
	vl->timer.owner = v;
	vl->has_level = v->domain->hardware;
	vl->base = VLAPIC_BASE | APIC_BASE_EN | (v->id == 0 ? APIC_BASE_BSP : 0);
	vlapic_init_regs(vl);
	return 0;
}

void vlapic_destroy(struct vcpu *v)
{
	if (!v->vlapic)
		return;
	vlapic_timer_stop(v->vlapic);
	/* Also waits for a timer that has fired and has not yet raised its interrupt. */
	timer_stop(&v->vlapic->timer);
	posting_free(v);
	dom_free_meta(v->domain, v->vlapic->page, 1);
	kfree(v->vlapic);
	v->vlapic = NULL;
}

void vlapic_init_regs(struct vlapic *vl)
{
	vlapic_timer_stop(vl);
	memset(vl->page, 0, PAGE_SIZE);
	vl->isr = -1;
	vl->ldr = vl->esr = vl->tmict = vl->tdcr = 0;
	vl->dfr = DFR_FLAT;
	vl->svr = 0xff;
	vl->icr = vl->ipi_next = 0;
	vl->tsc_deadline = 0;
	for (unsigned i = 0; i < NR_LVTS; i++)
		vl->lvt[i] = LVT_MASKED;
	for (unsigned i = 0; i < 4; i++)
		atomic_store(&vl->irr[i], 0);
	atomic_store(&vl->esr_new, 0);
}

static __always_inline int highest(const u64 *bits)
{
	/* Usually no interrupt is pending. */
	if (likely(!(READ_ONCE(bits[0]) | READ_ONCE(bits[1]) | READ_ONCE(bits[2]) |
		     READ_ONCE(bits[3]))))
		return -1;
	for (int i = 3; i >= 0; i--) {
		u64 w = READ_ONCE(bits[i]);

		if (w)
			return i * 64 + 63 - __builtin_clzl(w);
	}
	return -1;
}

/* Returns the highest bit of one of the page's sets, which have 32 bits every 16 bytes. */
static int highest_in_page(const struct vlapic *vl, u32 set)
{
	for (int i = 7; i >= 0; i--) {
		u32 w = READ_ONCE(*vlapic_reg(vl, set + 0x10 * (u32)i));

		if (w)
			return i * 32 + 31 - __builtin_clz(w);
	}
	return -1;
}

static __always_inline int highest_irr(const struct vlapic *vl)
{
	int irr = highest(vl->irr), in_page;

	if (likely(!vl->by_hardware))
		return irr;
	in_page = highest_in_page(vl, APIC_IRR);
	return max(irr, in_page);
}

static u32 *word_of(struct vlapic *vl, u32 set, u8 vector)
{
	return vlapic_reg(vl, set + 0x10U * (vector / 32));
}

/* Hardware changes the page's ISR; otherwise vl->isr follows all changes, as the page does. */
static int highest_isr(const struct vlapic *vl)
{
	return unlikely(vl->slow) ? highest_in_page(vl, APIC_ISR) : vl->isr;
}

u8 vlapic_ppr(const struct vlapic *vl)
{
	int isr = highest_isr(vl);
	u8 tpr = (u8)*vlapic_reg(vl, APIC_TPR);

	if (isr < 0 || tpr >> 4 >= isr >> 4)
		return tpr;
	return isr & 0xf0;
}

int vlapic_pending(struct vcpu *v)
{
	const struct vlapic *vl = v->vlapic;
	int irr = highest_irr(vl);

	if (irr < 0 || !vlapic_enabled(vl) || irr >> 4 <= vlapic_ppr(vl) >> 4)
		return -1;
	return irr;
}

bool vlapic_held_by_tpr(struct vcpu *v)
{
	const struct vlapic *vl = v->vlapic;
	int irr = highest(vl->irr), isr;

	if (irr < 0 || !vlapic_enabled(vl) || irr >> 4 > vlapic_get_cr8(v))
		return false;
	isr = highest_isr(vl);
	return isr < 0 || irr >> 4 > isr >> 4;
}

void vlapic_accept(struct vcpu *v, u8 vector)
{
	struct vlapic *vl = v->vlapic;

	clear_bit(vector, vl->irr);
	*word_of(vl, APIC_ISR, vector) |= 1U << vector % 32;
	vl->isr = vector;
	if (unlikely(vl->timer_held))
		vlapic_timer_resume(vl);
}

void *vlapic_page(struct vcpu *v)
{
	return v->vlapic->page;
}

/* Hardware delivery needs x2APIC mode and an enabled APIC: hardware ignores SVR. */
bool vlapic_by_hardware(struct vcpu *v, bool can)
{
	struct vlapic *vl = v->vlapic;

	vl->by_hardware = can && vlapic_x2apic(vl) && vlapic_enabled(vl);
	vl->isr = highest_in_page(vl, APIC_ISR);
	return vl->by_hardware;
}

u16 vlapic_sync_irr_to_page(struct vcpu *v)
{
	struct vlapic *vl = v->vlapic;
	int irr, isr;

	for (u32 i = 0; i < 4; i++) {
		u64 w = READ_ONCE(vl->irr[i]) ? atomic_xchg(&vl->irr[i], 0UL) : 0;

		*vlapic_reg(vl, APIC_IRR + 0x20 * i) |= (u32)w;
		*vlapic_reg(vl, APIC_IRR + 0x20 * i + 0x10) |= (u32)(w >> 32);
	}
	if (unlikely(vl->timer_held))
		vlapic_timer_resume(vl);
	irr = highest_in_page(vl, APIC_IRR);
	isr = highest_in_page(vl, APIC_ISR);
	return (u16)(max(irr, 0) | max(isr, 0) << 8);
}

/* Takes the highest vector out of ISR. */
static void end_service(struct vlapic *vl, u8 vector)
{
	*word_of(vl, APIC_ISR, vector) &= ~(1U << vector % 32);
	vl->isr = highest_in_page(vl, APIC_ISR);
}

void vlapic_unaccept(struct vcpu *v, u8 vector)
{
	if (unlikely(v->direct))
		direct_put_back(vector);
	if (highest_isr(v->vlapic) != vector)
		return;
	end_service(v->vlapic, vector);
	set_bit(vector, v->vlapic->irr);
}

/* Posts work if a pending interrupt may be deliverable now. Own CPU. */
static void look_again(struct vlapic *vl)
{
	if (highest_irr(vl) >= 0)
		atomic_or(&vl->v->pending, VCPU_WORK_LAPIC);
}

void vlapic_error(struct vlapic *vl, u32 bits)
{
	atomic_or(&vl->esr_new, bits);
	vlapic_lvt_deliver(vl, LVT_ERROR);
}

bool arch_vcpu_interrupt(struct vcpu *v, u8 vector)
{
	struct vlapic *vl = v->vlapic;
	bool new;

	if (unlikely(vector < 16)) {
		/* If the error interrupt's own vector is illegal, it cannot report the error. */
		new = !(atomic_or(&vl->esr_new, ESR_RECV_ILLEGAL) & ESR_RECV_ILLEGAL);
		if ((vl->lvt[LVT_ERROR] & 0xff) >= 16)
			new |= vlapic_lvt_deliver(vl, LVT_ERROR);
		return new;
	}
	if (unlikely(v->direct)) {	/* else late: direct_interrupt() takes it */
		apic_send_ipi(v->cpu->apic_id, vector);
		return true;
	}
	/*
	 * If the bit was already set, its setter has notified the vCPU. A vCPU halted with IF clear
	 * stays halted.
	 */
	new = !test_and_set_bit(vector, vl->irr);
	if (new) {
		vcpu_post(v, VCPU_WORK_LAPIC);
		if (!READ_ONCE(v->halted) || arch_vcpu_has_interrupt(v))
			vcpu_wake(v);
	}
	return new;
}

/* Delivers an LVT interrupt, in fixed mode only: no pin can raise NMI, ExtINT or SMI. Any CPU. */
bool vlapic_lvt_deliver(struct vlapic *vl, unsigned lvt)
{
	u32 val = READ_ONCE(vl->lvt[lvt]);

	return !(val & LVT_MASKED) && vlapic_enabled(vl) && arch_vcpu_interrupt(vl->v, (u8)val);
}

void arch_vcpu_upcall(struct vcpu *v)
{
	if (vlapic_enabled(v->vlapic))
		arch_vcpu_interrupt(v, v->upcall_vector);
}

void vlapic_end_level(struct vcpu *v, u8 vector)
{
	u32 bit = 1U << vector % 32;

	if (!(READ_ONCE(*word_of(v->vlapic, APIC_TMR, vector)) & bit))
		return;
	atomic_and(word_of(v->vlapic, APIC_TMR, vector), ~bit);
	vioapic_eoi(v->domain, vector);
}

static __noinline void eoi_slow(struct vlapic *vl)
{
	int vector = highest_in_page(vl, APIC_ISR);

	if (vector < 0)
		return;
	end_service(vl, (u8)vector);
	vlapic_end_level(vl->v, (u8)vector);
	look_again(vl);
}

static void eoi(struct vlapic *vl)
{
	if (unlikely(vl->slow)) {
		eoi_slow(vl);
	} else if (vl->isr >= 0) {
		end_service(vl, (u8)vl->isr);
		look_again(vl);
	}
}

void vlapic_level(struct vlapic *vl, u8 vector)
{
	atomic_or(word_of(vl, APIC_TMR, vector), 1U << vector % 32);
	arch_vcpu_interrupt(vl->v, vector);
}

void vlapic_eoi_exits(struct vcpu *v, u64 *bits)
{
	for (u32 i = 0; i < 8; i++)
		((u32 *)bits)[i] = READ_ONCE(*vlapic_reg(v->vlapic, APIC_TMR + 0x10 * i));
}

u8 vlapic_get_cr8(struct vcpu *v)
{
	return (u8)(*vlapic_reg(v->vlapic, APIC_TPR) >> 4);
}

/*
 * Sets the TPR. Posts work even with nothing pending: the back-end copies the TPR to the hardware's
 * CR8.
 */
static void set_tpr(struct vlapic *vl, u32 tpr)
{
	*vlapic_reg(vl, APIC_TPR) = tpr & 0xff;
	atomic_or(&vl->v->pending, VCPU_WORK_LAPIC);
}

void vlapic_set_cr8(struct vcpu *v, u8 cr8)
{
	set_tpr(v->vlapic, (u32)cr8 << 4);
}

/* After a change of the mode: the APIC of the vCPU's own CPU may serve now, or does no more. */
static void follow_mode(struct vlapic *vl)
{
	struct vcpu *v = vl->v;

	if (likely(!v->core))
		return;
	if (v->direct && !arch_vcpu_may_be_direct(v))
		direct_leave(v);
	if (v->direct)
		apic_write(APIC_SVR, vl->svr);
	atomic_or(&v->cpu->work, CPU_WORK_RESCHED);
	if (v->domain->trusted)
		cpu_raise(housekeeping_cpu, CPU_WORK_GUESTS);
}

static void write_svr(struct vlapic *vl, u32 val)
{
	vl->svr = val & SVR_VALID;
	/* Hardware delivery may change, and an upcall may have waited. */
	atomic_or(&vl->v->pending, VCPU_WORK_LAPIC | VCPU_WORK_EVENT);
	follow_mode(vl);
	for (unsigned i = 0; !(val & SVR_ENABLE) && i < NR_LVTS; i++)
		vl->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct vlapic *vl, unsigned i, u32 val)
{
	u32 old = vl->lvt[i];

	val &= vlapic_lvt_valid[i];
	if (!(vl->svr & SVR_ENABLE))
		val |= LVT_MASKED;
	WRITE_ONCE(vl->lvt[i], val);
	if (i != LVT_TIMER)
		return;
	direct_timer(vl->v, false);
	vlapic_timer_lvt(vl, old);
	direct_timer(vl->v, true);
}

/* Returns the bits that a write to a register may set; in x2APIC mode other bits raise #GP. */
static u32 valid_bits(u32 offset)
{
	switch (offset) {
	case APIC_EOI:
	case APIC_ESR: return 0;
	case APIC_TPR: return 0xff;
	case APIC_SVR: return SVR_VALID;
	case APIC_TDCR: return TDCR_VALID;
	case APIC_LVT ... APIC_LVT + 0x10 * (NR_LVTS - 1):
		return vlapic_lvt_valid[index_nospec((offset - APIC_LVT) / 0x10, NR_LVTS)] |
		       LVT_READ_ONLY;
	default:
		return ~0U;
	}
}

/*
 * Writes a register that both modes have, except ID, LDR and ICR. False: no such register, or an
 * invalid value.
 */
static bool write_reg(struct vlapic *vl, u32 offset, u32 val)
{
	if (vlapic_x2apic(vl) &&
	    ((val & ~valid_bits(offset)) ||
	     (offset == APIC_LVT + 0x10 * LVT_TIMER && (val & LVT_MODE) == LVT_MODE)))
		return false;
	switch (offset) {
	case APIC_EOI: eoi(vl); break;
	case APIC_SVR: write_svr(vl, val); break;
	case APIC_ESR:
		vl->esr = atomic_xchg(&vl->esr_new, 0);
		if (vl->timer_held)
			vlapic_timer_resume(vl);
		break;
	case APIC_TMICT: vlapic_timer_start(vl, val); break;
	case APIC_TDCR: vlapic_timer_divide(vl, val & TDCR_VALID); break;
	case APIC_TPR: set_tpr(vl, val); break;
	case APIC_LVT ... APIC_LVT + 0x10 * (NR_LVTS - 1):
		write_lvt(vl, (u32)index_nospec((offset - APIC_LVT) / 0x10, NR_LVTS), val);
		break;
	default: return false;
	}
	return true;
}

/* Reads a register whose value is computed. Not inlined: its calls need a stack frame. */
static __noinline struct msr_read read_computed(struct vlapic *vl, u32 reg)
{
	switch (reg) {
	case APIC_PPR / 16: return (struct msr_read){ vlapic_ppr(vl), 0 };
	case APIC_LDR / 16:
		return (struct msr_read){ vlapic_x2apic(vl) ? vlapic_logical_id(vl) : vl->ldr, 0 };
	case APIC_TMCCT / 16: return (struct msr_read){ vlapic_timer_count(vl), 0 };
	default: return (struct msr_read){ 0, -EPERM };
	}
}

/* Reads register `reg`, at offset 16 * reg in the page. */
static __always_inline struct msr_read read_reg(struct vlapic *vl, u32 reg)
{
	struct msr_read r = { 0, 0 };

	switch (reg) {
	case APIC_ID / 16: r.val = vlapic_id(vl->v) << (vlapic_x2apic(vl) ? 0 : 24); break;
	case APIC_VERSION / 16: r.val = APIC_VERSION_VALUE; break;
	case APIC_SVR / 16: r.val = vl->svr; break;
	case APIC_ESR / 16: r.val = vl->esr; break;
	case APIC_ICR / 16: r.val = vl->icr; break;
	case APIC_TMICT / 16: r.val = vl->tmict; break;
	case APIC_TDCR / 16: r.val = vl->tdcr; break;
	case APIC_TPR / 16:
	case APIC_ISR / 16 ... APIC_TMR / 16 + 7: r.val = *vlapic_reg(vl, reg * 16); break;
	case APIC_IRR / 16 ... APIC_IRR / 16 + 7:
		r.val = READ_ONCE(((u32 *)vl->irr)[reg % 8]) | *vlapic_reg(vl, reg * 16);
		break;
	case APIC_LVT / 16 ... APIC_LVT / 16 + NR_LVTS - 1:
		r.val = vl->lvt[index_nospec(reg - APIC_LVT / 16, NR_LVTS)];
		break;
	default: return read_computed(vl, reg);
	}
	return r;
}

struct msr_read vlapic_peek(struct vlapic *vl, u32 offset)
{
	switch (offset) {
	case APIC_APR: return (struct msr_read){ vlapic_ppr(vl), 0 };
	case APIC_DFR: return (struct msr_read){ vl->dfr, 0 };
	case APIC_ICR_HIGH: return (struct msr_read){ (u32)(vl->icr >> 32), 0 };
	case APIC_EOI:
	case APIC_RRD: return (struct msr_read){ 0, 0 };
	default: return read_reg(vl, offset / 16);
	}
}

u32 vlapic_read(struct vcpu *v, u32 offset)
{
	struct msr_read r = vlapic_peek(v->vlapic, offset);

	if (r.err)
		vlapic_error(v->vlapic, ESR_ILLEGAL_REG);
	return (u32)r.val;
}

void vlapic_write(struct vcpu *v, u32 offset, u32 val)
{
	struct vlapic *vl = v->vlapic;

	switch (offset) {
	case APIC_ICR:
		vl->icr = (vl->icr & ~0xffffffffUL) | (val & ICR_VALID);
		vlapic_send_icr(vl);
		break;
	case APIC_ICR_HIGH: vl->icr = (u32)vl->icr | (u64)(val & 0xff000000) << 32; break;
	case APIC_LDR: vl->ldr = val & 0xff000000; break;
	case APIC_DFR: vl->dfr = val | 0x0fffffff; break;
	case APIC_APR:
	case APIC_RRD:
		break;
	default:
		/* Writes to read-only registers are ignored. */
		if (!write_reg(vl, offset, val) && read_reg(vl, offset / 16).err)
			vlapic_error(vl, ESR_ILLEGAL_REG);
	}
}

/*
 * Allowed changes: disabled -> xAPIC -> x2APIC -> disabled; the page does not move. SDM 3A 11.12.5.
 */
static int write_base(struct vlapic *vl, u64 val)
{
	u64 mode = val & (APIC_BASE_EN | APIC_BASE_EXTD);
	u64 old = vl->base & (APIC_BASE_EN | APIC_BASE_EXTD);

	if ((val & ~(APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP)) != VLAPIC_BASE)
		return -EPERM;
	if (mode == APIC_BASE_EXTD || (old == 0 && (mode & APIC_BASE_EXTD)) ||
	    ((old & APIC_BASE_EXTD) && mode == APIC_BASE_EN))
		return -EPERM;
	vl->base = VLAPIC_BASE | mode | (vl->base & APIC_BASE_BSP);
	atomic_or(&vl->v->pending, VCPU_WORK_LAPIC);
	follow_mode(vl);
	if (!mode && old)
		vlapic_init_regs(vl);
	else if ((mode & ~old) & APIC_BASE_EXTD)
		vl->icr = 0;
	return 0;
}

struct msr_read vlapic_read_base(struct vcpu *v)
{
	return (struct msr_read){ v->vlapic->base, 0 };
}

struct msr_read vlapic_read_x2apic(struct vcpu *v, u32 reg)
{
	struct vlapic *vl = v->vlapic;

	return likely(vlapic_x2apic(vl)) ? read_reg(vl, reg) : (struct msr_read){ 0, -EPERM };
}

int vlapic_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
	struct vlapic *vl = v->vlapic;
	u32 offset;

	if (msr == MSR_TSC_DEADLINE) {
		vlapic_timer_deadline(vl, val);
		return 0;
	}
	if (msr == MSR_APIC_BASE)
		return write_base(vl, val);
	if (!vlapic_x2apic(vl))
		return -EPERM;
	offset = (msr - MSR_X2APIC_BASE) * 16;
	switch (offset) {
	case APIC_ICR:
		if ((u32)val & ~ICR_VALID)
			return -EPERM;
		vl->icr = val;
		vlapic_send_icr(vl);
		return 0;
	case APIC_SELF_IPI:
		if (val >> 8)
			return -EPERM;
		if (vl->svr & SVR_ENABLE)
			arch_vcpu_interrupt(v, (u8)val);
		return 0;
	}
	return !(val >> 32) && write_reg(vl, offset, (u32)val) ? 0 : -EPERM;
}
