/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control block and its fields. APM2 appendix B and C, 15.5 to 15.25. */
#pragma once

#include <margay/vcpu.h>

struct vmcb {
	u32 intercept_cr;
	u32 intercept_dr;
	u32 intercept_exc;
	u32 intercept1, intercept2, intercept3;
	u8 reserved0[0x03c - 0x018];
	u16 pause_threshold, pause_count;
	u64 iopm_pa, msrpm_pa, tsc_offset;
	u32 asid;
	u8 tlb_control, reserved1[3];
	/* 0x60: one byte per group */
	union {
		struct {
			u8 v_tpr, v_irq;
		};
		u16 v_tpr_irq;
	};
	u8 v_intr_prio, v_intr_masking;
	u8 v_vector, reserved2[3];
	u64 int_state;
	u64 exitcode, exitinfo1, exitinfo2, exitintinfo, np_enable;
	u8 reserved3[0x0a8 - 0x098];
	u64 eventinj, n_cr3, lbr_enable;
	u32 clean, reserved4;
	u64 nrip;
	u8 insn_len, insn[15];
	u8 reserved5[0x3e0 - 0x0e0];
	/* 0x3e0 to 0x3ff belong to the host's software. */
	u16 tpr_at_entry; /* v_tpr at the last entry: the guest may change v_tpr */
	u8 unused[0x400 - 0x3e2];

	struct vcpu_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved6[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved7;
	u64 efer;
	u8 reserved8[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved9[0x5d8 - 0x580];
	u64 rsp;
	u8 reserved10[0x5f8 - 0x5e0];
	u64 rax, star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	u8 reserved11[0x668 - 0x648];
	u64 g_pat, dbgctl;
	u8 reserved12[0x6e0 - 0x678];
	u64 spec_ctrl;
	u8 reserved13[0x1000 - 0x6e8];
};

_Static_assert(sizeof(struct vmcb) == 4096, "a page");
_Static_assert(offsetof(struct vmcb, exitcode) == 0x070, "APM2 B-1");
_Static_assert(offsetof(struct vmcb, n_cr3) == 0x0b0, "APM2 B-1");
_Static_assert(offsetof(struct vmcb, tpr_at_entry) == 0x3e0, "APM2 B-1");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM2 B-2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM2 B-2");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM2 B-2");

/* intercept_cr: reads in bits 15:0, writes above */
#define INTERCEPT_CR0_READ (1U << 0)
#define INTERCEPT_CR4_READ (1U << 4)
#define INTERCEPT_CR0_WRITE (1U << 16)
#define INTERCEPT_CR4_WRITE (1U << 20)
#define INTERCEPT_CR8_WRITE (1U << 24)
/* intercept1 */
#define INTERCEPT_INTR (1U << 0)
#define INTERCEPT_NMI (1U << 1)
#define INTERCEPT_INIT (1U << 3)
#define INTERCEPT_VINTR (1U << 4)
#define INTERCEPT_CR0_SEL_WRITE (1U << 5) /* writes that change more than TS and MP */
#define INTERCEPT_RDPMC (1U << 15)
#define INTERCEPT_CPUID (1U << 18)
#define INTERCEPT_RSM (1U << 19)
#define INTERCEPT_IRET (1U << 20)
#define INTERCEPT_INVD (1U << 22)
#define INTERCEPT_HLT (1U << 24)
#define INTERCEPT_INVLPGA (1U << 26)
#define INTERCEPT_IO (1U << 27)
#define INTERCEPT_MSR (1U << 28)
#define INTERCEPT_TASK_SWITCH (1U << 29)
#define INTERCEPT_FERR_FREEZE (1U << 30)
#define INTERCEPT_SHUTDOWN (1U << 31)
/* intercept2: all of VMRUN to SKINIT, then the others by name */
#define INTERCEPT_SVM 0x7fU
#define INTERCEPT_WBINVD (1U << 9)
#define INTERCEPT_MONITOR (1U << 10)
#define INTERCEPT_MWAIT (3U << 11)
#define INTERCEPT_XSETBV (1U << 13)
#define INTERCEPT_RDPRU (1U << 14)

#define V_IRQ 0x01		/* in v_irq */
#define V_IGN_TPR 0x10		/* in v_intr_prio; the priority is in bits 3:0 */
#define V_INTR_MASKING 0x01	/* in v_intr_masking */
#define CS_ATTR_L 0x200	/* in an attribute word */
#define INT_SHADOW 1UL		/* in int_state */

#define EVENT_VALID BIT(31)
#define EVENT_ERROR BIT(11)

enum svm_exit {
	VMEXIT_CR0_READ = 0x00,
	VMEXIT_CR4_READ = 0x04,
	VMEXIT_CR0_WRITE = 0x10,
	VMEXIT_CR4_WRITE = 0x14,
	VMEXIT_CR8_WRITE = 0x18,
	VMEXIT_EXC = 0x40,
	VMEXIT_DB = 0x41,
	VMEXIT_AC = 0x51,
	VMEXIT_MC = 0x52,
	VMEXIT_INTR = 0x60,
	VMEXIT_NMI = 0x61,
	VMEXIT_INIT = 0x63,
	VMEXIT_VINTR = 0x64,
	VMEXIT_CR0_SEL_WRITE = 0x65,
	VMEXIT_RDPMC = 0x6f,
	VMEXIT_CPUID = 0x72,
	VMEXIT_RSM = 0x73,
	VMEXIT_IRET = 0x74,
	VMEXIT_INVD = 0x76,
	VMEXIT_HLT = 0x78,
	VMEXIT_INVLPGA = 0x7a,
	VMEXIT_IOIO = 0x7b,
	VMEXIT_MSR = 0x7c,
	VMEXIT_TASK_SWITCH = 0x7d,
	VMEXIT_FERR_FREEZE = 0x7e,
	VMEXIT_SHUTDOWN = 0x7f,
	VMEXIT_VMRUN = 0x80,
	VMEXIT_VMMCALL = 0x81,
	VMEXIT_VMLOAD = 0x82,
	VMEXIT_SKINIT = 0x86,
	VMEXIT_WBINVD = 0x89,
	VMEXIT_MONITOR = 0x8a,
	VMEXIT_MWAIT = 0x8b,
	VMEXIT_MWAIT_ARMED = 0x8c,
	VMEXIT_XSETBV = 0x8d,
	VMEXIT_RDPRU = 0x8e,
	VMEXIT_NPF = 0x400,
};
#define VMEXIT_INVALID (~0UL)

/* EXITINFO1 of a nested page fault, APM2 15.25.6 */
#define NPF_WRITE BIT(1)
#define NPF_FETCH BIT(4)
#define NPF_IN_WALK BIT(33)

/* EXITINFO1 of IN and OUT, APM2 15.10.2 */
#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_REP BIT(3)

#define TLB_FLUSH_ALL 1
