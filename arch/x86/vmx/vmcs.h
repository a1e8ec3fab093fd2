/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: the fields of the virtual-machine control structure, the controls, exit reasons, capability
 * MSRs and instructions. SDM 3C 25 to 28, 31, 3D A, B and C.
 */
#pragma once

#include <margay/lib.h>

enum vmcs_field {
	VPID = 0x0000,
	POSTED_VECTOR = 0x0002,
	GUEST_ES_SEL =
		0x0800, /* ES CS SS DS FS GS LDTR TR, step 2; limits, rights and bases likewise */
	GUEST_INT_STATUS = 0x0810,
	HOST_ES_SEL = 0x0c00,
	HOST_CS_SEL = 0x0c02,
	HOST_SS_SEL = 0x0c04,
	HOST_DS_SEL = 0x0c06,
	HOST_FS_SEL = 0x0c08,
	HOST_GS_SEL = 0x0c0a,
	HOST_TR_SEL = 0x0c0c,
	MSR_BITMAP = 0x2004,
	EXIT_MSR_STORE_AT = 0x2006,
	EXIT_MSR_LOAD_AT = 0x2008,
	ENTRY_MSR_LOAD_AT = 0x200a,
	TSC_OFFSET = 0x2010,
	VIRTUAL_APIC_PAGE = 0x2012,
	POSTED_DESCRIPTOR = 0x2016,
	EPT_POINTER = 0x201a,
	EOI_EXIT0 = 0x201c,
	GUEST_PHYSICAL = 0x2400,
	LINK_POINTER = 0x2800,
	GUEST_DEBUGCTL = 0x2802,
	GUEST_PAT = 0x2804,
	GUEST_EFER = 0x2806,
	GUEST_PDPTE0 = 0x280a,
	HOST_PAT = 0x2c00,
	HOST_EFER = 0x2c02,
	PIN_CONTROLS = 0x4000,
	CPU_CONTROLS = 0x4002,
	EXCEPTION_BITMAP = 0x4004,
	PF_ERROR_MASK = 0x4006,
	PF_ERROR_MATCH = 0x4008,
	CR3_TARGET_COUNT = 0x400a,
	EXIT_CONTROLS = 0x400c,
	EXIT_MSR_STORE_COUNT = 0x400e,
	EXIT_MSR_LOAD_COUNT = 0x4010,
	ENTRY_CONTROLS = 0x4012,
	ENTRY_MSR_LOAD_COUNT = 0x4014,
	ENTRY_EVENT = 0x4016,
	ENTRY_EVENT_ERROR = 0x4018,
	ENTRY_INSN_LEN = 0x401a,
	TPR_THRESHOLD = 0x401c,
	CPU_CONTROLS2 = 0x401e,
	PAUSE_GAP = 0x4020,
	PAUSE_WINDOW = 0x4022,
	INSN_ERROR = 0x4400,
	EXIT_REASON = 0x4402,
	EXIT_EVENT = 0x4404,
	IDT_EVENT = 0x4408,
	IDT_EVENT_ERROR = 0x440a,
	EXIT_INSN_LEN = 0x440c,
	GUEST_ES_LIMIT = 0x4800,
	GUEST_GDTR_LIMIT = 0x4810,
	GUEST_IDTR_LIMIT = 0x4812,
	GUEST_ES_RIGHTS = 0x4814,
	GUEST_CS_RIGHTS = 0x4816,
	GUEST_SS_RIGHTS = 0x4818,
	INTERRUPTIBILITY = 0x4824,
	ACTIVITY = 0x4826,
	GUEST_SYSENTER_CS = 0x482a,
	PREEMPTION_TIMER = 0x482e,
	HOST_SYSENTER_CS = 0x4c00,
	CR0_MASK = 0x6000,
	CR4_MASK = 0x6002,
	CR0_SHADOW = 0x6004,
	CR4_SHADOW = 0x6006,
	QUALIFICATION = 0x6400,
	GUEST_CR0 = 0x6800,
	GUEST_CR3 = 0x6802,
	GUEST_CR4 = 0x6804,
	GUEST_ES_BASE = 0x6806,
	GUEST_CS_BASE = 0x6808,
	GUEST_GDTR_BASE = 0x6816,
	GUEST_IDTR_BASE = 0x6818,
	GUEST_DR7 = 0x681a,
	GUEST_RSP = 0x681c,
	GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820,
	PENDING_DEBUG = 0x6822,
	GUEST_SYSENTER_ESP = 0x6824,
	GUEST_SYSENTER_EIP = 0x6826,
	HOST_CR0 = 0x6c00,
	HOST_CR3 = 0x6c02,
	HOST_CR4 = 0x6c04,
	HOST_FS_BASE = 0x6c06,
	HOST_GS_BASE = 0x6c08,
	HOST_TR_BASE = 0x6c0a,
	HOST_GDTR_BASE = 0x6c0c,
	HOST_IDTR_BASE = 0x6c0e,
	HOST_SYSENTER_ESP = 0x6c10,
	HOST_SYSENTER_EIP = 0x6c12,
	HOST_RSP = 0x6c14,
	HOST_RIP = 0x6c16,
};

