/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traffic of all kinds, while a control domain takes the functions away and gives them back, or until
 * the guest ends itself.
 */
#include "hostile_device.h"

#define QUIET		(4 * NS_PER_S)	/* without a loss: the control domain has finished */
#define DOORBELL	0x1000u

static uint64_t page[256];	/* more at once is out of the device's buffer, for QEMU */

/* Finds the functions that are there now, where they are now. Returns whether all are. */
static bool find_again(void)
{
	edu.config = pci_find(EDU_ID);
	nvme = pci_find(NVME_ID);
	if (!edu.config || !nvme || !edu_init(&edu))
		return false;
	nvme_regs = (volatile uint8_t *)(uintptr_t)(pci_read32(nvme, PCI_BAR(0)) & ~0xfu);
	pci_write16(nvme, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return true;
}

static bool is_there(void)
{
	return pci_read32(edu.config, 0) == EDU_ID && pci_read32(nvme, 0) == NVME_ID &&
	       pci_read16(edu.config, PCI_COMMAND) & PCI_COMMAND_MEMORY &&
	       pci_read16(nvme, PCI_COMMAND) & PCI_COMMAND_MEMORY;
}

static void burst(void)
{
	unsigned int msi = pci_cap(edu.config, PCI_CAP_MSI), msix = pci_cap(nvme, PCI_CAP_MSIX);
	uint64_t others = (16ul << 20) + random_u64() % (480ul << 20);

	for (unsigned int i = 0; i < 32; i++) {
		if (!msi || !msix)
			return;		/* just lost */
		access_store(edu.config + msi + random_u64() % 16, 4, random_u64());
		access_store(nvme + msix + 2, 2, 0x8000 | random_u64());
		access_store(nvme_regs + 0x2000 + random_u64() % 0x500, 4, random_u64());
		access_store(nvme_regs + DOORBELL, 4, random_u64() % 64);
		edu_raise(&edu);
	}
	edu_begin_write(&edu, random_u64() % 3 ? (uintptr_t)page : others, 0, sizeof(page));
}

void be_revoked(void)
{
	unsigned int losses = 0;
	uint64_t last = now_ns();

	while (now_ns() < last + QUIET) {
		if (edu.config && nvme && is_there()) {
			burst();
			block_until(now_ns() + random_u64() % (60 * NS_PER_MS));
			continue;
		}
		losses++;
		CHECK(WAIT_FOR((block_until(now_ns() + 10 * NS_PER_MS), find_again()),
			       20 * NS_PER_S),
		      "a function does not come back");
		last = now_ns();
	}
	CHECK(losses, "no function was ever taken away");
	printf("%u losses\n", losses);
	block_until(now_ns() + 200 * NS_PER_MS);
	canary_check("losses");
}

void die_amid_traffic(void)
{
	CHECK(find_again(), "a function is missing");
	for (unsigned int i = 0; i < 20; i++) {
		burst();
		block_until(now_ns() + random_u64() % (30 * NS_PER_MS));
	}
	burst();
	sched_shutdown(SHUTDOWN_reboot);
}
