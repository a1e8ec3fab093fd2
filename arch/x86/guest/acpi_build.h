/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts that the ACPI tables of guests share. build_acpi.c, build_acpi_host.c, build_numa.c */
#pragma once

#include <x86/build.h>

struct acpi_rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
	u8 checksum_all, reserved[3];
} __packed;

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __packed;

struct acpi_madt {
	struct acpi_header header;
	u32 lapic, flags;
} __packed;

void acpi_rsdp(struct acpi_rsdp *r, gpaddr_t xsdt);
/* Fills in the header and the checksum of a table of size bytes. */
void acpi_finish_table(struct acpi_header *h, const char *signature, u8 revision, size_t size);
/* Writes the MADT's entries of all vCPUs. */
void acpi_cpus(void *to, const struct domain *d);
u64 acpi_cpus_size(const struct domain *d);
/* SRAT and SLIT. Returns the SLIT, or NULL: the guest has one node, and no such tables. */
struct acpi_header *acpi_numa(struct acpi_header *srat, const struct domain *d,
			      const struct guest_numa *g);
u64 acpi_numa_size(const struct domain *d);