/* Pin-based controls */
#define PIN_EXTINT BIT(0)
#define PIN_NMI BIT(3)
#define PIN_VIRTUAL_NMI BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)
#define PIN_POSTED BIT(7)
/* Primary processor-based controls */
#define CPU_INTR_WINDOW BIT(2)
#define CPU_TSC_OFFSET BIT(3)
#define CPU_HLT BIT(7)
#define CPU_MWAIT BIT(10)
#define CPU_RDPMC BIT(11)
#define CPU_TPR_SHADOW BIT(21)
#define CPU_NMI_WINDOW BIT(22)
#define CPU_IO BIT(24)
#define CPU_MSR_BITMAP BIT(28)
#define CPU_MONITOR BIT(29)
#define CPU_SECONDARY BIT(31)
/* Secondary processor-based controls */
#define CPU2_EPT BIT(1)
#define CPU2_RDTSCP BIT(3)
#define CPU2_X2APIC BIT(4)
#define CPU2_VPID BIT(5)
#define CPU2_WBINVD BIT(6)
#define CPU2_UNRESTRICTED BIT(7)
#define CPU2_APIC_REGISTERS BIT(8)
#define CPU2_INTR_DELIVERY BIT(9)
#define CPU2_PAUSE_LOOP BIT(10)
#define CPU2_INVPCID BIT(12)
#define CPU2_APICV (CPU2_X2APIC | CPU2_APIC_REGISTERS | CPU2_INTR_DELIVERY)

#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64 BIT(9)
#define EXIT_ACK BIT(15)	/* an exit by an interrupt acknowledges it */
#define EXIT_SAVE_PAT BIT(18)
#define EXIT_LOAD_PAT BIT(19)
#define EXIT_SAVE_EFER BIT(20)
#define EXIT_LOAD_EFER BIT(21)
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E BIT(9)
#define ENTRY_LOAD_PAT BIT(14)
#define ENTRY_LOAD_EFER BIT(15)

/* Events at entry and exit: vector in bits 7:0, type in 10:8. */
#define EVENT_ERROR BIT(11)
#define EVENT_NMI_UNBLOCKED BIT(12)
#define EVENT_VALID BIT(31)

/* Segments: bits 7:0 of a descriptor's access rights, then its bits from 12 up */
#define RIGHTS_ACCESSED BIT(0)
#define RIGHTS_BUSY_TSS 0xbU
#define RIGHTS_DPL (3U << 5)
#define RIGHTS_P BIT(7)
#define RIGHTS_L BIT(13)
#define RIGHTS_D BIT(14)
#define RIGHTS_G BIT(15)
#define RIGHTS_UNUSABLE BIT(16)

