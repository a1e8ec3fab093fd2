/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI functions: found at boot, and described by what Margay needs of them: BARs,
 * capabilities, the bridge above, the owner. drivers/pci. PCI 3.0; PCI Express Base 4.0.
 */
#pragma once

#include <margay/list.h>
#include <margay/lock.h>
#include <margay/mm.h>

struct domain;

/* The address of a function: segment, bus, device and function. */
#define PCI_SBDF(seg, bus, devfn) ((u32)(seg) << 16 | (u32)(bus) << 8 | (u32)(devfn))
static inline unsigned pci_segment(u32 sbdf) { return sbdf >> 16; }
static inline unsigned pci_bus(u32 sbdf) { return sbdf >> 8 & 0xff; }
static inline unsigned pci_devfn(u32 sbdf) { return sbdf & 0xff; }

#define PCI_BARS 6

struct pci_bar {
	paddr_t base;	/* as firmware placed it; 0: not placed */
	u64 size;	/* 0: no such BAR */
	bool io, is64, prefetch;
};

struct pci_function {
	struct list link;		/* pci_functions, in the order of sbdf */
	u32 sbdf;
	struct pci_function *bridge;	/* the bridge above it; NULL: on a root bus */
	u16 vendor, device;
	u32 class;			/* base class, subclass, interface: 24 bits */
	u8 header;			/* type: 0, or 1 for a bridge */
	u8 secondary, subordinate;	/* of a bridge */
	u8 express_type;		/* PCI_EXP_TYPE_*, 0xff: no PCI Express function */
	/* Offsets of capabilities in config space; 0: none. */
	u8 pm, msi, msix, express, af;
	u16 acs, sriov;
	struct pci_bar bar[PCI_BARS], rom;
	u32 group;            /* the lowest sbdf among those that cannot be isolated from it */
	bool hidden;			/* Margay's or an IOMMU's own: nobody gets it */
	struct domain *owner;		/* NULL: nobody; under pci_lock */

	struct {	/* a reset that is under way, and what it destroys; drivers/pci/reset.c */
		u8 step, kind, int_line;
		stime_t until;
		u32 bar[PCI_BARS], rom;
		u16 command, latency, devctl, devctl2, acs;
	} reset;
};

extern struct list pci_functions;
extern struct spinlock pci_lock;	/* LOCK_DEVICES: owners, additions, removals */

/*
 * Access the config space of any function. size is 1, 2 or 4, reg a multiple of it, below 4096.
 * Where a register cannot be reached (no ECAM), reads return all ones. Any context.
 */
u32 pci_read(u32 sbdf, unsigned reg, unsigned size);
void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value);

/* Finds all functions and disables their bus mastering, but for bridges and what SMM may drive. */
void pci_init(void);
/* Returns the I/O base of the first serial controller; 0: none. Boot, before pci_init(). */
u16 pci_serial_port(void);
/* Returns a function by its address, or NULL. Any context with pci_lock, or during boot. */
struct pci_function *pci_find(u32 sbdf);
/*
 * Resets a function: by FLR, else by a power state, else by the bus if nothing else is on it. Waits
 * in steps: -ERESTART to be called again; 0; -EOPNOTSUPP: it has no reset; -ETIMEDOUT.
 */
int pci_reset(struct pci_function *f);
