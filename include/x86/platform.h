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
#define RTE_MODE 0x700U		/* 0: fixed */
#define RTE_LOWEST 0x100U
#define RTE_LOGICAL 0x800U
#define RTE_LOW 0x2000U
#define RTE_REMOTE_IRR 0x4000U
#define RTE_LEVEL 0x8000U
#define RTE_MASKED 0x10000U
int ioapic_route_isa(unsigned irq, u32 what);
/*
 * For a guest's use of the other pins: returns the n-th IO-APIC and its number of pins, or NULL;
 * whether Margay keeps a pin; writes an entry, or its lower half alone. ioapic_end() makes sure that
 * a level-triggered entry, whose lower half is given, is not in service.
 */
struct acpi_ioapic;
const struct acpi_ioapic *ioapic_pins(unsigned n, unsigned *pins);
bool ioapic_is_kept(unsigned n, unsigned pin);
void ioapic_set(unsigned n, unsigned pin, u64 rte);
void ioapic_set_low(unsigned n, unsigned pin, u32 low);
void ioapic_end(unsigned n, unsigned pin, u32 low);
void legacy_pic_off(void);
void pci_map_ecam(void);		/* config space above 256 bytes, and of other segments */

/* Return whether a console's serial port is there. */
bool uart_at_port(u16 port);
bool uart_in_memory(paddr_t at, u64 size);
void uart_tables(void);		/* adds the consoles of SPCR and DBG2 */
void screen_init(const struct boot_info *bi); /* adds the loader's screen, if it gave one */

u64 rtc_read_wallclock(void);			/* seconds since 1970, UTC */