enum vmx_exit {
	VMEXIT_EVENT = 0,	/* exception or NMI */
	VMEXIT_EXTINT = 1,
	VMEXIT_TRIPLE_FAULT = 2,
	VMEXIT_INIT = 3,
	VMEXIT_SIPI = 4,
	VMEXIT_INTR_WINDOW = 7,
	VMEXIT_NMI_WINDOW = 8,
	VMEXIT_TASK_SWITCH = 9,
	VMEXIT_CPUID = 10,
	VMEXIT_GETSEC = 11,
	VMEXIT_HLT = 12,
	VMEXIT_INVD = 13,
	VMEXIT_RDPMC = 15,
	VMEXIT_RSM = 17,
	VMEXIT_VMCALL = 18,
	VMEXIT_VMCLEAR = 19,
	VMEXIT_VMXON = 27,
	VMEXIT_CR = 28,
	VMEXIT_IO = 30,
	VMEXIT_RDMSR = 31,
	VMEXIT_WRMSR = 32,
	VMEXIT_MWAIT = 36,
	VMEXIT_MONITOR = 39,
	VMEXIT_PAUSE = 40,
	VMEXIT_ENTRY_MC = 41,
	VMEXIT_TPR_BELOW = 43,
	VMEXIT_EOI = 45,
	VMEXIT_EPT_VIOLATION = 48,
	VMEXIT_EPT_MISCONFIG = 49,
	VMEXIT_INVEPT = 50,
	VMEXIT_PREEMPTION_TIMER = 52,
	VMEXIT_INVVPID = 53,
	VMEXIT_WBINVD = 54,
	VMEXIT_XSETBV = 55,
	VMEXIT_APIC_WRITE = 56,
};
#define EXIT_ENTRY_FAILED BIT(31)	/* in the exit reason */

/* Qualification of an EPT violation, table 27-7 */
#define EPTV_WRITE BIT(1)
#define EPTV_FETCH BIT(2)
#define EPTV_LINEAR BIT(7)
#define EPTV_FINAL BIT(8)		/* not during the page walk */
/* ... of IN and OUT, table 27-5 */
#define IOQ_IN BIT(3)
#define IOQ_STRING BIT(4)
#define IOQ_REP BIT(5)
/* ... of MOV to a control register, table 27-3: the register's number and direction "to" */
#define CRQ_TO(n) (n)
#define CRQ_MASK 0x3fUL
/* ... of #DB */
#define DBQ_CAUSES 0x600fUL		/* BS BD B3 to B0 */

enum vmx_msr {
	MSR_VMX_BASIC = 0x480,
	MSR_VMX_PROCBASED2 = 0x48b,
	MSR_VMX_EPT_VPID_CAP = 0x48c,
	MSR_VMX_TRUE_PINBASED = 0x48d,
	MSR_VMX_TRUE_PROCBASED = 0x48e,
	MSR_VMX_TRUE_EXIT = 0x48f,
	MSR_VMX_TRUE_ENTRY = 0x490,
};
#define BASIC_REVISION 0x7fffffffUL
#define BASIC_TRUE BIT(55)

#define EPT_CAP_4_LEVELS BIT(6)
#define EPT_CAP_WB BIT(14)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_1G BIT(17)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_AD BIT(21)
#define EPT_CAP_INVEPT_SINGLE BIT(25)
#define EPT_CAP_INVEPT_ALL BIT(26)
#define EPT_CAP_INVVPID_SINGLE BIT(41)
#define EPT_CAP_INVVPID_ALL BIT(42)

#define EPT_W BIT(1)
#define EPT_D BIT(9)

#define EPTP_WB 6UL
#define EPTP_4_LEVELS (3UL << 3)
#define EPTP_AD BIT(6)

enum { INV_SINGLE = 1, INV_ALL = 2 };

#ifndef MARGAY_UNIT
static inline u64 vmread(enum vmcs_field f)
{
	u64 v;

	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"((u64)f) : "cc");
	return v;
}

static inline void vmwrite(enum vmcs_field f, u64 v)
{
	__asm__ volatile("vmwrite %1, %0" ::"r"((u64)f), "r"(v) : "cc", "memory");
}
#endif

/* These return whether they failed: CF or ZF. */
#define DEFINE_VMX_PTR(name)                                                                      \
	static inline bool name(paddr_t pa)                                                       \
	{                                                                                         \
		bool failed;                                                                      \
		__asm__ volatile(#name " %1" : "=@ccbe"(failed) : "m"(pa) : "memory");             \
		return failed;                                                                    \
	}
DEFINE_VMX_PTR(vmxon)
DEFINE_VMX_PTR(vmclear)
DEFINE_VMX_PTR(vmptrld)

/* of: an EPTP or a VPID. */
#define DEFINE_INVALIDATE(name)                                                                   \
	static inline void name(u64 type, u64 of)                                                 \
	{                                                                                         \
		u64 d[2] = { of, 0 };                                                             \
		__asm__ volatile(#name " %0, %1" ::"m"(d), "r"(type) : "cc", "memory");           \
	}
DEFINE_INVALIDATE(invept)
DEFINE_INVALIDATE(invvpid)
