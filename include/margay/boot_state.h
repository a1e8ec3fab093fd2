/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot loader and firmware information, kept after boot. arch/x86/boot/main.c */
#pragma once

#include <margay/acpi.h>
#include <margay/boot.h>
#include <margay/mm.h>

extern struct boot_info boot_info;
extern struct acpi_info boot_acpi;

/* Returns the node with the proximity domain; NODE_ANY: it has neither CPUs nor memory. */
static inline u8 acpi_node(u32 pxm)
{
	for (unsigned i = 0; i < boot_acpi.nr_nodes; i++)
		if (boot_acpi.nodes[i] == pxm)
			return (u8)i;
	return NODE_ANY;
}

const void *acpi_map_table(paddr_t pa, size_t len);

/* Reads the boot modules and builds their guests. common/boot/boot_guests.c */
void boot_guests(void);

/* Called before a guest entry with option perf_boot. The first call prints the cost of the boot. */
void boot_guest_entered(void);
