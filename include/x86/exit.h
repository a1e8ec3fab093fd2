/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both back-ends do about an exit. A back-end decodes the hardware's reason, counts it and calls one
 * of these with v->regs up to date; insn_len is the length of the instruction that exited.
 */
#ifndef MARGAY_EXIT_H
#define MARGAY_EXIT_H

#include <margay/vcpu.h>
#include <x86/regs.h>
#include <x86/vlapic.h>

/*
 * Moves RIP past an instruction that was carried out. The rest is rare: a shadow ends, a single step traps, RF is
 * cleared, RIP leaves the code's width or the canonical addresses.
 */
void finish_insn(struct vcpu *v, unsigned insn_len);
static inline void guest_skip(struct vcpu *v, unsigned insn_len)
{
	v->regs.rip += insn_len;
	if (unlikely(v->shadow || (v->regs.rflags & (RFLAGS_TF | RFLAGS_RF)) ||
		     (u32)v->regs.rip < insn_len))
		finish_insn(v, insn_len);
}

/*
 * The interrupt or NMI in v->inject, which was not or not wholly delivered, waits again: for an exception
 * that comes first, or because the guest may not be able to take it any more.
 */
void inject_put_back(struct vcpu *v);

/* Queue an exception; a second one contributes to #DF or shutdown as SDM 3A 6.15 says. */
void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
static inline void inject_ud(struct vcpu *v) { inject_exception(v, 6, false, 0); }
static inline void inject_gp(struct vcpu *v) { inject_exception(v, 13, true, 0); }

/*
 * An event that was on its way when the guest left goes in again, unless re-executing raises it anew.
 * info: vector in bits 7:0, type in 10:8 and bit 11 for an error code, as both vendors have it.
 */
void vcpu_interrupted_event(struct vcpu *v, u64 info, u32 error);

/* By enum exit_reason: exits.def. The back-end has counted the exit. */
extern void (*const exit_handlers[NR_EXITS])(struct vcpu *v, unsigned insn_len);

/* msr.c: 0 or -EPERM: inject #GP. */
struct msr_read guest_rdmsr(struct vcpu *v, u32 msr);
int guest_wrmsr(struct vcpu *v, u32 msr, u64 val);

/* Ends the guest as HVM_PARAM_TRIPLE_FAULT_REASON says, with a dump. */
void guest_triple_fault(struct vcpu *v);

struct io_exit {
	u16 port;
	u8 size;		/* 1, 2, 4 */
	bool in, string, rep;
	u64 next_rip;
};
void exit_io(struct vcpu *v, const struct io_exit *io);

/* A nested page fault that the p2m can not satisfy: the LAPIC page, a hole, a read-only page. */
struct npf_exit {
	gpaddr_t gpa;
	bool write, fetch;
	bool in_walk;		/* while walking the guest's own page tables */
	const u8 *insn; /* instruction bytes if the hardware gave them (decode assist), else NULL */
	unsigned insn_len;
};
void exit_npf(struct vcpu *v, const struct npf_exit *npf);

/* As which of the two a nested page fault counts. */
static inline enum exit_reason npf_reason(gpaddr_t gpa)
{
	return gpa >> PAGE_SHIFT == VLAPIC_BASE >> PAGE_SHIFT ? EXIT_NPF_APIC : EXIT_NPF;
}

/*
 * Before an entry, when v->pending is not empty: takes the work bits, brings times up to date and picks the
 * event to inject into v->inject. Returns true if an interrupt waits that can not be injected now, so that
 * the back-end asks for a window. can_take: IF is set and no shadow.
 *
 * It may replace v's state (INIT, SIPI) or take v offline: VCPU_WORK_STOP is to be looked at afterwards.
 * Work bits of what could not be injected go to v->waiting_window. When it injects an NMI it sets v->nmi_blocked; the
 * back-end clears that after IRET and posts VCPU_WORK_NMI if nmi_pending is set again.
 */
bool vcpu_prepare_entry(struct vcpu *v, bool can_take);

#endif
