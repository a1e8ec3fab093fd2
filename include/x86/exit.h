/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exit handling shared by both back-ends. A back-end decodes the hardware's reason, counts it and
 * calls one of these with v->regs up to date; insn_len is the length of the instruction that
 * exited.
 */
#pragma once

#include <x86/hvm.h>
#include <x86/msr.h>
#include <x86/pmu.h>
#include <x86/regs.h>
#include <x86/vlapic.h>

/*
 * Finishes an emulated instruction after RIP was advanced, in the rare cases: ends the shadow,
 * raises the single-step trap, clears RF, wraps RIP to the code's width or raises #GP if it is no
 * longer canonical. guest_skip() advances RIP.
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
 * Makes the interrupt or NMI in v->inject pending again if it was not fully delivered: an exception
 * comes first, or the guest may no longer be able to take it.
 */
void inject_put_back(struct vcpu *v);

enum { X86_DE, X86_DB, X86_NMI, X86_BP, X86_OF, X86_UD = 6, X86_DF = 8, X86_TS = 10, X86_NP, X86_SS,
       X86_GP, X86_PF, X86_AC = 17, X86_VE = 20, X86_CP };

/* Queues an exception. A second one becomes #DF or shutdown as in SDM 3A 6.15. */
void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
static inline void inject_ud(struct vcpu *v) { inject_exception(v, X86_UD, false, 0); }
static inline void inject_gp(struct vcpu *v) { inject_exception(v, X86_GP, true, 0); }

/*
 * Injects again an event whose delivery the exit interrupted, unless re-execution raises it again.
 * info: vector in bits 7:0, type in 10:8 and bit 11 for an error code, as on both vendors.
 */
void vcpu_interrupted_event(struct vcpu *v, u64 info, u32 error);

/* Indexed by enum exit_reason: exits.def. The back-end has counted the exit. */
extern void (*const exit_handlers[NR_EXITS])(struct vcpu *v, unsigned insn_len);
void exit_machine_check(struct vcpu *v, unsigned insn_len);	/* arch/x86/cpu/mce.c */

/*
 * msr.c: the MSRs that guests access on this machine, a hash table without collisions. An access
 * returns 0, or -EPERM: inject #GP.
 */
#define MSR_SLOT_BITS 7
#define MSR_SLOT_FACTOR 0x3a902931U /* found by trial; msr_rules_init() checks it */
struct msr_slot {
	u32 msr;
	u64 value;
	struct msr_read (*rd)(struct vcpu *v); /* of the number in the guest's RCX */
	int (*wr)(struct vcpu *v, u32 msr, u64 val); /* NULL: #GP */
};
extern struct msr_slot msr_slots[1 << MSR_SLOT_BITS];
static inline struct msr_slot *msr_slot(u32 msr)
{
	return &msr_slots[msr * MSR_SLOT_FACTOR >> (32 - MSR_SLOT_BITS)];
}
/* Those without a slot. */
struct msr_read guest_rdmsr_other(struct vcpu *v, u32 msr);
/* msr: the guest's RCX */
static inline struct msr_read guest_rdmsr(struct vcpu *v, u32 msr)
{
	const struct msr_slot *s;

	if (msr - MSR_X2APIC_BASE < 0x100)
		return vlapic_read_x2apic(v, msr - MSR_X2APIC_BASE);
	s = msr_slot(msr);
	return likely(s->msr == msr) ? s->rd(v) : guest_rdmsr_other(v, msr);
}
int guest_wrmsr(struct vcpu *v, u32 msr, u64 val);

/* Ends the guest as HVM_PARAM_TRIPLE_FAULT_REASON says, and dumps it. */
void guest_triple_fault(struct vcpu *v);

struct io_exit {
	u16 port;
	u8 size;		/* 1, 2, 4 */
	bool in, string, rep;
	u64 next_rip;
};
void exit_io(struct vcpu *v, const struct io_exit *io);

/* A nested page fault that the p2m cannot satisfy: the LAPIC page, a hole, a read-only page. */
struct npf_exit {
	gpaddr_t gpa;
	bool write, fetch;
	bool in_walk;		/* during a walk of the guest's own page tables */
	const u8 *insn; /* instruction bytes from the hardware (decode assist), or NULL */
	unsigned insn_len;
};
void exit_npf(struct vcpu *v, const struct npf_exit *npf);

/* Returns the exit reason of a nested page fault at gpa. */
static inline enum exit_reason npf_reason(gpaddr_t gpa)
{
	return gpa >> PAGE_SHIFT == VLAPIC_BASE >> PAGE_SHIFT ? EXIT_NPF_APIC : EXIT_NPF;
}

/*
 * Runs before an entry when v->pending is not 0: takes the work bits, updates times and selects the
 * event in v->inject. Returns true if an interrupt is pending that cannot be injected now: the
 * back-end then opens a window. can_take: IF is set and there is no shadow.
 *
 * It may replace v's state (INIT, SIPI) or take v offline: check VCPU_WORK_STOP afterwards. Work
 * bits of events that could not be injected move to v->waiting_window. It sets v->nmi_blocked when
 * it injects an NMI; the back-end clears that after IRET and posts VCPU_WORK_NMI if nmi_pending is
 * set again.
 */
bool vcpu_prepare_entry(struct vcpu *v, bool can_take);
