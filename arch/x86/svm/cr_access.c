/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulates accesses to control registers that exit on AMD-V. Margay keeps CR0.CD and CR0.NW clear
 * and CR4.MCE set, while the guest reads what it wrote; CR8 writes exit while an interrupt waits
 * for a lower TPR. The hardware has no masks for this (APM2 15.9), so the instruction is decoded
 * and checked here. APM3 MOV CRn, LMSW.
 */
#include <margay/guest_copy.h>
#include <x86/cpuid_policy.h>
#include <x86/decode.h>

#include "svm.h"

#define CR0_WRITABLE 0xe005003fUL
#define CR0_MSW 0xfUL
#define CR3_PCID 0xfffUL

/* A decoded access with a register operand. SMSW is a read of CR0. */
struct cr_access {
	enum { CR_WRITE, CR_READ, CR_CLTS, CR_LMSW } op;
	unsigned cr, reg, len, size;
};

/*
 * Decodes the instruction after its prefixes, 0F first. Returns false for other instructions and
 * for memory operands.
 */
static bool decode_op(const u8 *b, struct cr_access *a)
{
	a->reg |= b[2] & 7U;
	a->cr |= b[2] >> 3 & 7U;
	switch (b[1]) {
	case 0x06:
		a->op = CR_CLTS;
		break;
	case 0x20:
		a->op = CR_READ;
		return true;
	case 0x22:
		a->op = CR_WRITE;
		return true;
	case 0x01:
		if (b[2] >> 6 != 3 || (a->cr & 5) != 4)
			return false;
		a->op = a->cr & 2 ? CR_LMSW : CR_READ;
		break;
	default: return false;
	}
	a->cr = 0;
	return true;
}

static bool decode(struct vcpu *v, const struct vcpu_mode *m, struct cr_access *a)
{
	u8 b[INSN_MAX_LEN + 3] = { 0 };
	int n = (int)guest_fetch(v, m, b, INSN_MAX_LEN);
	struct insn_prefixes p;
	int at = insn_prefixes(b, (unsigned)n, (enum insn_mode)m->width, &p);

	if (at < 0 || b[at] != 0x0f)
		return false;
	/* LOCK acts as REX.R on AMD. */
	*a = (struct cr_access){ .cr = p.rex & REX_R || p.lock ? 8 : 0,
				 .reg = p.rex & REX_B ? 8 : 0 };
	a->len = (unsigned)at + (b[at + 1] == 0x06 ? 2 : 3);
	if (!decode_op(b + at, a) || n < (int)a->len)
		return false;
	if (b[at + 1] != 0x01)
		a->size = m->width == 64 ? 8 : 4;
	else
		a->size = p.rex & REX_W ? 8 : (m->width == 16) != p.opsize ? 2 : 4;
	return true;
}

void svm_set_cr0(struct vcpu *v, u64 val)
{
	struct vmcb *m = vmcb_of(v);
	u64 kept = val & (CR0_CD | CR0_NW);

	m->cr0 = (val & ~kept) | CR0_ET;
	svm(v)->cr0_kept = kept;
	m->intercept_cr &= ~(INTERCEPT_CR0_READ | INTERCEPT_CR0_WRITE);
	if (kept)
		m->intercept_cr |= INTERCEPT_CR0_READ | INTERCEPT_CR0_WRITE;
}

static bool guest_write_cr0(struct vcpu *v, const struct vcpu_mode *is, u64 val)
{
	struct vmcb *m = vmcb_of(v);
	u64 changed = val ^ is->cr0;

	if ((val >> 32) || ((val & CR0_PG) && !(val & CR0_PE)) ||
	    ((val & CR0_NW) && !(val & CR0_CD)))
		return false;
	if ((changed & CR0_PG) && (is->efer & EFER_LME)) {
		bool cs_l = m->cs.attr & CS_ATTR_L;

		if (cs_l || ((val & CR0_PG) ? !(is->cr4 & CR4_PAE) : !!(is->cr4 & CR4_PCIDE)))
			return false;
		m->efer ^= EFER_LMA;
	}
	svm_set_cr0(v, val & CR0_WRITABLE);
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		hvm->request_flush(v);
	return true;
}

static bool guest_write_cr4(struct vcpu *v, const struct vcpu_mode *is, u64 val)
{
	u64 changed = val ^ is->cr4;

	if (val & ~cpuid_cr4_allowed(v->domain))
		return false;
	if ((is->efer & EFER_LMA) && !(val & CR4_PAE))
		return false;
	if ((changed & val & CR4_PCIDE) && (!(is->efer & EFER_LMA) || (is->cr3 & CR3_PCID)))
		return false;
	vmcb_of(v)->cr4 = val | CR4_MCE;
	cpuid_follow(v);
	if (changed)
		hvm->request_flush(v);
	return true;
}

static bool guest_write_cr8(struct vcpu *v, u64 val)
{
	if (!(val >> 4))
		vlapic_set_cr8(v, (u8)val);
	return !(val >> 4);
}

/* Returns the CR0 that a writes. LMSW can set PE but not clear it. */
static u64 new_cr0(const struct cr_access *a, u64 cr0, u64 val)
{
	switch (a->op) {
	case CR_CLTS: return cr0 & ~CR0_TS;
	case CR_LMSW: return (cr0 & ~(CR0_MSW & ~CR0_PE)) | (val & CR0_MSW);
	default: return val;
	}
}

static bool guest_write_cr(struct vcpu *v, const struct vcpu_mode *m, const struct cr_access *a)
{
	u64 val = m->width == 64 ? v->regs.gpr[a->reg] : (u32)v->regs.gpr[a->reg];

	switch (a->cr) {
	case 0: return guest_write_cr0(v, m, new_cr0(a, m->cr0, val));
	case 4: return guest_write_cr4(v, m, val);
	case 8: return guest_write_cr8(v, val);
	default: return false;
	}
}

static void guest_read_cr(struct vcpu *v, const struct vcpu_mode *m, const struct cr_access *a)
{
	u64 *reg = &v->regs.gpr[a->reg], val = a->cr == 4 ? m->cr4 : m->cr0;

	if (a->size == 2)
		val = (*reg & ~0xffffUL) | (val & 0xffff);
	*reg = a->size == 4 ? (u32)val : val;
}

void svm_cr_exit(struct vcpu *v)
{
	struct vcpu_mode m;
	struct cr_access a;

	hvm->mode(v, &m);
	if (!decode(v, &m, &a)) {
		inject_ud(v);
	} else if (a.op == CR_READ) {
		guest_read_cr(v, &m, &a);
		guest_skip(v, a.len);
	} else if (guest_write_cr(v, &m, &a)) {
		guest_skip(v, a.len);
	} else {
		inject_gp(v);
	}
}
