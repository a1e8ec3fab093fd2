/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's state in Xen's records: the registers. vlapic_record.c has the local APIC's.
 * xen/arch-x86/hvm/save.h
 */
#include <x86/cpuid_policy.h>

#include "vcpu_records.h"

#define ATTR_MASK 0xfffU
#define ATTR_PRESENT BIT(7)
#define MXCSR_OFFSET 24
#define MXCSR_VALID 0xffffU
#define EVENT_VALID BIT(31)	/* of hvm_hw_cpu.pending_event: as in SDM 3C 27.2.1.3 */
#define EVENT_ERROR BIT(11)
#define EVENT_TYPE_SHIFT 8
#define EXCEPTIONS_WITH_ERROR                                                                   \
	(BIT(X86_DF) | BIT(X86_TS) | BIT(X86_NP) | BIT(X86_SS) | BIT(X86_GP) | BIT(X86_PF) |    \
	 BIT(X86_AC) | BIT(X86_CP))
#define XSAVE_BASE offsetof(struct hvm_hw_cpu_xsave, save_area)
#define XSAVE_FIXED (XSAVE_BASE + FXSAVE_SIZE + XSAVE_HEADER_SIZE)
#define MTRR_WB 6U
#define MTRR_ENABLE BIT(11)

/* The order of direct_msrs[]. */
enum { STATE_STAR, STATE_LSTAR, STATE_CSTAR, STATE_SFMASK, STATE_KERNEL_GS, STATE_SYSENTER_CS,
       STATE_SYSENTER_ESP, STATE_SYSENTER_EIP };

#define EACH_SELECTOR(X) X(ES, es) X(CS, cs) X(SS, ss) X(DS, ds) X(FS, fs) X(GS, gs)
#define EACH_SEGMENT(X) EACH_SELECTOR(X) X(LDTR, ldtr) X(TR, tr)
/* The general registers in the order of their encoding. */
#define EACH_REGISTER(X) \
	X(rax) X(rcx) X(rdx) X(rbx) X(rsp) X(rbp) X(rsi) X(rdi) \
	X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rip) X(rflags)
#define EACH_CONTROL(X) X(cr0) X(cr2) X(cr3) X(cr4) X(dr6) X(dr7)

/* Returns the event that v takes first: one whose delivery was interrupted, or an NMI. */
static u32 pending_event(const struct vcpu *v)
{
	const struct injection *i = &v->inject;

	if (i->valid)
		return EVENT_VALID | (i->has_error ? EVENT_ERROR : 0) |
		       (u32)i->type << EVENT_TYPE_SHIFT | i->vector;
	return v->nmi_pending ? EVENT_VALID | INJ_NMI << EVENT_TYPE_SHIFT | X86_NMI : 0;
}

static u32 save_cpu(struct vcpu *v, void *record)
{
	struct hvm_hw_cpu *c = record;
	struct vcpu_state st;

	hvm->get_state(v, &st);
	memcpy(c->fpu_regs, v->xsave, sizeof(c->fpu_regs));
	c->flags = XEN_X86_FPU_INITIALISED;
#define SAVE(r) c->r = v->regs.r;
	EACH_REGISTER(SAVE)
#undef SAVE
#define SAVE(r) c->r = st.r;
	EACH_CONTROL(SAVE)
#undef SAVE
#define SAVE(id, s)                                                                           \
	c->s##_sel = st.seg[SEG_##id].sel;                                                    \
	c->s##_limit = st.seg[SEG_##id].limit;                                                \
	c->s##_base = st.seg[SEG_##id].base;                                                  \
	c->s##_arbytes = st.seg[SEG_##id].attr;
	EACH_SEGMENT(SAVE)
#undef SAVE
	c->dr0 = v->dr[0];
	c->dr1 = v->dr[1];
	c->dr2 = v->dr[2];
	c->dr3 = v->dr[3];
	c->gdtr_base = st.gdtr.base;
	c->gdtr_limit = st.gdtr.limit;
	c->idtr_base = st.idtr.base;
	c->idtr_limit = st.idtr.limit;
	c->msr_star = st.msr[STATE_STAR];
	c->msr_lstar = st.msr[STATE_LSTAR];
	c->msr_cstar = st.msr[STATE_CSTAR];
	c->msr_syscall_mask = st.msr[STATE_SFMASK];
	c->shadow_gs = st.msr[STATE_KERNEL_GS];
	c->sysenter_cs = st.msr[STATE_SYSENTER_CS];
	c->sysenter_esp = st.msr[STATE_SYSENTER_ESP];
	c->sysenter_eip = st.msr[STATE_SYSENTER_EIP];
	c->msr_efer = st.efer;
	c->msr_tsc_aux = v->msr_tsc_aux;
	c->tsc = v->domain->record_tsc + v->tsc_offset;
	c->pending_event = pending_event(v);
	c->error_code = v->inject.error;
	return sizeof(*c);
}

