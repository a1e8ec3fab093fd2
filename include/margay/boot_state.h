/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot loader and firmware information, kept after boot. arch/x86/boot/main.c */
#pragma once

#include <margay/acpi.h>
#include <margay/boot.h>

extern struct boot_info boot_info;
extern struct acpi_info boot_acpi;

const void *acpi_map_table(paddr_t pa, size_t len);

/* Reads the boot modules and builds their guests. common/boot/boot_guests.c */
void boot_guests(void);

/* Called before a guest entry with option perf_boot. The first call prints the cost of the boot. */
void boot_guest_entered(void);
