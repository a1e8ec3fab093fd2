/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions of the guest: config space in memory (ECAM), which the MCFG names, and QEMU's
 * teaching device edu, which reads and writes the address that it is given.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "types.h"

#define PCI_COMMAND		0x04
#define PCI_COMMAND_MEMORY	(1u << 1)
#define PCI_COMMAND_MASTER	(1u << 2)
#define PCI_BAR(n)		(0x10u + 4 * (n))
#define PCI_CAP_MSI		0x05
#define PCI_CAP_MSIX		0x11

#define EDU_ID			0x11e81234u	/* vendor and device */
#define EDU_RAISE		0x60		/* registers in BAR 0 */
#define EDU_BUFFER_SIZE		4096u

/* Returns the config space of a function; NULL: there is no such bus. */
volatile uint8_t *pci_config(unsigned int bus, unsigned int devfn);

/* Returns that of the first function 0 with this vendor (15:0) and device, or NULL. */
volatile uint8_t *pci_find(uint32_t id);

uint8_t pci_read8(const volatile uint8_t *config, unsigned int reg);
uint16_t pci_read16(const volatile uint8_t *config, unsigned int reg);
uint32_t pci_read32(const volatile uint8_t *config, unsigned int reg);
void pci_write16(volatile uint8_t *config, unsigned int reg, uint16_t val);
void pci_write32(volatile uint8_t *config, unsigned int reg, uint32_t val);

/* Returns the offset of a capability, or 0. */
unsigned int pci_cap(const volatile uint8_t *config, uint8_t id);

/* Zeros at first. */
struct edu {
	volatile uint8_t *config, *regs;
};

/*
 * Finds the device, unless it is there already, and lets it decode its BAR and be bus master. Returns
 * whether there is one.
 */
bool edu_init(struct edu *e);

/*
 * Copies between the device's buffer, from byte `at` on, and memory. Sleeps for the 100 ms that the
 * device takes. Returns false if it is not ready then, or not there any more.
 */
bool edu_read(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes);
bool edu_write(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes);

/* Starts such a write and does not wait. */
void edu_begin_write(struct edu *e, uint64_t address, unsigned int at, unsigned int bytes);

/* Sets and enables its MSI. */
void edu_set_message(const struct edu *e, uint64_t address, uint16_t data);

/* Has the device raise its interrupt. */
void edu_raise(const struct edu *e);

#endif
