/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V's private data of a vCPU and a CPU. */
#pragma once

#include <x86/exit.h>
#include <x86/features.h>

#include "vmcb.h"

/* Rare work of an entry: bits of vcpu.entry. */
enum svm_entry {
	ENTER_NEW_ASID = 1,
	ENTER_IN_SHADOW = 2, /* svm_switch_shadow(): a window waits for the end of the shadow */
	ENTER_SPEC = 4, /* always svm_switch_spec(): speculation mitigations are active */
	ENTER_EVENT = 8, /* inject v->inject, unless it is no longer valid */
	ENTER_TRACED = 16, /* record the entry if that is wanted */
	ENTER_SLOW = ENTER_NEW_ASID | ENTER_IN_SHADOW | ENTER_SPEC, /* svm_enter_slow() */
};

struct svm_vcpu {
	u64 asid_generation;	/* the CPU's generation at assignment; unique to that CPU */
	u64 iret_rip;		/* of the last IRET that ended an NMI */
	bool nmi_step;		/* stepping over the IRET; the next NMI comes after it */
	u64 cr0_kept;		/* CD and NW as the guest wrote them; not in force */
};

struct svm_cpu {
	paddr_t host_pa;	/* VMSAVE area for the host's hidden segment state */
	u64 generation;		/* bits 63:48 hold the CPU's id */
	u32 next_asid, max_asid;
};

#define MSRPM_PAGES 2
extern u8 *svm_msrpm; /* the MSR permission map shared by all vCPUs without their own */
extern bool svm_inject_virq, svm_nrips; /* svm_nrips: the CPU writes nrip at an exit */

static inline struct svm_vcpu *svm(struct vcpu *v)
{
	return v->hvm;
}

static inline struct vmcb *vmcb_of(struct vcpu *v)
{
	return v->block;
}

/* Assigns v an ASID of its CPU c that no stale translation uses. */
static inline void svm_take_asid(struct svm_cpu *c, struct vcpu *v)
{
	vmcb_of(v)->asid = c->next_asid++;
	svm(v)->asid_generation = c->generation;
}

void svm_run(struct vcpu *v);
void svm_run_direct(struct vcpu *v);

/* Copies the registers that both the VMCB and struct vcpu.regs hold. */
static inline void svm_read_regs(const struct vmcb *m, struct regs *r)
{
	r->rax = m->rax;
	r->rsp = m->rsp;
	r->rip = m->rip;
}

static inline void svm_write_regs(struct vmcb *m, const struct regs *r)
{
	m->rax = r->rax;
	m->rsp = r->rsp;
	m->rip = r->rip;
	m->rflags = r->rflags;
}

/* state.c */
void svm_set_state(struct vcpu *v, const struct vcpu_state *st);
void svm_get_state(struct vcpu *v, struct vcpu_state *st);
/* Sets which accesses to an MSR exit. APM2 15.11. Returns -EINVAL if the map does not cover it. */
int svm_msrpm_set(u8 *map, u32 msr, bool rd, bool wr);
int svm_msr_exits(struct vcpu *v, u32 msr, bool rd, bool wr);

/* cr_access.c */
void svm_cr_exit(struct vcpu *v);
/* Sets the guest's CR0: the value it reads, and the bits in force. */
void svm_set_cr0(struct vcpu *v, u64 val);