/* Margay loads these itself, or the back-end does so in a way that must not fail. */
static bool loadable(const struct vcpu_state *st)
{
	const u64 addresses[] = {
		st->msr[STATE_LSTAR],	     st->msr[STATE_CSTAR],
		st->msr[STATE_KERNEL_GS],    st->msr[STATE_SYSENTER_ESP],
		st->msr[STATE_SYSENTER_EIP], st->gdtr.base,
		st->idtr.base,		     st->cr2,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++)
		if (!is_canonical(addresses[i], st->cr4))
			return false;
	for (unsigned i = 0; i < NR_SEGS; i++)
		if (!is_canonical(st->seg[i].base, st->cr4))
			return false;
	return !(st->msr[STATE_SFMASK] >> 32) && !(st->dr6 >> 32) && !(st->dr7 >> 32) &&
	       !(st->msr[STATE_SYSENTER_CS] >> 32);
}

/* Exceptions with an error code have one, as an entry checks. SDM 3C 27.2.1.3. */
static bool event_valid(const struct hvm_hw_cpu *c)
{
	u8 vector = (u8)c->pending_event;
	bool has_error = vector < 32 && EXCEPTIONS_WITH_ERROR >> vector & 1;

	if (!(c->pending_event & EVENT_VALID))
		return true;
	if (c->pending_event & ~(EVENT_VALID | EVENT_ERROR | 0x7ff) || c->error_code >> 16)
		return false;
	switch (c->pending_event >> EVENT_TYPE_SHIFT & 7) {
	case INJ_EXTINT: return vector >= 16 || vector == X86_NMI;
	case INJ_NMI: return vector == X86_NMI;
	case INJ_EXCEPTION:
		return vector < 32 && vector != X86_NMI &&
		       has_error == !!(c->pending_event & EVENT_ERROR);
	default:
		return true; /* of an instruction, which runs again */
	}
}

