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

static struct spinlock ports_lock = SPINLOCK_INIT(LOCK_CONFIG);
static volatile u8 *ecam[ACPI_MAX_ECAM]; /* those of boot_acpi; NULL: not used. Written at boot */

void __init pci_map_ecam(void)
{
	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];

		if (mem_has_ram(boot_info.mem, boot_info.nr_mem, e->base, e->size))
			pr_warn("acpi: MCFG: config space at %#lx ignored: it has RAM\n", e->base);
		else
			ecam[i] = map_mmio(e->base, e->size);
	}
}

static volatile u8 *in_ecam(unsigned i, u32 sbdf)
{
	u64 offset = (u64)(sbdf - boot_acpi.ecam[i].sbdf) * PCI_CONFIG_SIZE;

	return ecam[i] && offset < boot_acpi.ecam[i].size ? ecam[i] + offset : NULL;
}

volatile u8 *pci_ecam(u32 sbdf)
{
	volatile u8 *at = NULL;

	for (unsigned i = 0; !at && i < boot_acpi.nr_ecam; i++)
		at = in_ecam(i, sbdf);
	return at;
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
	at = pci_ecam(sbdf);
	return at ? (u32)device_read(at + reg, size) : ~0U >> (32 - 8 * size);
}

void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value)
{
	volatile u8 *at;

	if (by_ports(sbdf, reg)) {
		guard(&ports_lock);
		port_write(select_register(sbdf, reg), size, value);
		return;
	}
	at = pci_ecam(sbdf);
	if (at)
		device_write(at + reg, size, value);
}
