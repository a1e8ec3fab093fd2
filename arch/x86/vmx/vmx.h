/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x's own parts of a vCPU and a CPU. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <margay/vcpu.h>
#include <x86/hvm.h>

#include "vmcs.h"

/* The first of direct_msrs[] are not in the VMCS, but in the CPU while the vCPU is. */
#define NR_SWITCHED_MSRS 5

enum {
	VMX_FLUSH = 1 << 0,	/* nested translations */
	VMX_SPEC = 1 << 1,	/* spec_enter(), for ever */
};

/* What a vCPU's exits, entries and events are to be like. */
struct vmx_controls {
	u32 pin, cpu, cpu2, exit, entry, exceptions;
};

struct vmx_vcpu {
	u32 *vmcs;
	struct vmx_controls controls;
	u8 *msr_bitmap;		/* NULL: shared with others */
	paddr_t pa;
	bool by_hardware;	/* delivers the vLAPIC's interrupts */
	u64 eptp;
	u64 rip, rsp, rflags;	/* as the VMCS has them */
	u64 host_rsp, tsc_offset;
	u32 cpu_controls, tpr_threshold; /* as the VMCS has them: controls.cpu with windows */
	bool launched;		/* since VMCLEAR */
	bool written;		/* the fields that stay the same have been written */
	bool started;		/* the state to start from has been written */
	u8 slow;		/* VMX_*: what is to be done before the next entry */
	const struct cpu *in_cpu; /* now or last: only there its translations are flushed in time */
	struct vcpu_state start;
	u64 cr2, dr6, switched_msrs[NR_SWITCHED_MSRS];	/* while it is in no CPU */
};

/* What the machine's VT-x has; the controls that vCPUs begin with. */
struct vmx_caps {
	struct vmx_controls controls;
	bool apicv;		/* APIC-register virtualization and virtual-interrupt delivery */
	u64 basic, ept;
};

extern struct vmx_caps vmx_caps;

static inline struct vmx_vcpu *vmx(struct vcpu *v)
{
	return v->hvm;
}

/* The bits of CR0 and CR4 that are not the guest's: it sees their shadows. */
#define CR0_OWNED (CR0_NE | CR0_NW | CR0_CD)

static inline u64 owned_bits(u64 real, u64 shadow, u64 mask)
{
	return (real & ~mask) | (shadow & mask);
}

static inline u64 vmx_cr0(void)
{
	return owned_bits(vmread(GUEST_CR0), vmread(CR0_SHADOW), CR0_OWNED);
}

/* The world switch (switch.asm). Called and returns with interrupts off; saves all guest registers in v. */
bool vmx_switch(struct vcpu *v, bool launched, u64 *host_rsp);
void vmx_exit(void);
/* The same on a CPU that needs something done about speculation. */
bool vmx_switch_spec(struct vcpu *v, bool launched, u64 *host_rsp);
void vmx_exit_spec(void);

bool vmx_probe(void);
int vmx_cpu_init(struct cpu *c);
/* v's own MSR bitmap, the one that most share, or that of those whose x2APIC is hardware's. */
paddr_t vmx_msr_bitmap(struct vmx_vcpu *s);

/* state.c, with v's VMCS the current one */
void vmx_write_state(struct vcpu *v, const struct vcpu_state *st);
void vmx_read_state(struct vcpu *v, struct vcpu_state *st);
/* Which accesses to an MSR exit. SDM 3C 24.6.9. -EINVAL: no bitmap has it. */
int vmx_bitmap_set(u8 *bitmap, u32 msr, bool rd, bool wr);

void vmx_run(struct vcpu *v);
void vmx_dump(struct vcpu *v);

#endif
