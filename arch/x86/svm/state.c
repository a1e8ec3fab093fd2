/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V: saves and restores a vCPU's state in its VMCB. APM2 15.5.1, appendix B. */
#include <x86/cpuid_policy.h>

#include "svm.h"

_Static_assert(offsetof(struct vmcb, cr2) - offsetof(struct vmcb, star) ==
		       NR_STATE_MSRS * sizeof(u64),
	       "the MSRs of a state, in its order");

/* The VMCB's segments are in encoding order and have the type that vcpu_state uses. */
void svm_set_state(struct vcpu *v, const struct vcpu_state *st)
{
	struct vmcb *m = vmcb_of(v);

	memset(&m->es, 0, sizeof(*m) - offsetof(struct vmcb, es));
	memcpy(&m->es, &st->seg[SEG_ES], 6 * sizeof(m->es));
	m->ldtr = st->seg[SEG_LDTR];
	m->tr = st->seg[SEG_TR];
	m->gdtr = st->gdtr;
	m->idtr = st->idtr;
	m->cpl = (m->ss.attr >> 5) & 3;
	svm_set_cr0(v, st->cr0);
	m->cr2 = st->cr2;
	m->cr3 = st->cr3;
	m->cr4 = st->cr4 | CR4_MCE;
	m->efer = st->efer | EFER_SVME;
	m->dr6 = st->dr6;
	m->dr7 = st->dr7;
	m->g_pat = st->pat;
	memcpy(&m->star, st->msr, sizeof(st->msr));
	svm_write_regs(m, &v->regs);
	m->eventinj = 0;
	m->v_irq = 0;
	m->v_tpr = 0;
	m->int_state = st->blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS) ? INT_SHADOW : 0;
	v->nmi_blocked = st->blocked & BLOCKED_BY_NMI;
	m->intercept1 &= ~(INTERCEPT_VINTR | INTERCEPT_IRET);
	if (v->nmi_blocked)
		m->intercept1 |= INTERCEPT_IRET;
	cpuid_follow(v);
}

void svm_get_state(struct vcpu *v, struct vcpu_state *st)
{
	struct vmcb *m = vmcb_of(v);
	struct svm_vcpu *s = svm(v);

	/* Cancel Margay's single step over an IRET: the IRET will exit again. */
	if (s->nmi_step) {
		s->nmi_step = false;
		s->iret_rip = 0;
		m->rflags &= ~RFLAGS_TF;
		m->intercept1 |= INTERCEPT_IRET;
	}
	svm_read_regs(m, &v->regs);
	v->regs.rflags = m->rflags;
	*st = (struct vcpu_state){ .cr0 = m->cr0 | s->cr0_kept,
				   .cr2 = m->cr2,
				   .cr3 = m->cr3,
				   .cr4 = m->cr4 & ~CR4_MCE,
				   .efer = m->efer & ~EFER_SVME,
				   .dr6 = m->dr6,
				   .dr7 = m->dr7,
				   .pat = m->g_pat,
				   .blocked = (m->int_state & INT_SHADOW ? BLOCKED_BY_STI : 0) |
					      (v->nmi_blocked ? BLOCKED_BY_NMI : 0),
				   .gdtr = m->gdtr,
				   .idtr = m->idtr };
	memcpy(&st->seg[SEG_ES], &m->es, 6 * sizeof(m->es));
	st->seg[SEG_LDTR] = m->ldtr;
	st->seg[SEG_TR] = m->tr;
	memcpy(st->msr, &m->star, sizeof(st->msr));
	/* SYSRET loads SS without its DPL. */
	st->seg[SEG_SS].attr = (u16)((m->ss.attr & ~0x60) | m->cpl << 5);
}

int svm_msrpm_set(u8 *map, u32 msr, bool rd, bool wr)
{
	u32 range = msr < 0x2000                  ? 0 :
		    msr >> 13 == 0xc0000000 >> 13 ? 1 :
						    2,
	    bit = msr % 0x2000 + range * 0x2000;
	u8 *byte = map + bit / 4, shift = bit % 4 * 2;

	if (range == 2 && msr >> 13 != 0xc0010000 >> 13)
		return -EINVAL;
	*byte = (u8)((*byte & ~(3 << shift)) | (rd | wr << 1) << shift);
	return 0;
}

int svm_msr_exits(struct vcpu *v, u32 msr, bool rd, bool wr)
{
	struct vmcb *m = vmcb_of(v);

	if (m->msrpm_pa == virt_to_phys(svm_msrpm)) {
		u8 *own = dom_alloc_meta(v->domain, MSRPM_PAGES);

		if (!own)
			return -ENOMEM;
		memcpy(own, svm_msrpm, MSRPM_PAGES * PAGE_SIZE);
		m->msrpm_pa = virt_to_phys(own);
	}
	return svm_msrpm_set(phys_to_virt(m->msrpm_pa), msr, rd, wr);
}
