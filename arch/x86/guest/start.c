/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The initial states of a vCPU: after INIT and SIPI, and those that VCPUOP_initialise sets. SDM 3A
 * 10.1, xen/hvm/hvm_vcpu.h.
 */
#include <x86/cpuid_policy.h>

#include "guest.h"

#define RFLAGS_VALID 0x3d7fd7UL /* not VM: no task starts in virtual-8086 mode */
#define DR6_RESET 0xffff0ff0UL
#define DR7_RESET 0x400UL

#define ATTR_CODE16 0x09b
#define ATTR_DATA16 0x093
#define ATTR_CODE64 0xa9b
#define ATTR_DATA32 0xc93
#define ATTR_LDT 0x082
#define ATTR_TSS 0x08b

void state_reset(struct vcpu *v)
{
	context_reset(v);
	v->inject.valid = false;
	v->nmi_pending = v->nmi_blocked = false;
	v->waiting_window = 0;
}

static struct vcpu_seg segment(u16 sel, u16 attr, u32 limit, u64 base)
{
	return (struct vcpu_seg){ sel, attr, limit, base };
}

struct vcpu_state state_after_init(void)
{
	return (struct vcpu_state){ .cr0 = CR0_ET,
				    .dr6 = DR6_RESET,
				    .dr7 = DR7_RESET,
				    .pat = PAT_RESET,
				    .seg[SEG_LDTR] = segment(0, ATTR_LDT, 0xffff, 0),
				    .seg[SEG_TR] = segment(0, ATTR_TSS, 0xffff, 0),
				    .gdtr.limit = 0xffff,
				    .idtr.limit = 0xffff };
}

/* SDM 3A table 10-1, APM2 14.1.3. */
static void start_real_mode(struct vcpu *v, u16 cs, u64 cs_base, u64 rip)
{
	struct vcpu_state st = state_after_init();

	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		st.seg[i] = segment(0, ATTR_DATA16, 0xffff, 0);
	st.seg[SEG_CS] = segment(cs, ATTR_CODE16, 0xffff, cs_base);
	memset(&v->regs, 0, sizeof(v->regs));
	v->regs.rip = rip;
	v->regs.rflags = RFLAGS_FIXED;
	hvm->set_state(v, &st);
}

void arch_vcpu_reset(struct vcpu *v)
{
	state_reset(v);
	start_real_mode(v, 0xf000, 0xffff0000, 0xfff0);
}

void arch_vcpu_start_sipi(struct vcpu *v, u8 vector)
{
	start_real_mode(v, (u16)(vector << 8), (u64)vector << 12, 0);
}

bool state_valid(const struct vcpu *v, const struct regs *r, const struct vcpu_state *st)
{
	bool pg = st->cr0 & CR0_PG, lma = st->efer & EFER_LMA;

	if ((st->cr0 >> 32) || (pg && !(st->cr0 & CR0_PE)) ||
	    ((st->cr0 & CR0_NW) && !(st->cr0 & CR0_CD)))
		return false;
	if ((st->cr4 & ~cpuid_cr4_allowed(v->domain)) ||
	    (st->efer & ~(cpuid_efer_allowed(v->domain) | EFER_LMA)))
		return false;
	if (lma != (pg && (st->efer & EFER_LME)) || (lma && !(st->cr4 & CR4_PAE)) ||
	    (!lma && (st->cr4 & CR4_PCIDE)))
		return false;
	if ((r->rflags & ~RFLAGS_VALID) || !is_canonical(r->rip, st->cr4))
		return false;
	return st->cr3 < 1UL << x86.phys_bits;
}

#define AR_TYPE_CODE BIT(3)
#define AR_TYPE_WRITE BIT(1)
#define AR_TYPE_READ BIT(1)	/* of code */
#define AR_TYPE 0xfU
#define AR_TYPE_TSS32 0x9U
#define AR_TYPE_BUSY 2U
#define AR_S BIT(4)
#define AR_DPL 0x60U
#define AR_P BIT(7)
#define AR_L BIT(9)
#define AR_UNUSED 0xf000U

