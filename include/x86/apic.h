/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC of the host: MMIO or x2APIC. arch/x86/cpu/apic.c */
#pragma once

#include <margay/types.h>

void apic_init(bool allow_x2apic);
void apic_init_cpu(void);
/* A register by its offset in the page, in either mode. */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 val);
u32 apic_id(void);
void apic_eoi(void);
bool apic_in_service(u8 vector);
void apic_send_ipi(u32 apic_id, u32 icr_low);
void apic_send_nmi(u32 apic_id);	/* safe in an NMI handler */
void apic_timer_calibrate(u64 tsc_hz);
/* On an isolated CPU its owner's vectors below 32 stay pending: they would be exceptions there. */
#define TPR_ISOLATED 0x1fU
#define XAPIC_BROADCAST 255U	/* the xAPIC destination for all CPUs */
#define ICR_INIT 0x4500U
#define ICR_SIPI 0x4600U
#define ICR_NMI 0x4400U
