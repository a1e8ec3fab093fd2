/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a PVH guest out of boot modules: memory layout, kernel, ACPI tables, start info, first vCPU.
 * arch/x86/guest/build.c and build_acpi.c; the entry is arch_build_guest() in arch.h.
 */
#ifndef X86_BUILD_H
#define X86_BUILD_H

#include <margay/boot.h>
#include <margay/boot_guest.h>

#include <xen/arch-x86/hvm/start_info.h>

#define GUEST_LOW_TOP 0xc0000000UL /* RAM goes on at 4 GiB */
#define GUEST_HIGH_BASE 0x100000000UL
#define GUEST_BOOT_TOP 0x40000000UL	/* as far as Linux's first page tables reach */
#define GUEST_MEM_MAP_MAX 5

/*
 * What the builder puts at the top of a guest's low RAM, downwards. The first two are not RAM in the
 * guest's memory map: nothing extra is mapped, so that large pages stay whole. The start info and what
 * belongs to it are in RAM, as Xen has it; below them the initrd.
 */
struct guest_layout {
	u64 low, high;       /* RAM in bytes from 0 and from 4 GiB */
	gpaddr_t top;     /* the end of the console's page and of all below */
	gpaddr_t console;    /* the PV console's ring */
	gpaddr_t acpi;       /* the tables */
	gpaddr_t start_info; /* with the memory map and the module list */
	gpaddr_t cmdline;
};

/* 0 or -EINVAL when mem is below what any guest needs. */
int guest_layout(u64 mem, size_t cmdline_len, struct guest_layout *l);

/* The memory map, of at most GUEST_MEM_MAP_MAX entries, also for XENMEM_memory_map; how many there are. */
unsigned int guest_memory_map(const struct guest_layout *l, struct hvm_memmap_table_entry *map);

/*
 * RSDP, XSDT, FADT (hardware-reduced), MADT and DSDT in the page, which the guest will see at gpa; the RSDP
 * comes first.
 */
void acpi_build(void *page, gpaddr_t gpa, unsigned int nr_vcpus);

#define GUEST_ACPI_SIZE 4096UL

#endif
