/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI at boot: devices that firmware left as bus masters stop, so that no packet of a boot by network and no other
 * stale transfer is written into memory that has got another use. PCI 3.0, 6.2.2.
 */
#include <margay/atomic.h>
#include <margay/lib.h>
#include <margay/printk.h>
#include <x86/io.h>
#include <x86/platform.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE BIT(31)

#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MASTER BIT(2)
#define PCI_CLASS 0x08		/* revision in bits 7:0, class in 31:24 */
#define PCI_HEADER 0x0c		/* type in bits 22:16, bit 23: several functions */
#define PCI_BUSES 0x18		/* of a bridge: secondary in bits 15:8 */
#define CLASS_DISPLAY 0x03	/* may show the console */
#define CLASS_BRIDGE 0x06	/* what lies behind it cannot do without */
#define CLASS_USB 0x0c03	/* SMM code may drive it for a keyboard */

static u32 select(u32 bus, u32 devfn, u32 reg)
{
	outl(CONFIG_ADDRESS, (u32)CONFIG_ENABLE | bus << 16 | devfn << 8 | reg);
	return inl(CONFIG_DATA);
}

/* One function; true when it is a bridge to *secondary. */
static bool __init stop_function(u32 bus, u32 devfn, u32 *secondary, unsigned *stopped)
{
	u32 class = select(bus, devfn, PCI_CLASS) >> 16, command;

	if ((select(bus, devfn, PCI_HEADER) >> 16 & 0x7f) == 1) {
		*secondary = select(bus, devfn, PCI_BUSES) >> 8 & 0xff;
		return true;
	}
	if (class >> 8 == CLASS_DISPLAY || class >> 8 == CLASS_BRIDGE || class == CLASS_USB)
		return false;
	command = select(bus, devfn, PCI_COMMAND);
	if (command & PCI_COMMAND_MASTER) {
		/* Zeros in the upper half, the status, change nothing. */
		outl(CONFIG_DATA, command & 0xffff & ~(u32)PCI_COMMAND_MASTER);
		++*stopped;
	}
	return false;
}

void __init pci_stop_masters(void)
{
	u64 todo[256 / 64] = { 1 }, done[256 / 64] = { 0 };	/* buses */
	unsigned stopped = 0, bus;
	u32 secondary;

	while ((bus = find_next_bit(todo, 256, 0)) < 256) {
		clear_bit(bus, todo);
		set_bit(bus, done);
		for (u32 devfn = 0; devfn < 256; devfn++) {
			if (select(bus, devfn, PCI_VENDOR) == ~0U) {
				devfn |= devfn & 7 ? 0 : 7;	/* no function 0: none at all */
				continue;
			}
			if (stop_function(bus, devfn, &secondary, &stopped) &&
			    !test_bit(secondary, done))
				set_bit(secondary, todo);
			if (!(devfn & 7) && !(select(bus, devfn, PCI_HEADER) & BIT(23)))
				devfn |= 7;
		}
	}
	if (stopped)
		pr_info("PCI: %u device%s stopped that firmware left as bus masters\n", stopped,
			stopped == 1 ? "" : "s");
}