/* Code and stack segments must be present; data segments may be absent. SDM 3C 27.3.1.2. */
static bool segments_valid(const struct vcpu_hvm_x86_32 *x)
{
	const u16 data[] = { x->ds_ar, x->es_ar };

	if ((x->cs_ar & (AR_P | AR_S | AR_TYPE_CODE | AR_L | AR_UNUSED)) !=
	    (AR_P | AR_S | AR_TYPE_CODE))
		return false;
	if ((x->ss_ar & (AR_P | AR_S | AR_TYPE_CODE | AR_TYPE_WRITE | AR_UNUSED)) !=
	    (AR_P | AR_S | AR_TYPE_WRITE))
		return false;
	if ((x->cs_ar ^ x->ss_ar) & AR_DPL)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		if ((data[i] & AR_P) && ((data[i] & (AR_S | AR_UNUSED)) != AR_S ||
					 (data[i] & (AR_TYPE_CODE | AR_TYPE_READ)) == AR_TYPE_CODE))
			return false;
	return (x->tr_ar & ((AR_TYPE & ~AR_TYPE_BUSY) | AR_P | AR_S | AR_UNUSED)) ==
	       (AR_P | AR_TYPE_TSS32);
}

static void context_32(const struct vcpu_hvm_x86_32 *x, struct regs *r, struct vcpu_state *st)
{
	/* The general registers are in encoding order. */
	for (unsigned i = 0; i < 8; i++)
		r->gpr[i] = (&x->eax)[i];
	r->rip = x->eip;
	r->rflags = x->eflags | RFLAGS_FIXED;
	st->cr0 = x->cr0 | CR0_ET;
	st->cr3 = x->cr3;
	st->cr4 = x->cr4;
	st->efer = x->efer;
	st->seg[SEG_CS] = segment(0, x->cs_ar & 0xfff, x->cs_limit, x->cs_base);
	st->seg[SEG_SS] = segment(0, x->ss_ar & 0xfff, x->ss_limit, x->ss_base);
	st->seg[SEG_DS] = segment(0, x->ds_ar & 0xfff, x->ds_limit, x->ds_base);
	st->seg[SEG_ES] = segment(0, x->es_ar & 0xfff, x->es_limit, x->es_base);
	st->seg[SEG_FS] = st->seg[SEG_GS] = st->seg[SEG_ES];
	st->seg[SEG_TR] = segment(0, x->tr_ar & 0xfff, x->tr_limit, x->tr_base);
}

static void context_64(const struct vcpu_hvm_x86_64 *x, struct regs *r, struct vcpu_state *st)
{
	for (unsigned i = 0; i < 8; i++)
		r->gpr[i] = (&x->rax)[i];
	r->rip = x->rip;
	r->rflags = x->rflags | RFLAGS_FIXED;
	st->cr0 = x->cr0 | CR0_ET;
	st->cr3 = x->cr3;
	st->cr4 = x->cr4;
	st->efer = x->efer;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		st->seg[i] = segment(0x10, ATTR_DATA32, ~0U, 0);
	st->seg[SEG_CS] = segment(0x08, ATTR_CODE64, ~0U, 0);
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_hvm_context *ctx)
{
	struct vcpu_state st = state_after_init();
	struct regs regs = { 0 };
	bool ok = false;

	if (ctx->mode == VCPU_HVM_MODE_32B) {
		context_32(&ctx->cpu_regs.x86_32, &regs, &st);
		ok = segments_valid(&ctx->cpu_regs.x86_32);
	} else if (ctx->mode == VCPU_HVM_MODE_64B) {
		context_64(&ctx->cpu_regs.x86_64, &regs, &st);
		ok = st.efer & EFER_LMA;
	}
	if (!ok || !state_valid(v, &regs, &st))
		return -EINVAL;
	state_reset(v);
	v->sipi_wait = false; /* a later SIPI does not start it again */
	v->regs = regs;
	hvm->set_state(v, &st);
	return 0;
}
