/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hardware virtualization back-end (AMD-V, VT-x): set-up and rare operations. The hot path, the
 * run loop and the exit switch, is the back-end's own and does not go through here.
 */
#ifndef MARGAY_HVM_H
#define MARGAY_HVM_H

#include <margay/vcpu.h>

/* vcpu_state.blocked: events wait for the end of this instruction, NMIs for IRET. As in the VMCS. */
#define BLOCKED_BY_STI BIT(0)
#define BLOCKED_BY_MOV_SS BIT(1)
#define BLOCKED_BY_NMI BIT(3)

struct hvm_ops {
	const char *name;
	u8 call_insn[3]; /* the hypercall instruction */
	u64 leaf[NR_P2M_TYPES]; /* rights and memory type of a p2m entry, by enum p2m_type */
	bool (*probe)(void);            /* the CPU has it, and says why not when it does not */
	int (*cpu_init)(struct cpu *c);		/* on that CPU; 0 or reported error */
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_free)(struct vcpu *v);
	/* Around the time v is in this CPU; NULL where there is nothing to do. */
	void (*load)(struct vcpu *v);
	void (*save)(struct vcpu *v);
	void (*run)(struct vcpu *v);		/* arch_vcpu_run */
	void (*mode)(struct vcpu *v, struct vcpu_mode *m);
	/* Brings v->paging up to date; true when any of it but CR3 changed. */
	bool (*refresh_paging_state)(struct vcpu *v);
	void (*dump)(struct vcpu *v); /* the last exit, in the vendor's words; v is in this CPU */

	/* The way back is the same: what get_state() gave, set_state() restores. v is in no other CPU. */
	void (*set_state)(struct vcpu *v, const struct vcpu_state *st);	/* takes v->regs, too */
	void (*get_state)(struct vcpu *v, struct vcpu_state *st); /* brings v->regs up to date */

	/* Which accesses of v's to an MSR exit from now on. v is in no other CPU. 0, -ENOMEM, -EINVAL. */
	int (*msr_exits)(struct vcpu *v, u32 msr, bool rd, bool wr);
	/* EFER and PAT. */
	u64 (*get_msr)(struct vcpu *v, u32 msr);
	void (*set_msr)(struct vcpu *v, u32 msr, u64 val);
	void (*skip_shadow)(struct vcpu *v);	/* drops the interrupt shadow of STI/MOV SS */
	u64 (*cr4)(struct vcpu *v);	/* as the guest sees it */
	void (*set_cr2)(struct vcpu *v, u64 cr2);
	void (*request_flush)(struct vcpu *v);	/* nested translations of v, at its next entry */
	struct vcpu_seg (*seg)(struct vcpu *v, unsigned seg);	/* ES CS SS DS FS GS (0..5) */
};

/*
 * The MSRs that a guest reaches without an exit. msr.c
 */
enum { NR_DIRECT_MSRS = 10 };
extern const u32 direct_msrs[NR_DIRECT_MSRS];
void msr_rules_init(void);

extern const struct hvm_ops *hvm;	/* chosen at boot */
extern const struct hvm_ops svm_ops, vmx_ops;

#endif
