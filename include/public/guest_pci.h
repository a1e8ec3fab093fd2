/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI buses that an ordinary guest has, and the description of their host bridge for ACPI: the
 * body of an SSDT. Margay gives it to guests that it starts itself; `mgctl pci bus` to those that
 * Xen's tools start. PCI Firmware 3.2, 4.1; ACPI 6.4, 6.4 (resources) and 20.2 (AML).
 */
#ifndef MARGAY_GUEST_PCI_H
#define MARGAY_GUEST_PCI_H

#include <stdint.h>

#define GUEST_PCI_SLOTS 8	/* ports on bus 0; each has one function below */
#define GUEST_PCI_BASE 0xc0000000UL	/* BARs of 32 bits, or without prefetching */
#define GUEST_PCI_END 0xe0000000UL
#define GUEST_PCI_ECAM 0xe0000000UL	/* config space */
#define GUEST_PCI_ECAM_SIZE ((GUEST_PCI_SLOTS + 1UL) << 20)

#define GUEST_PCI_BYTES4(x) \
	(uint8_t)(x), (uint8_t)((x) >> 8), (uint8_t)((x) >> 16), (uint8_t)((x) >> 24)
#define GUEST_PCI_ZEROS8 0, 0, 0, 0, 0, 0, 0, 0
#define GUEST_PCI_HIGH 102	/* offset of four numbers of 8 bytes: first, last, 0, size */

/* clang-format off */
static const uint8_t guest_pci_aml[] = {
	0x10, 0x48, 0x0b, '\\', '_', 'S', 'B', '_',	/* Scope (\_SB) */
	0x5b, 0x82, 0x47, 0x08, 'P', 'C', 'I', '0',	/* Device (PCI0) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x08,	/* PNP0A08 */
	0x08, '_', 'C', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x03,	/* PNP0A03 */
	0x08, '_', 'C', 'R', 'S', 0x11, 0x4e, 0x05, 0x0a, 0x5a,	/* Buffer (90) */
	0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0, 0,	/* buses 0 to GUEST_PCI_SLOTS */
	0, 0, GUEST_PCI_SLOTS, 0, 0, 0, GUEST_PCI_SLOTS + 1, 0,
	0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0, 0, 0, 0,	/* DWordMemory: granularity, */
	GUEST_PCI_BYTES4(GUEST_PCI_BASE), GUEST_PCI_BYTES4(GUEST_PCI_END - 1), 0, 0, 0, 0,
	GUEST_PCI_BYTES4(GUEST_PCI_END - GUEST_PCI_BASE),
	0x8a, 0x2b, 0x00, 0x00, 0x0c, 0x01, GUEST_PCI_ZEROS8,	/* QWordMemory: granularity, */
	GUEST_PCI_ZEROS8, GUEST_PCI_ZEROS8, GUEST_PCI_ZEROS8, GUEST_PCI_ZEROS8,
	0x79, 0x00,
	/* Method (_OSC, 4) { Return (Arg3) }: whatever the guest wants to control */
	0x14, 0x08, '_', 'O', 'S', 'C', 0x04, 0xa4, 0x6b,
	0x5b, 0x82, 0x26, 'E', 'C', 'A', 'M',		/* Device (ECAM) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0c, 0x02,	/* PNP0C02 */
	0x08, '_', 'C', 'R', 'S', 0x11, 0x11, 0x0a, 0x0e,	/* Buffer (14) */
	0x86, 0x09, 0x00, 0x01, GUEST_PCI_BYTES4(GUEST_PCI_ECAM), GUEST_PCI_BYTES4(GUEST_PCI_ECAM_SIZE),
	0x79, 0x00,
};
/* clang-format on */

/* The MCFG, after its header of 36 bytes. */
struct guest_pci_mcfg {
	uint8_t reserved[8];
	uint64_t base;
	uint16_t segment;
	uint8_t first, last, reserved2[4];
} __attribute__((packed));

#endif
