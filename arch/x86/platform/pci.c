/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI at boot: finds a serial port, and disables bus mastering that firmware left on, so that no
 * packet of a network boot and no other stale transfer is written to memory that has a new use.
 * PCI 3.0, 6.2.2.
 */
#include <margay/atomic.h>
#include <margay/lib.h>
#include <x86/io.h>
#include <x86/platform.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE BIT(31)

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

static u32 __init read_config(u32 bus, u32 devfn, u32 reg)
{
	outl(CONFIG_ADDRESS, (u32)CONFIG_ENABLE | bus << 16 | devfn << 8 | reg);
	return inl(CONFIG_DATA);
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
		/* Writing zeros to the upper half, the status register, has no effect. */
		outl(CONFIG_DATA, command & 0xffff & ~(u32)PCI_COMMAND_MASTER);
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
	outl(CONFIG_DATA, (command & 0xffff) | PCI_COMMAND_IO);
}

u16 __init pci_serial_port(void)
{
	walk(find_serial);
	return serial_port;
}
