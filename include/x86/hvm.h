/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hardware virtualization back-end (AMD-V, VT-x): set-up and rare operations. The hot path, which
 * is the run loop and the exit switch, is private to the back-end and does not use these
 * operations.
 */
#pragma once

#include <margay/vcpu.h>

/* vcpu_state.blocked: events wait for the end of the instruction, NMIs for IRET. VMCS encoding. */
#define BLOCKED_BY_STI BIT(0)
#define BLOCKED_BY_MOV_SS BIT(1)
#define BLOCKED_BY_NMI BIT(3)

struct hvm_ops {
	const char *name;
	u8 call_insn[3]; /* the hypercall instruction */
	u64 leaf[NR_P2M_TYPES]; /* rights and memory type of a p2m entry, by p2m_type */
	bool (*probe)(void);            /* checks that the CPU has it; reports what is missing */
	int (*cpu_init)(struct cpu *c);		/* runs on that CPU; 0 or a reported error */
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_free)(struct vcpu *v);
	/* Called when v is loaded on this CPU and when it is saved; NULL: nothing to do. */
	void (*load)(struct vcpu *v);
	void (*save)(struct vcpu *v);
	void (*run)(struct vcpu *v);		/* arch_vcpu_run */
	void (*run_direct)(struct vcpu *v); /* the same while v->direct, outside of grace periods */
	/* Lets interrupts and HLT, MWAIT, PAUSE go to the guest, or not. v is loaded. */
	void (*direct)(struct vcpu *v, bool on);
	void (*nmi)(struct vcpu *v);	/* an NMI comes just before an entry; NULL: it waits */
	void (*mode)(struct vcpu *v, struct vcpu_mode *m);
	/* Updates v->paging; returns true when any of it but CR3 changed. */
	bool (*refresh_paging_state)(struct vcpu *v);
	void (*dump)(struct vcpu *v); /* prints the last exit; v must be loaded */

	/* set_state() restores what get_state() returned. v is loaded on no other CPU. */
	void (*set_state)(struct vcpu *v, const struct vcpu_state *st);	/* uses v->regs, too */
	void (*get_state)(struct vcpu *v, struct vcpu_state *st); /* updates v->regs */

	/*
	 * Sets which of v's accesses to an MSR exit. v is loaded on no other CPU. 0, -ENOMEM,
	 * -EINVAL.
	 */
	int (*msr_exits)(struct vcpu *v, u32 msr, bool rd, bool wr);
	/* For EFER and PAT. get_msr() takes the number from the guest's RCX and cannot fail. */
	struct msr_read (*get_msr)(struct vcpu *v);
	void (*set_msr)(struct vcpu *v, u32 msr, u64 val);
	void (*skip_shadow)(struct vcpu *v);	/* ends the interrupt shadow of STI/MOV SS */
	u64 (*cr4)(struct vcpu *v);	/* as the guest sees it */
	void (*set_cr2)(struct vcpu *v, u64 cr2);
	void (*request_flush)(struct vcpu *v);	/* flushes nested translations at v's next entry */
	struct vcpu_seg (*seg)(struct vcpu *v, unsigned seg);	/* ES CS SS DS FS GS (0..5) */
};

/* The MSRs that a guest accesses without an exit. msr.c */
enum { NR_DIRECT_MSRS = 10 };
extern const u32 direct_msrs[NR_DIRECT_MSRS];
/* Clears the bits of these and of the CPU's write-only commands in a map of intercepted MSRs. */
void each_direct_msr(int (*set)(u8 *map, u32 msr, bool rd, bool wr), u8 *map);
void msr_rules_init(void);

extern const struct hvm_ops *hvm;	/* chosen at boot */
extern const struct hvm_ops svm_ops, vmx_ops;
