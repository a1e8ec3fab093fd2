/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC, by MMIO (xAPIC) or MSRs (x2APIC), depending on the vCPU's mode. */
#ifndef GUEST_LAPIC_H
#define GUEST_LAPIC_H

#include "types.h"

/* Register offsets of the xAPIC page; the x2APIC MSR is 0x800 + offset / 16. */
enum {
	LAPIC_ID = 0x20, LAPIC_VERSION = 0x30, LAPIC_TPR = 0x80, LAPIC_PPR = 0xa0,
	LAPIC_EOI = 0xb0, LAPIC_LDR = 0xd0, LAPIC_DFR = 0xe0, LAPIC_SVR = 0xf0, LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180, LAPIC_IRR = 0x200, LAPIC_ESR = 0x280, LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310, LAPIC_LVT_TIMER = 0x320, LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340, LAPIC_LVT_LINT0 = 0x350, LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370, LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0, LAPIC_SELF_IPI = 0x3f0,
};

#define APIC_BASE_BSP		(1u << 8)
#define APIC_BASE_X2APIC	(1u << 10)
#define APIC_BASE_ENABLE	(1u << 11)
#define SVR_ENABLE		(1u << 8)
#define LVT_MASKED		(1u << 16)
#define LVT_TIMER_PERIODIC	(1u << 17)
#define LVT_TIMER_DEADLINE	(2u << 17)
#define TIMER_DIVIDE_1		0xbu
#define TIMER_DIVIDE_16		0x3u

#define ICR_FIXED		(0u << 8)
#define ICR_LOWEST		(1u << 8)
#define ICR_NMI			(4u << 8)
#define ICR_INIT		(5u << 8)
#define ICR_STARTUP		(6u << 8)
#define ICR_LOGICAL		(1u << 11)
#define ICR_ASSERT		(1u << 14)
#define ICR_SELF		(1u << 18)
#define ICR_ALL			(2u << 18)
#define ICR_OTHERS		(3u << 18)

bool lapic_is_x2apic(void);
uint32_t lapic_read(unsigned int reg);
void lapic_write(unsigned int reg, uint32_t val);
uint32_t lapic_id(void);
void lapic_eoi(void);

/* Software-enables the LAPIC with spurious vector 0xff and TPR 0. */
void lapic_enable(void);

/* Switches the calling vCPU to x2APIC mode. Returns false if CPUID does not offer it. */
bool lapic_enter_x2apic(void);

/* Calls check in xAPIC mode, then in x2APIC mode if CPUID offers it. */
void lapic_in_each_mode(void (*check)(void));

/* Writes the ICR. dest is an APIC ID or a logical address, not shifted. */
void lapic_icr(uint32_t dest, uint32_t low);

/* Returns a vector's bit in ISR, TMR or IRR; reg is that register's first offset. */
bool lapic_vector_bit(unsigned int reg, uint8_t vector);

#endif
