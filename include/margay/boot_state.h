/* SPDX-License-Identifier: BSD-2-Clause */
/* What the boot loader and the firmware said, kept for the time after boot. arch/x86/boot/main.c */
#ifndef MARGAY_BOOT_STATE_H
#define MARGAY_BOOT_STATE_H

#include <margay/acpi.h>
#include <margay/boot.h>

extern struct boot_info boot_info;
extern struct acpi_info boot_acpi;

const void *acpi_map_table(paddr_t pa, size_t len);

/* Reads the boot modules and builds the guests that they describe. common/boot/boot_guests.c */
void boot_guests(void);

/* Before a guest is entered, with option perf_boot: the first time it prints what the boot has cost. */
void boot_guest_entered(void);

#endif
