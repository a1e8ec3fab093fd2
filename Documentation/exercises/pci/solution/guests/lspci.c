/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

#define BAR_64		(1u << 2)
#define BAR_FLAGS	0xfu

/* Prints the memory BARs of a function, which decodes none of them meanwhile. */
static void list_bars(volatile uint8_t *config)
{
	uint32_t id = pci_read32(config, 0), was, mask;

	pci_write16(config, PCI_COMMAND, 0);
	for (unsigned int i = 0; i < 6; i++) {
		was = pci_read32(config, PCI_BAR(i));
		pci_write32(config, PCI_BAR(i), ~0u);
		mask = pci_read32(config, PCI_BAR(i));
		pci_write32(config, PCI_BAR(i), was);
		if (mask)
			printf("%04x:%04x BAR %u: 0x%x bytes\n", id & 0xffff, id >> 16, i,
			       -(mask & ~BAR_FLAGS));
		if (mask & BAR_64)
			i++;
	}
}

int main(void)
{
	for (unsigned int bus = 0; pci_config(bus, 0); bus++)
		for (unsigned int devfn = 0; devfn < 256; devfn += 8) {
			volatile uint8_t *config = pci_config(bus, devfn);

			if (pci_read16(config, 0) != 0xffff && !(pci_read8(config, 0x0e) & 0x7f))
				list_bars(config);
		}
	pass();
}
