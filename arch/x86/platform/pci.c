/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to PCI config space: the first 256 bytes of segment 0 by the ports, the rest by memory
 * (ECAM), which firmware's MCFG names. PCI 3.0, 3.2.2.3.2; PCI Express Base 4.0, 7.2.2.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <x86/io.h>
#include <x86/paging.h>
#include <x86/platform.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE BIT(31)
#define ECAM_BUS_SHIFT 20
#define ECAM_FUNCTION_SHIFT 12

static struct spinlock ports_lock = SPINLOCK_INIT(LOCK_CONFIG);
static volatile u8 *ecam[ACPI_MAX_ECAM]; /* bus 0 of those of boot_acpi; written at boot */

void __init pci_map_ecam(void)
{
	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];
		u64 first = (u64)e->first << ECAM_BUS_SHIFT;
		u64 size = ((e->last + 1UL) << ECAM_BUS_SHIFT) - first;
		volatile u8 *regs = NULL;

		if (mem_has_ram(boot_info.mem, boot_info.nr_mem, e->base + first, size))
			pr_warn("acpi: MCFG: %#lx, segment %u, buses %u to %u ignored: it has RAM\n",
				e->base, e->segment, e->first, e->last);
		else
			regs = map_mmio(e->base + first, size);
		ecam[i] = regs ? regs - first : NULL;
	}
}

static volatile u8 *find_ecam(u32 sbdf, unsigned reg)
{
	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];

		if (ecam[i] && e->segment == pci_segment(sbdf) && pci_bus(sbdf) >= e->first &&
		    pci_bus(sbdf) <= e->last)
			return ecam[i] + ((sbdf & 0xffff) << ECAM_FUNCTION_SHIFT | reg);
	}
	return NULL;
}

static bool by_ports(u32 sbdf, unsigned reg) { return !pci_segment(sbdf) && reg < 256; }

/* Returns the port of the register, which is selected; with ports_lock. */
static u16 select_register(u32 sbdf, unsigned reg)
{
	outl(CONFIG_ADDRESS, (u32)CONFIG_ENABLE | sbdf << 8 | (reg & ~3U));
	return (u16)(CONFIG_DATA + (reg & 3));
}

u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	volatile u8 *at;

	if (by_ports(sbdf, reg)) {
		guard(&ports_lock);
		return port_read(select_register(sbdf, reg), size);
	}
	at = find_ecam(sbdf, reg);
	return at ? (u32)device_read(at, size) : ~0U >> (32 - 8 * size);
}

void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value)
{
	volatile u8 *at;

	if (by_ports(sbdf, reg)) {
		guard(&ports_lock);
		port_write(select_register(sbdf, reg), size, value);
		return;
	}
	at = find_ecam(sbdf, reg);
	if (at)
		device_write(at, size, value);
}
