/* SPDX-License-Identifier: BSD-2-Clause */
/* Speculation: the CPU's vulnerabilities and Margay's mitigations. arch/x86/cpu/spec.c */
#pragma once

#include <margay/types.h>

/*
 * Actions. The world switch takes those of the low byte after an exit: x86/switch.inc has the same
 * bits.
 */
enum {
	SPEC_RSB = 1 << 0,	/* fill the return stack */
	SPEC_MSR = 1 << 1,	/* SPEC_CTRL: Margay's after an exit, the guest's before entry */
	SPEC_IBPB_EXIT = 1 << 2,
	SPEC_BHB = 1 << 3,	/* overwrite the branch history */
	SPEC_VERW = 1 << 8,	/* clear CPU buffers before an entry */
	SPEC_L1D = 1 << 9,	/* flush the L1 data cache before an entry */
	SPEC_AUTO_IBRS = 1 << 10,
	SPEC_ZENBLEED = 1 << 11,
	SPEC_IBPB = 1 << 12,	/* IBPB at each load of a vCPU */
	SPEC_ITLB = 1 << 13,
	SPEC_RETPOLINE = 1 << 14, /* keep the thunks of indirect branches */
};
#define SPEC_SWITCH (SPEC_RSB | SPEC_MSR | SPEC_IBPB_EXIT | SPEC_BHB | SPEC_VERW | SPEC_L1D)

#define SPEC_CTRL_IBRS 1U
#define SPEC_CTRL_STIBP 2U
#define SPEC_CTRL_SSBD 4U
#define SPEC_CTRL_IPRED_DIS (3U << 3)
#define SPEC_CTRL_RRSBA_DIS (3U << 5)
#define SPEC_CTRL_PSFD (1U << 7)
#define SPEC_CTRL_DDPD_U (1U << 8)
#define SPEC_CTRL_BHI_DIS_S (1U << 10)

/* The inputs of the decision: CPUID words by the manuals' names, and IA32_ARCH_CAPABILITIES. */
struct spec_cpu {
	bool intel, amd;	/* by maker, since errata are; Hygon counts as AMD */
	u32 family, model;
	u32 l7d, l72d;		/* leaf 7, subleaf 0 and 2, EDX */
	u32 e8b, e21a;		/* leaf 0x80000008, EBX; 0x80000021, EAX */
	u64 caps;
};

struct spec_plan {
	u32 actions;
	u32 host_ctrl;	/* SPEC_CTRL while Margay runs */
	u32 guest_ctrl;	/* bits of SPEC_CTRL that the CPU has; 0: guests lack it */
	bool guest_ibpb, guest_l1d_flush; /* guests have PRED_CMD, FLUSH_CMD */
};

/* Chooses the mitigations for a CPU. Has no side effects. */
struct spec_plan spec_decide(const struct spec_cpu *cpu);

extern struct spec_plan spec;
extern u64 spec_arch_caps;	/* value that guests read */

struct vcpu;

void spec_init(void);		/* called after features_init() and command-line parsing */
void spec_init_cpu(void);
void spec_enter(struct vcpu *v);
