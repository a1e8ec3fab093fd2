/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's state in Xen's records. xen/arch-x86/hvm/save.h */
#include "guest.h"

#include <xen/hvm/save.h>

#define ATTR_MASK 0xfffU
#define ATTR_PRESENT BIT(7)
#define MXCSR_OFFSET 24
#define MXCSR_VALID 0xffffU
#define MTRR_WB 6U
#define MTRR_ENABLE BIT(11)

/* The order of direct_msrs[]. */
enum { STATE_STAR, STATE_LSTAR, STATE_CSTAR, STATE_SFMASK, STATE_KERNEL_GS, STATE_SYSENTER_CS,
       STATE_SYSENTER_ESP, STATE_SYSENTER_EIP };

#define EACH_SEGMENT(X) \
	X(ES, es) X(CS, cs) X(SS, ss) X(DS, ds) X(FS, fs) X(GS, gs) X(LDTR, ldtr) X(TR, tr)
/* The general registers in the order of their encoding. */
#define EACH_REGISTER(X) \
	X(rax) X(rcx) X(rdx) X(rbx) X(rsp) X(rbp) X(rsi) X(rdi) \
	X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rip) X(rflags)
#define EACH_CONTROL(X) X(cr0) X(cr2) X(cr3) X(cr4) X(dr6) X(dr7)

void arch_vcpu_record(struct vcpu *v, struct hvm_hw_cpu *c)
{
	struct vcpu_state st;

	memset(c, 0, sizeof(*c));
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
	c->tsc = rdtsc() + v->tsc_offset;
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

int arch_vcpu_load_record(struct vcpu *v, const struct hvm_hw_cpu *c)
{
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
	if (!state_valid(v, &regs, &st) || !loadable(&st))
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
	return 0;
}

/* All memory is write-back, and guests have no MTRRs (cpuid.c); the tools want a record. */
void arch_mtrr_record(struct vcpu *v __unused, struct hvm_hw_mtrr *m)
{
	memset(m, 0, sizeof(*m));
	m->msr_pat_cr = PAT_RESET;
	m->msr_mtrr_def_type = MTRR_ENABLE | MTRR_WB;
}
