/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to PCI config space: the first 256 bytes of segment 0 by the ports, the rest by memory
 * (ECAM), which firmware's MCFG names. PCI 3.0, 3.2.2.3.2; PCI Express Base 4.0, 7.2.2.
 *
 * At boot: finds a serial port, and disables bus mastering that firmware left on, so that no
 * packet of a network boot and no other stale transfer is written to memory that has a new use.
 * PCI 3.0, 6.2.2.
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

#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO BIT(0)
#define PCI_COMMAND_MASTER BIT(2)
#define PCI_CLASS 0x08		/* revision in bits 7:0, class in 31:24 */
#define PCI_HEADER 0x0c		/* type in bits 22:16, bit 23: several functions */
#define PCI_BAR0 0x10
#define PCI_BAR_IO BIT(0)
#define PCI_BAR_IO_BASE 0xfffcU
#define PCI_BUSES 0x18		/* of a bridge: secondary in bits 15:8 */
#define CLASS_DISPLAY 0x03	/* may display the console */
#define CLASS_BRIDGE 0x06	/* devices behind it need it */
#define CLASS_SERIAL 0x0700
#define CLASS_USB 0x0c03	/* SMM code may drive it for a keyboard */

static struct spinlock ports_lock = SPINLOCK_INIT(LOCK_CONFIG);
static volatile u8 *ecam[ACPI_MAX_ECAM]; /* bus 0 of those of boot_acpi; written at boot */

void __init pci_map_ecam(void)
{
	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];
		u64 first = (u64)e->first << ECAM_BUS_SHIFT;
		volatile u8 *regs =
			map_mmio(e->base + first, ((e->last + 1UL) << ECAM_BUS_SHIFT) - first);

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

static void select_register(u32 sbdf, unsigned reg)
{
	outl(CONFIG_ADDRESS, (u32)CONFIG_ENABLE | sbdf << 8 | (reg & ~3U));
}

u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	volatile u8 *at;
	u16 port = (u16)(CONFIG_DATA + (reg & 3));

	if (by_ports(sbdf, reg)) {
		guard(&ports_lock);
		select_register(sbdf, reg);
		return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
	}
	at = find_ecam(sbdf, reg);
	if (!at)
		return ~0U >> (32 - 8 * size);
	return size == 1 ? *at : size == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
}

void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value)
{
	volatile u8 *at;
	u16 port = (u16)(CONFIG_DATA + (reg & 3));

	if (by_ports(sbdf, reg)) {
		guard(&ports_lock);
		select_register(sbdf, reg);
		if (size == 1)
			outb(port, (u8)value);
		else if (size == 2)
			outw(port, (u16)value);
		else
			outl(port, value);
		return;
	}
	at = find_ecam(sbdf, reg);
	if (at && size == 1)
		*at = (u8)value;
	else if (at && size == 2)
		*(volatile u16 *)at = (u16)value;
	else if (at)
		*(volatile u32 *)at = value;
}

static u32 __init read_config(u32 bus, u32 devfn, u32 reg)
{
	return pci_read(PCI_SBDF(0, bus, devfn), reg, 4);
}

/* Calls fn for each function that is no bridge, on all buses. */
static void __init walk(void (*fn)(u32 bus, u32 devfn))
{
	u64 todo[256 / 64] = { 1 }, done[256 / 64] = { 0 };	/* buses */
	unsigned bus;

	while ((bus = find_next_bit(todo, 256, 0)) < 256) {
		clear_bit(bus, todo);
		set_bit(bus, done);
		for (u32 devfn = 0; devfn < 256; devfn++) {
			u32 header, secondary;

			if (read_config(bus, devfn, PCI_VENDOR) == ~0U) {
				devfn |= devfn & 7 ? 0 : 7;	/* no function 0: no device */
				continue;
			}
			header = read_config(bus, devfn, PCI_HEADER);
			secondary = read_config(bus, devfn, PCI_BUSES) >> 8 & 0xff;
			if ((header >> 16 & 0x7f) != 1)
				fn(bus, devfn);
			else if (!test_bit(secondary, done))
				set_bit(secondary, todo);
			if (!(devfn & 7) && !(header & BIT(23)))
				devfn |= 7;
		}
	}
}

static unsigned stopped __initdata;

static void __init stop_function(u32 bus, u32 devfn)
{
	u32 class = read_config(bus, devfn, PCI_CLASS) >> 16, command;

	if (class >> 8 == CLASS_DISPLAY || class >> 8 == CLASS_BRIDGE || class == CLASS_USB)
		return;
	command = read_config(bus, devfn, PCI_COMMAND);
	if (command & PCI_COMMAND_MASTER) {
		pci_write(PCI_SBDF(0, bus, devfn), PCI_COMMAND, 2,
			  command & ~(u32)PCI_COMMAND_MASTER);
		stopped++;
	}
}

void __init pci_stop_masters(void)
{
	walk(stop_function);
	if (stopped)
		pr_info("PCI: stopped %u device%s that firmware left as bus master%s\n", stopped,
			stopped == 1 ? "" : "s", stopped == 1 ? "" : "s");
}

static u16 serial_port __initdata;

static void __init find_serial(u32 bus, u32 devfn)
{
	u32 bar, command;

	if (serial_port || read_config(bus, devfn, PCI_CLASS) >> 16 != CLASS_SERIAL)
		return;
	bar = read_config(bus, devfn, PCI_BAR0);
	if (!(bar & PCI_BAR_IO) || !(bar & PCI_BAR_IO_BASE))
		return;
	serial_port = bar & PCI_BAR_IO_BASE;
	command = read_config(bus, devfn, PCI_COMMAND);
	pci_write(PCI_SBDF(0, bus, devfn), PCI_COMMAND, 2, command | PCI_COMMAND_IO);
}

u16 __init pci_serial_port(void)
{
	walk(find_serial);
	return serial_port;
}
