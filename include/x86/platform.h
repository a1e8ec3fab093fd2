/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's small devices: IO-APIC, 8259, RTC. arch/x86/platform */
#pragma once

#include <margay/types.h>

struct boot_info;

void ioapic_init(void);
void ioapic_mask_all(void);	/* no device interrupts and no NMIs of the PIT from now on */
/*
 * Routes an ISA interrupt (with its MADT override) to the housekeeping CPU as a vector or RTE_NMI.
 * Returns 0 or -ENODEV.
 */
#define RTE_NMI 0x400U
int ioapic_route_isa(unsigned irq, u32 what);
void legacy_pic_off(void);
void pci_map_ecam(void);		/* config space above 256 bytes, and of other segments */

void uart_tables(void);		/* adds the consoles of SPCR and DBG2 */
void screen_init(const struct boot_info *bi); /* adds the loader's screen, if it gave one */

u64 rtc_read_wallclock(void);			/* seconds since 1970, UTC */
