/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network card whose ring of descriptors is not this guest's memory: faults for each packet. QEMU's
 * e1000 reads the ring while the guest writes the register, so there is no wait.
 */
#include "hostile_device.h"

#define NIC_ID		0x100e8086u
#define TCTL		0x400u		/* registers */
#define TCTL_ENABLE	(1u << 1)
#define TDBAL		0x3800u
#define TDBAH		0x3804u
#define TDLEN		0x3808u
#define TDT		0x3818u
#define RING		64u		/* descriptors of 16 bytes */
#define NOT_OURS	0x1c000000ul

static volatile uint8_t *regs;

static void put(unsigned int reg, uint32_t val)
{
	*(volatile uint32_t *)(regs + reg) = val;
}

void faults_for_ever(void)
{
	uint64_t end = now_ns() + cmdline_number("faults_ms", 3000) * NS_PER_MS;
	volatile uint8_t *nic = pci_find(NIC_ID);

	if (!nic)
		return;
	pci_write16(nic, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	regs = (volatile uint8_t *)(uintptr_t)(pci_read32(nic, PCI_BAR(0)) & ~0xfu);
	put(TDBAL, (uint32_t)NOT_OURS);
	put(TDBAH, 0);
	put(TDLEN, RING * 16);
	put(TCTL, TCTL_ENABLE);
	for (uint32_t i = 0; now_ns() < end; i++) {
		put(TDT, i % RING);
		block_until(now_ns() + 4 * NS_PER_MS);
	}
	put(TCTL, 0);
	devices_restore("faults");
}
