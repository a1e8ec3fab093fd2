/* SPDX-License-Identifier: BSD-2-Clause */
/* See pci.h. The device edu is described in QEMU's docs/specs/edu.txt. */
#include "pci.h"
#include "hypercall.h"
#include "smp.h"
#include "string.h"
#include "time.h"
#include "x86.h"

#define BAR_FLAGS	0xfu
#define PCI_STATUS	0x06
#define PCI_STATUS_CAPS	(1u << 4)
#define PCI_CAPS	0x34
#define MCFG_BASE	44
#define MCFG_FIRST	54
#define MCFG_LAST	55

#define MSI_CONTROL	2u
#define MSI_ADDRESS	4u
#define MSI_DATA	12u
#define MSI_ENABLE	1u

#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_START	0x98
#define EDU_RUN		1u	/* of EDU_START */
#define EDU_TO_MEMORY	2u
#define EDU_BUFFER	0x40000ul
#define EDU_ACKNOWLEDGE	0x64
#define EDU_TIME	(101 * NS_PER_MS)

uint8_t pci_read8(const volatile uint8_t *config, unsigned int reg)
{
	return config[reg];
}

uint16_t pci_read16(const volatile uint8_t *config, unsigned int reg)
{
	return *(const volatile uint16_t *)(config + reg);
}

uint32_t pci_read32(const volatile uint8_t *config, unsigned int reg)
{
	return *(const volatile uint32_t *)(config + reg);
}

void pci_write16(volatile uint8_t *config, unsigned int reg, uint16_t val)
{
	*(volatile uint16_t *)(config + reg) = val;
}

void pci_write32(volatile uint8_t *config, unsigned int reg, uint32_t val)
{
	*(volatile uint32_t *)(config + reg) = val;
}

volatile uint8_t *pci_config(unsigned int bus, unsigned int devfn)
{
	static const uint8_t *mcfg;
	uint64_t base;

	if (!mcfg)
		mcfg = acpi_find("MCFG");
	if (!mcfg || bus < mcfg[MCFG_FIRST] || bus > mcfg[MCFG_LAST])
		return NULL;
	memcpy(&base, mcfg + MCFG_BASE, sizeof(base));
	return (volatile uint8_t *)base + ((uint64_t)bus << 20 | devfn << 12);
}

volatile uint8_t *pci_find(uint32_t id)
{
	for (unsigned int bus = 0; pci_config(bus, 0); bus++)
		for (unsigned int devfn = 0; devfn < 256; devfn += 8)
			if (pci_read32(pci_config(bus, devfn), 0) == id)
				return pci_config(bus, devfn);
	return NULL;
}

unsigned int pci_cap(const volatile uint8_t *config, uint8_t id)
{
	unsigned int at =
		pci_read16(config, PCI_STATUS) & PCI_STATUS_CAPS ? pci_read8(config, PCI_CAPS) : 0;

	while (at && pci_read8(config, at) != id)
		at = pci_read8(config, at + 1);
	return at;
}

bool edu_init(struct edu *e)
{
	if (!e->config || pci_read32(e->config, 0) != EDU_ID)
		e->config = pci_find(EDU_ID);
	if (!e->config)
		return false;
	e->regs = (volatile uint8_t *)(uintptr_t)(pci_read32(e->config, PCI_BAR(0)) & ~BAR_FLAGS);
	pci_write16(e->config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return true;
}

static void begin(struct edu *e, uint64_t from, uint64_t to, unsigned int bytes, uint32_t how)
{
	*(volatile uint64_t *)(e->regs + EDU_SOURCE) = from;
	*(volatile uint64_t *)(e->regs + EDU_TARGET) = to;
	*(volatile uint32_t *)(e->regs + EDU_COUNT) = bytes;
	*(volatile uint32_t *)(e->regs + EDU_START) = EDU_RUN | how;
}

static bool finish(struct edu *e)
{
	block_until(now_ns() + EDU_TIME);
	return !(*(volatile uint32_t *)(e->regs + EDU_START) & EDU_RUN);
}

bool edu_read(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes)
{
	begin(e, address, EDU_BUFFER + at, bytes, 0);
	return finish(e);
}

void edu_begin_write(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes)
{
	begin(e, EDU_BUFFER + at, address, bytes, EDU_TO_MEMORY);
}

bool edu_write(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes)
{
	edu_begin_write(e, address, at, bytes);
	return finish(e);
}

void edu_set_message(const struct edu *e, uint64_t address, uint16_t data)
{
	unsigned int msi = pci_cap(e->config, PCI_CAP_MSI);

	pci_write16(e->config, msi + MSI_CONTROL, 0);
	pci_write32(e->config, msi + MSI_ADDRESS, (uint32_t)address);
	pci_write32(e->config, msi + MSI_ADDRESS + 4, (uint32_t)(address >> 32));
	pci_write16(e->config, msi + MSI_DATA, data);
	pci_write16(e->config, msi + MSI_CONTROL, MSI_ENABLE);
}

void edu_raise(const struct edu *e)
{
	*(volatile uint32_t *)(e->regs + EDU_RAISE) = 1;
	*(volatile uint32_t *)(e->regs + EDU_ACKNOWLEDGE) = 1;
	cpu_pause();	/* QEMU by -icount goes to the other CPU only then */
}
