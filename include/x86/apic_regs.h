/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC's registers, the host's and a guest's alike. SDM 3A 11, table 11-1. */
#pragma once

#include <margay/lib.h>

/* Offsets in the xAPIC page; x2APIC MSR = 0x800 + offset / 16. */
enum {
	APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_APR = 0x90, APIC_PPR = 0xa0,
	APIC_EOI = 0xb0, APIC_RRD = 0xc0, APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_SVR = 0xf0,
	APIC_ISR = 0x100, APIC_TMR = 0x180, APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310, APIC_LVT = 0x320, APIC_TMICT = 0x380, APIC_TMCCT = 0x390,
	APIC_TDCR = 0x3e0, APIC_SELF_IPI = 0x3f0,
	APIC_LVT_CMCI = 0x2f0,		/* where the version counts more than NR_LVTS entries */
	APIC_EXTENDED = 0x400, APIC_EXTENDED_LVT = 0x500,	/* AMD */
};

/* Entries of the LVT, 16 bytes each. */
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVTS };

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN BIT(11)
#define SVR_ENABLE BIT(8)
#define APIC_COUNT(reg) ((reg) >> 16 & 0xff)	/* last entry of the LVT; of AMD's, their number */
#define VERSION_EXTENDED BIT(31)
#define LVT_DELIVERY (7U << 8)
#define LVT_SMI (2U << 8)
#define LVT_NMI (4U << 8)
#define LVT_MASKED BIT(16)
#define LVT_MODE (3U << 17)
#define LVT_PERIODIC (1U << 17)
#define LVT_DEADLINE (2U << 17)
