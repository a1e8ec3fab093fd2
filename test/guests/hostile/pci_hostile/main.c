/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a guest that does with its devices, QEMU's edu and an NVMe disk, whatever it can: DMA to
 * all kinds of addresses, forged and stormed interrupts, bus mastering at odd times, BARs over
 * others' memory, and random config space. Beside it a guest watches its memory, clock and timers.
 * Everything here must fail or hurt this guest only; afterwards the devices still work.
 */
#include "hostile_device.h"

#define NVME_BAR	0xd0000000u	/* in the window of 32 bits, which the identity map has */

struct edu edu;
volatile uint8_t *nvme, *nvme_regs;
static uint32_t edu_bar;

static void check_own_dma(const char *after)
{
	static uint64_t from[8], to[8];

	for (unsigned int i = 0; i < ARRAY_SIZE(from); i++) {
		from[i] = random_u64();
		to[i] = 0;
	}
	CHECK(edu_read(&edu, (uintptr_t)from, 0, sizeof(from)) &&
		      edu_write(&edu, (uintptr_t)to, 0, sizeof(to)),
	      "after %s: edu is not ready", after);
	for (unsigned int i = 0; i < ARRAY_SIZE(from); i++)
		CHECK(READ_ONCE(to[i]) == from[i], "after %s: edu does not copy", after);
}

void devices_restore(const char *after)
{
	bridges_restore();
	/* Where one is decoded, Margay does not map another. */
	pci_write16(edu.config, PCI_COMMAND, 0);
	if (nvme)
		pci_write16(nvme, PCI_COMMAND, 0);
	pci_write32(edu.config, PCI_BAR(0), edu_bar);
	CHECK(edu_init(&edu), "after %s: there is no edu", after);
	if (nvme) {
		pci_write32(nvme, PCI_BAR(0), NVME_BAR);
		pci_write32(nvme, PCI_BAR(1), 0);
		pci_write16(nvme, PCI_COMMAND, PCI_COMMAND_MEMORY);
		nvme_regs = (volatile uint8_t *)(uintptr_t)NVME_BAR;
		CHECK(pci_read32(nvme_regs, 0) && ~pci_read32(nvme_regs, 0),
		      "after %s: the NVMe disk does not answer", after);
	}
	check_own_dma(after);
	canary_check(after);
}

static const struct {
	const char *name;
	void (*fn)(void);
} parts[] = {
	{ "bus mastering", bus_master_orders },
	{ "config space", config_everywhere },
	{ "BARs", bars_everywhere },
	{ "MSI", messages_everywhere },
	{ "MSI-X", msix_everywhere },
	{ "storms", storm },
	{ "DMA", dma_everywhere },
	{ "DMA to grants", dma_to_grants },
	{ "DMA to interrupts", dma_to_interrupts },
	{ "faults", faults_for_ever },
};

int main(void)
{
	uint64_t only = cmdline_number("only", ~0ul);

	canary_init(16);
	bridges_init();
	nvme = pci_find(NVME_ID);
	CHECK(edu_init(&edu), "there is no edu");
	edu_bar = (uint32_t)(uintptr_t)edu.regs;
	if (cmdline_number("revoked", 0)) {
		be_revoked();
		check_own_dma("losses");
		pass();
	}
	devices_restore("the start");
	if (cmdline_number("die", 0))
		die_amid_traffic();
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!(only >> i & 1))
			continue;
		printf("%s...\n", parts[i].name);
		parts[i].fn();
	}
	pass();
}
