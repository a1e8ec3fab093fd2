/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds a PVH guest from boot modules: memory layout, kernel, ACPI tables, start info, first vCPU.
 * arch/x86/guest/build.c and build_acpi.c; the entry point is arch_build_guest() in arch.h.
 */
#pragma once

#include <margay/acpi.h>
#include <margay/arch.h>
#include <margay/boot.h>
#include <margay/boot_guest.h>
#include <margay/domain.h>
#include <public/guest_pci.h>

#include <xen/arch-x86/hvm/start_info.h>

#define GUEST_LOW_TOP 0xc0000000UL /* RAM continues at 4 GiB */
#define GUEST_HIGH_BASE 0x100000000UL
#define GUEST_BOOT_TOP 0x40000000UL	/* reach of Linux's first page tables */

/* The PCI buses of a guest: include/public/guest_pci.h. The BARs of 64 bits, with prefetching: */
static inline gpaddr_t guest_pci_high(void) { return 1UL << (arch_phys_bits() - 1); }
static inline gpaddr_t guest_pci_high_end(void) { return guest_pci_high() / 2 * 3; }
/* Returns where the addresses of slot n begin; n may be one too high. */
static inline gpaddr_t guest_pci_slot(unsigned n, bool high)
{
	return high ? guest_pci_high() + guest_pci_high() / 2 / GUEST_PCI_SLOTS * n :
		      GUEST_PCI_BASE + (GUEST_PCI_END - GUEST_PCI_BASE) / GUEST_PCI_SLOTS * n;
}

/*
 * The builder's data at the top of a guest's low RAM, downwards. The first two are not RAM in the
 * guest's memory map: nothing extra is mapped, so large pages stay whole. The start info and its
 * data are in RAM, as on Xen; the initrd is below them.
 */
struct guest_layout {
	struct e820_entry ram[MEMORY_MAP_MAX / 2];	/* ascending */
	unsigned nr_ram;
	gpaddr_t base;	/* start of the range of RAM that has the kernel and all of these */
	gpaddr_t top;     /* end of the console's page and of all below it */
	gpaddr_t console;    /* the PV console's ring */
	gpaddr_t acpi;       /* the tables */
	u64 acpi_size;	     /* whole pages */
	gpaddr_t start_info; /* with the memory map and the module list */
	gpaddr_t cmdline;
};

/* Computes the layout. Returns 0, or -EINVAL when mem is too small for any guest. */
int guest_layout(u64 mem, size_t cmdline_len, const struct domain *d, struct guest_layout *l);

/* The same with RAM where the machine has it. -EINVAL also: not enough; -E2BIG: too many ranges. */
int machine_layout(u64 mem, size_t cmdline_len, const struct domain *d, struct guest_layout *l);

/* Fills in the memory map. Returns the number of entries, at most MEMORY_MAP_MAX. */
unsigned int guest_memory_map(const struct guest_layout *l, struct e820_entry *map);
/* The same with all that the machine's map has beside RAM. */
unsigned machine_memory_map(const struct guest_layout *l, struct e820_entry *map);

/*
 * The nodes of a guest with `dedicated=`: each of its CPUs' nodes shall have its part of the memory, in
 * proportion, and the ranges say which memory is where in fact. build_numa.c
 */
#define NUMA_RANGES 64
struct guest_numa {
	struct {
		u8 node;
		u64 end;	/* of the part, in bytes of RAM */
	} part[MAX_NODES];
	unsigned nr_parts;	/* 0: nobody tells the guest of nodes */
	struct acpi_mem range[NUMA_RANGES];
	unsigned nr_ranges;
};
void numa_begin(struct guest_numa *g, const struct domain *d, u64 mem);
/* Returns the node for the memory after the first `done` bytes, NODE_ANY: any, and how much. */
u8 numa_wanted(const struct guest_numa *g, u64 done, u64 *left);
void numa_add(struct guest_numa *g, gpaddr_t base, u64 size, mfn_t mfn);

/*
 * Writes RSDP, XSDT, FADT (hardware-reduced), MADT and DSDT to acpi_size() bytes of zeros, which the
 * guest sees at gpa; the RSDP comes first. pci: with a PCI bus, and an MCFG. With SRAT and SLIT if the
 * guest has several nodes.
 */
#define PORT_PM_TIMER 0x608	/* of guests without Xen's clock */
void acpi_build(void *to, gpaddr_t gpa, const struct domain *d, bool pci,
		const struct guest_numa *numa);
/* Returns the size of the tables. */
u64 acpi_size(const struct domain *d);

/* The same with the machine's own tables beside the MADT. build_acpi_host.c */
void acpi_machine_build(void *to, gpaddr_t gpa, const struct domain *d);
u64 acpi_machine_size(const struct domain *d);