static int load_cpu(struct vcpu *v, const void *record, u32 n __unused)
{
	const struct hvm_hw_cpu *c = record;
	struct vcpu_state st = state_after_init();
	struct regs regs = { 0 };

#define LOAD(r) regs.r = c->r;
	EACH_REGISTER(LOAD)
#undef LOAD
#define LOAD(r) st.r = c->r;
	EACH_CONTROL(LOAD)
#undef LOAD
	/* The tools leave out what a new guest does not need. */
#define LOAD(id, s)                                                                           \
	if (c->s##_arbytes & ATTR_PRESENT || SEG_##id < SEG_LDTR)                             \
		st.seg[SEG_##id] = (struct vcpu_seg){ (u16)c->s##_sel,                        \
						      (u16)(c->s##_arbytes & ATTR_MASK),      \
						      c->s##_limit, c->s##_base };
	EACH_SEGMENT(LOAD)
#undef LOAD
	regs.rflags |= RFLAGS_FIXED;
	st.cr0 |= CR0_ET;
	st.gdtr = (struct vcpu_seg){ .limit = c->gdtr_limit, .base = c->gdtr_base };
	st.idtr = (struct vcpu_seg){ .limit = c->idtr_limit, .base = c->idtr_base };
	st.msr[STATE_STAR] = c->msr_star;
	st.msr[STATE_LSTAR] = c->msr_lstar;
	st.msr[STATE_CSTAR] = c->msr_cstar;
	st.msr[STATE_SFMASK] = c->msr_syscall_mask;
	st.msr[STATE_KERNEL_GS] = c->shadow_gs;
	st.msr[STATE_SYSENTER_CS] = c->sysenter_cs;
	st.msr[STATE_SYSENTER_ESP] = c->sysenter_esp;
	st.msr[STATE_SYSENTER_EIP] = c->sysenter_eip;
	st.efer = c->msr_efer;
	if (!state_valid(v, &regs, &st) || !loadable(&st) || !event_valid(c))
		return -EINVAL;
	state_reset(v);
	v->sipi_wait = false;
	v->dr[0] = c->dr0;
	v->dr[1] = c->dr1;
	v->dr[2] = c->dr2;
	v->dr[3] = c->dr3;
	v->msr_tsc_aux = (u32)c->msr_tsc_aux;
	if (c->flags & XEN_X86_FPU_INITIALISED) {
		memcpy(v->xsave, c->fpu_regs, sizeof(c->fpu_regs));
		*(u32 *)((u8 *)v->xsave + MXCSR_OFFSET) &= MXCSR_VALID;
	}
	v->regs = regs;
	hvm->set_state(v, &st);
	if (c->pending_event & EVENT_VALID)
		vcpu_interrupted_event(v, c->pending_event, c->error_code);
	/* A guest that the tools have just built counts as the machine does. */
	v->tsc_offset = c->tsc ? c->tsc - v->domain->record_tsc : 0;
	atomic_or(&v->pending, VCPU_WORK_TIME);
	v->initialised = true;
	vcpu_up(v);
	vcpu_wake(v);	/* from a HLT of another state's */
	return 0;
}

/* All memory is write-back, and guests can set no MTRRs (cpuid.c); the tools want a record. */
static u32 save_mtrr(struct vcpu *v, void *record)
{
	struct hvm_hw_mtrr *m = record;
	struct vcpu_state st;

	hvm->get_state(v, &st);
	m->msr_pat_cr = st.pat;
	m->msr_mtrr_def_type = MTRR_ENABLE | MTRR_WB;
	return sizeof(*m);
}

static int load_mtrr(struct vcpu *v, const void *record, u32 n __unused)
{
	const struct hvm_hw_mtrr *m = record;
	struct vcpu_state st;

	if (!pat_valid(m->msr_pat_cr))
		return -EINVAL;
	hvm->get_state(v, &st);
	st.pat = m->msr_pat_cr;
	hvm->set_state(v, &st);
	return 0;
}

static u32 save_xsave(struct vcpu *v, void *record)
{
	struct hvm_hw_cpu_xsave *x = record;

	if (!x86.xsave || VCPU_RECORD_MAX < XSAVE_BASE + x86.xsave_size)
		return 0;
	memcpy(&x->save_area, v->xsave, x86.xsave_size);
	x->xfeature_mask = x86.xcr0_mask;
	x->xcr0 = v->xcr0;
	x->xcr0_accum = v->xcr0 | x->save_area.xsave_hdr.xstate_bv;
	return (u32)(XSAVE_BASE + x86.xsave_size);
}

/* What XRSTOR refuses would be Margay's own fault. SDM 1 13. */
static int load_xsave(struct vcpu *v, const void *record, u32 n)
{
	const struct hvm_hw_cpu_xsave *x = record;
	const struct hvm_hw_cpu_xsave_hdr *h = &x->save_area.xsave_hdr;

	if (!x86.xsave || !xcr0_valid(v->domain, x->xcr0) ||
	    h->xstate_bv & ~cpuid_xcr0_allowed(v->domain) || h->xcomp_bv)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(h->reserved); i++)
		if (h->reserved[i])
			return -EINVAL;
	/* Components that this machine does not have are at the end, and were not used. */
	for (u32 i = (u32)XSAVE_BASE + x86.xsave_size; i < n; i++)
		if (((const u8 *)record)[i])
			return -EINVAL;
	memcpy(v->xsave, &x->save_area, x86.xsave_size);
	*(u32 *)((u8 *)v->xsave + MXCSR_OFFSET) &= MXCSR_VALID;
	v->xcr0 = x->xcr0;
	return 0;
}

/* hvm_msr with one MSR. */
struct one_msr {
	u32 count, unused;
	struct hvm_one_msr msr;
};

static u32 save_msr(struct vcpu *v, void *record)
{
	struct one_msr *m = record;

	if (!v->spec_ctrl)
		return 0;
	m->count = 1;
	m->msr.index = MSR_SPEC_CTRL;
	m->msr.val = v->spec_ctrl;
	return sizeof(*m);
}

/* Others that are 0 are as they are in a guest that does not have them. */
static int load_msr(struct vcpu *v, const void *record, u32 n)
{
	const struct one_msr *m = record;
	const struct hvm_one_msr *e = &m->msr;

	if (m->count > (n - offsetof(struct one_msr, msr)) / sizeof(*e))
		return -EINVAL;
	for (u32 i = 0; i < m->count; i++)
		if (e[i].val &&
		    (e[i].index != MSR_SPEC_CTRL || guest_wrmsr(v, e[i].index, e[i].val)))
			return -EINVAL;
	return 0;
}

const struct vcpu_record vcpu_records[] = {
	{ HVM_SAVE_CODE(CPU), true, offsetof(struct hvm_hw_cpu, flags), sizeof(struct hvm_hw_cpu),
	  save_cpu, load_cpu },
	{ HVM_SAVE_CODE(LAPIC), false, offsetof(struct hvm_hw_lapic, tdt_msr),
	  sizeof(struct hvm_hw_lapic), save_lapic, load_lapic },
	{ HVM_SAVE_CODE(LAPIC_REGS), false, sizeof(struct hvm_hw_lapic_regs),
	  sizeof(struct hvm_hw_lapic_regs), save_lapic_regs, load_lapic_regs },
	{ HVM_SAVE_CODE(MTRR), false, sizeof(struct hvm_hw_mtrr), sizeof(struct hvm_hw_mtrr),
	  save_mtrr, load_mtrr },
	{ CPU_XSAVE_CODE, true, XSAVE_FIXED, VCPU_RECORD_MAX, save_xsave, load_xsave },
	{ CPU_MSR_CODE, true, sizeof(struct one_msr) - sizeof(struct hvm_one_msr), VCPU_RECORD_MAX,
	  save_msr, load_msr },
	{ .save = NULL },
};

void arch_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	struct cpu_user_regs *r = &c->user_regs;
	struct vcpu_state st;

	hvm->get_state(v, &st);
	memcpy(&c->fpu_ctxt, v->xsave, sizeof(c->fpu_ctxt));
	c->flags = VGCF_i387_valid | (vcpu_online(v) ? VGCF_online : 0);
#define GET(reg) r->reg = v->regs.reg;
	EACH_REGISTER(GET)
#undef GET
#define GET(id, s) r->s = st.seg[SEG_##id].sel;
	EACH_SELECTOR(GET)
#undef GET
	c->ctrlreg[0] = st.cr0;
	c->ctrlreg[2] = st.cr2;
	c->ctrlreg[3] = st.cr3;
	c->ctrlreg[4] = st.cr4;
	memcpy(c->debugreg, v->dr, sizeof(v->dr));
	c->debugreg[6] = st.dr6;
	c->debugreg[7] = st.dr7;
	c->fs_base = st.seg[SEG_FS].base;
	c->gs_base_kernel = st.seg[SEG_GS].base;
	c->gs_base_user = st.msr[STATE_KERNEL_GS];
	if (st.seg[SEG_CS].sel & 3) {
		c->gs_base_kernel = st.msr[STATE_KERNEL_GS];
		c->gs_base_user = st.seg[SEG_GS].base;
	}
}

int arch_vcpu_set_user_regs(struct vcpu *v, const struct cpu_user_regs *r)
{
	struct regs regs;
	struct vcpu_state st;

	hvm->get_state(v, &st);
	regs = v->regs;
#define SET(reg) regs.reg = r->reg;
	EACH_REGISTER(SET)
#undef SET
	regs.rflags |= RFLAGS_FIXED;
	if (!state_valid(v, &regs, &st))
		return -EINVAL;
	v->regs = regs;
	hvm->set_state(v, &st);
	return 0;
}
