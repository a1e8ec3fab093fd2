/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V's own parts of a vCPU and a CPU. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include <margay/vcpu.h>

#include "vmcb.h"

enum svm_entry {
	ENTER_NEW_ASID = 1,
	ENTER_SPEC =
		4, /* by svm_switch_spec(), each time: something is to be done about speculation */
	ENTER_IN_SHADOW = 2, /* by svm_switch_shadow(), as something waits for the shadow's end */
};

struct svm_vcpu {
	struct vmcb *vmcb;
	u8 entry;		/* enum svm_entry: how the next one differs from others */
	u64 asid_generation;	/* the CPU's when it was taken; no other CPU has the same */
	u64 iret_rip;		/* of the last IRET that ended an NMI */
	bool nmi_step;		/* steps over it, so that the next NMI comes after it */
	u64 cr0_kept;		/* CD and NW as the guest wrote them, which are not in force */
	u16 tpr;		/* V_TPR as of the last entry's set-up: the guest may change it */
};

struct svm_cpu {
	paddr_t host_pa;	/* VMSAVE area of the host's hidden segment state */
	u64 generation;		/* the CPU's id from bit 48 on */
	u32 next_asid, max_asid;
};

#define MSRPM_PAGES 2
extern u8 *svm_msrpm; /* the MSR permission map of all vCPUs that need none of their own */
extern bool svm_inject_virq;

static inline struct svm_vcpu *svm(struct vcpu *v)
{
	return v->hvm;
}

static inline struct vmcb *vmcb_of(struct vcpu *v)
{
	return svm(v)->vmcb;
}


void svm_run(struct vcpu *v);

/* The registers that the VMCB has and struct vcpu.regs as well. */
static inline void svm_take_regs(const struct vmcb *m, struct regs *r)
{
	r->rax = m->rax;
	r->rsp = m->rsp;
	r->rip = m->rip;
}

static inline void svm_give_regs(struct vmcb *m, const struct regs *r)
{
	m->rax = r->rax;
	m->rsp = r->rsp;
	m->rip = r->rip;
	m->rflags = r->rflags;
}

/* state.c */
void svm_set_state(struct vcpu *v, const struct vcpu_state *st);
void svm_get_state(struct vcpu *v, struct vcpu_state *st);
/* Which accesses to an MSR exit. APM2 15.11. -EINVAL: no map has it. */
int svm_msrpm_set(u8 *map, u32 msr, bool rd, bool wr);
int svm_msr_exits(struct vcpu *v, u32 msr, bool rd, bool wr);

/* cr_access.c */
void svm_cr_exit(struct vcpu *v);
/* The guest's CR0 from now on: what it reads, and what of it is in force. */
void svm_set_cr0(struct vcpu *v, u64 val);

#endif
