/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: saves and restores a vCPU's state in its VMCS, which must be current. SDM 3C 25.4, 27.3.1.
 */
#include <margay/guest_copy.h>
#include <x86/cpuid_policy.h>
#include <x86/paging.h>

#include "vmx.h"

/* The words that vcpu_state and the VMCS hold in the same form. */
static const struct {
	u16 field, offset;
} words[] = {
#define WORD(f, member) { f, offsetof(struct vcpu_state, member) }
	WORD(GUEST_CR3, cr3),
	WORD(GUEST_EFER, efer),
	WORD(GUEST_PAT, pat),
	WORD(GUEST_DR7, dr7),
	WORD(GUEST_SYSENTER_CS, msr[NR_SWITCHED_MSRS]),
	WORD(GUEST_SYSENTER_ESP, msr[NR_SWITCHED_MSRS + 1]),
	WORD(GUEST_SYSENTER_EIP, msr[NR_SWITCHED_MSRS + 2]),
	WORD(GUEST_GDTR_BASE, gdtr.base),
	WORD(GUEST_IDTR_BASE, idtr.base),
	WORD(PENDING_DEBUG, pending_debug),
#undef WORD
};

/*
 * Writes a segment so that it passes the entry checks, as if the guest had loaded it. SDM 3C
 * 27.3.1.2.
 */
static void write_segment(unsigned n, const struct vcpu_seg *seg)
{
	u32 limit = seg->limit, rights = (seg->attr & 0xffU) | (seg->attr & 0xf00U) << 4;

	if (limit >> 20) {
		limit |= 0xfff;
		rights |= RIGHTS_G;
	} else if (~limit & 0xfff) {
		rights &= ~(u32)RIGHTS_G;
	}
	if (!(rights & RIGHTS_P))
		rights |= RIGHTS_UNUSABLE;
	else if (n == SEG_TR)
		rights |= RIGHTS_BUSY_TSS;
	else if (n != SEG_LDTR)
		rights |= RIGHTS_ACCESSED;
	vmwrite(GUEST_ES_SEL + 2 * n, seg->sel);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
	vmwrite(GUEST_ES_RIGHTS + 2 * n, rights);
	vmwrite(GUEST_ES_BASE + 2 * n, seg->base);
}

struct vcpu_seg vmx_seg(struct vcpu *v __unused, unsigned n)
{
	u32 rights = (u32)vmread(GUEST_ES_RIGHTS + 2 * n);

	if (rights & RIGHTS_UNUSABLE)
		rights &= ~(u32)RIGHTS_P;
	return (struct vcpu_seg){ (u16)vmread(GUEST_ES_SEL + 2 * n),
				  (u16)((rights & 0xff) | (rights >> 4 & 0xf00)),
				  (u32)vmread(GUEST_ES_LIMIT + 2 * n),
				  vmread(GUEST_ES_BASE + 2 * n) };
}

/*
 * Writes the four top-level entries, which are part of the state with PAE paging. Those with
 * reserved bits become absent: an entry would fail. SDM 3C 27.3.1.6.
 */
static void write_pdptes(struct vcpu *v, const struct vcpu_state *st)
{
	u64 pdpte[4] = { 0 }, reserved = ~((1UL << x86.phys_bits) - 1) | 0x1e6;

	if ((st->cr0 & CR0_PG) && (st->cr4 & CR4_PAE) && !(st->efer & EFER_LMA) &&
	    copy_from_gpa(v->domain, pdpte, st->cr3 & 0xffffffe0, sizeof(pdpte)))
		pdpte[0] = 0;
	for (unsigned i = 0; i < 4; i++)
		vmwrite(GUEST_PDPTE0 + 2 * i,
			(pdpte[i] & (PTE_P | reserved)) == PTE_P ? pdpte[i] : 0);
}

int vmx_bitmap_set(u8 *bitmap, u32 msr, bool rd, bool wr)
{
	u8 *byte = bitmap + (msr & 0x1fff) / 8 + (msr >= 0xc0000000 ? 1024 : 0),
	   bit = (u8)(1 << msr % 8);

	if ((msr & ~0xc0001fffU) || (msr >> 30 && msr >> 30 != 3))
		return -EINVAL;
	byte[0] = (u8)((byte[0] & ~bit) | (rd ? bit : 0));
	byte[2048] = (u8)((byte[2048] & ~bit) | (wr ? bit : 0));
	return 0;
}

void vmx_write_state(struct vcpu *v, const struct vcpu_state *st)
{
	struct vmx_vcpu *s = vmx(v);

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		vmwrite(words[i].field, *(const u64 *)((const u8 *)st + words[i].offset));
	vmwrite(ENTRY_CONTROLS, s->controls.entry | (st->efer & EFER_LMA ? ENTRY_IA32E : 0));
	vmwrite(ENTRY_EVENT, 0);
	vmwrite(GUEST_CR0, (st->cr0 & ~CR0_OWNED) | CR0_NE);
	vmwrite(CR0_SHADOW, st->cr0);
	vmwrite(GUEST_CR4, st->cr4 | CR4_VMXE | CR4_MCE);
	vmwrite(CR4_SHADOW, 0);
	vmwrite(GUEST_GDTR_LIMIT, st->gdtr.limit);
	vmwrite(GUEST_IDTR_LIMIT, st->idtr.limit);
	vmwrite(INTERRUPTIBILITY, st->blocked);
	vmwrite(GUEST_RIP, s->rip = v->regs.rip);
	vmwrite(GUEST_RSP, s->rsp = v->regs.rsp);
	vmwrite(GUEST_RFLAGS, s->rflags = v->regs.rflags);
	for (unsigned i = 0; i < NR_SEGS; i++)
		write_segment(i, &st->seg[i]);
	write_pdptes(v, st);
}

void vmx_read_state(struct vcpu *v, struct vcpu_state *st)
{
	struct vmx_vcpu *s = vmx(v);

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		*(u64 *)((u8 *)st + words[i].offset) = vmread(words[i].field);
	st->cr0 = vmx_cr0();
	st->cr4 = vmread(GUEST_CR4) & cpuid_cr4_allowed(v->domain);
	st->gdtr.limit = (u32)vmread(GUEST_GDTR_LIMIT);
	st->idtr.limit = (u32)vmread(GUEST_IDTR_LIMIT);
	st->blocked = vmread(INTERRUPTIBILITY);
	/* The shadow ends when the instruction that exited is complete. */
	if (v->regs.rip != s->rip)
		st->blocked &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	/* A hypercall exit does not read RSP: read it now. */
	if (v->regs.rsp == s->rsp)
		v->regs.rsp = s->rsp = vmread(GUEST_RSP);
	for (unsigned i = 0; i < NR_SEGS; i++)
		st->seg[i] = vmx_seg(v, i);
}
