/* SPDX-License-Identifier: BSD-2-Clause */
/* An NVMe disk whose queues are not this guest's memory: a fault for each doorbell. */
#include "hostile_device.h"

#define CC		0x14u		/* registers */
#define CSTS		0x1cu
#define AQA		0x24u
#define ASQ		0x28u
#define ACQ		0x30u
#define DOORBELL	0x1000u
#define CC_ENABLE	(1u | 6u << 16 | 4u << 20)
#define QUEUE		64u
#define NOT_OURS	0x1c000000ul

static uint32_t get(unsigned int reg)
{
	return *(volatile uint32_t *)(nvme_regs + reg);
}

static void put(unsigned int reg, uint32_t val)
{
	*(volatile uint32_t *)(nvme_regs + reg) = val;
}

void faults_for_ever(void)
{
	uint64_t end = now_ns() + cmdline_number("faults_ms", 4000) * NS_PER_MS;

	if (!nvme)
		return;
	pci_write16(nvme, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(CC, 0);
	CHECK(WAIT_FOR(!(get(CSTS) & 1), NS_PER_S), "the disk does not stop");
	put(AQA, (QUEUE - 1) << 16 | (QUEUE - 1));
	put(ASQ, (uint32_t)NOT_OURS);
	put(ASQ + 4, 0);
	put(ACQ, (uint32_t)NOT_OURS + 0x1000);
	put(ACQ + 4, 0);
	put(CC, CC_ENABLE);
	CHECK(WAIT_FOR(get(CSTS) & 1, NS_PER_S), "the disk does not start");
	for (uint32_t tail = 1; now_ns() < end; tail++) {
		put(DOORBELL, tail % QUEUE);
		/* QEMU serves the disk in a thread of its own, which needs a moment of real time. */
		delay_ns(NS_PER_MS);
		sleep_until(now_ns() + 3 * NS_PER_MS);
	}
	put(CC, 0);
	devices_restore("faults");
}
