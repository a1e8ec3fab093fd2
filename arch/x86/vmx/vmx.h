/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x's private data of a vCPU and a CPU. */
#pragma once

#include <x86/exit.h>
#include <x86/features.h>

#include "vmcs.h"

/* The CPU, not the VMCS, holds the first of direct_msrs[] while the vCPU is loaded. */
#define NR_SWITCHED_MSRS 5

enum {
	VMX_FLUSH = 1 << 0,	/* flush nested translations */
	VMX_SPEC = 1 << 1,	/* spec_enter(); never cleared */
};

/* The controls of a vCPU's exits, entries and events. */
struct vmx_controls {
	u32 pin, cpu, cpu2, exit, entry, exceptions;
};

struct vmx_vcpu {
	u32 *vmcs;
	struct vmx_controls controls;
	u8 *msr_bitmap;		/* NULL: uses a shared one */
	paddr_t pa;
	bool by_hardware;	/* hardware delivers the vLAPIC's interrupts */
	u8 posted_vector;	/* as in the VMCS; 0: it takes no posted interrupts */
	u64 eptp;
	u64 rip, rsp, rflags;	/* as in the VMCS */
	u64 host_rsp, tsc_offset;
	u64 eoi_exits[4];		/* as in the VMCS */
	u32 cpu_controls, tpr_threshold; /* as in the VMCS: controls.cpu plus windows */
	bool launched;		/* since VMCLEAR */
	bool written;		/* the constant fields have been written */
	bool started;		/* the initial state has been written */
	u8 slow;		/* VMX_*: work before the next entry */
	const struct cpu *in_cpu; /* now or last: only its translations are flushed in time */
	struct vcpu_state start;
	u64 cr2, dr6, switched_msrs[NR_SWITCHED_MSRS];	/* while v is not loaded */
};

/* The machine's VT-x capabilities, and the initial controls of vCPUs. */
struct vmx_caps {
	struct vmx_controls controls;
	bool preemption_timer;
	bool apicv;		/* APIC-register virtualization and virtual-interrupt delivery */
	u64 basic, ept;
};

extern struct vmx_caps vmx_caps;

static inline struct vmx_vcpu *vmx(struct vcpu *v)
{
	return v->hvm;
}

/* The host-owned bits of CR0 and CR4: the guest reads their shadows. */
#define CR0_OWNED (CR0_NE | CR0_NW | CR0_CD)

static inline u64 owned_bits(u64 real, u64 shadow, u64 mask)
{
	return (real & ~mask) | (shadow & mask);
}

static inline u64 vmx_cr0(void)
{
	return owned_bits(vmread(GUEST_CR0), vmread(CR0_SHADOW), CR0_OWNED);
}

/*
 * Switches to the guest and back (switch.asm). Interrupts are off on call and return. Saves all
 * guest registers in v.
 */
bool vmx_switch(struct vcpu *v, bool launched, u64 *host_rsp);
void vmx_exit(void);
/* Likewise, with mitigations for speculation. */
bool vmx_switch_spec(struct vcpu *v, bool launched, u64 *host_rsp);
void vmx_exit_spec(void);

bool vmx_probe(void);
int vmx_cpu_init(struct cpu *c);
/* Returns v's own MSR bitmap, the shared one, or the shared one for hardware x2APIC. */
paddr_t vmx_msr_bitmap(struct vmx_vcpu *s);

/* state.c; v's VMCS must be current */
void vmx_write_state(struct vcpu *v, const struct vcpu_state *st);
void vmx_read_state(struct vcpu *v, struct vcpu_state *st);
struct vcpu_seg vmx_seg(struct vcpu *v, unsigned n);
/*
 * Sets which accesses to an MSR exit. SDM 3C 25.6.9. Returns -EINVAL if the bitmap does not cover
 * it.
 */
int vmx_bitmap_set(u8 *bitmap, u32 msr, bool rd, bool wr);

/* Turns hardware delivery of the vLAPIC's interrupts on or off. */
void vmx_intr_delivery(struct vmx_vcpu *s, bool by_hardware);
void vmx_run(struct vcpu *v);
void vmx_run_direct(struct vcpu *v);
