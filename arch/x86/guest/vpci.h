/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI functions of a domain, as it sees them. Protected by pci_lock, but for the handlers. */
#pragma once

#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <x86/irq.h>
#include <x86/mmio.h>

/* Registers that are not the device's own, as the domain sees them. */
enum vpci_kind {
	REG_ZERO,	/* reads 0 */
	REG_READ_ONLY,
	REG_PASS,
	REG_CLEAR,	/* writing ones clears bits */
	REG_COMMAND,
	REG_HEADER,
	REG_BAR,
	REG_ROM,
	REG_DEVCAP,
	REG_DEVCTL,
	REG_BRIDGE_CONTROL,
	REG_MSI,
	REG_MSIX,
};

struct vpci_register {
	u16 at;
	u8 size, kind;
};

struct vpci_function {
	struct vpci_function *next;
	struct domain *d;
	struct pci_function *f;
	u32 sbdf;			/* as the domain sees it */
	u16 command;			/* the same; not for the control domain */
	u32 bar[PCI_BARS];
	gpaddr_t mapped[PCI_BARS];	/* where the BAR is mapped; 0: it is not */
	struct vmsi *msi, *msix;	/* NULL: none */
	u64 interrupts, refused;	/* refused: writes */
	unsigned nr_registers;
	struct vpci_register registers[32];
};

struct vpci {
	struct vpci_function *functions;
	u32 address;			/* the port 0xcf8 */
	gpaddr_t next[2];		/* addresses for BARs of 32 and 64 bits */
	unsigned nr_ecam;
	struct mmio_region ecam[];
};

/* vpci_bar.c */
u32 vpci_read_bar(const struct vpci_function *v, unsigned i);
void vpci_write_bar(struct vpci_function *v, unsigned i, u32 val);
void vpci_write_rom(struct vpci_function *v, u32 val);
/* Gives the BARs of an ordinary guest their first addresses. 0 or -ENOSPC. */
int vpci_place_bars(struct vpci_function *v);
/* Maps the BARs where they are now, or unmaps them. */
void vpci_map_bars(struct vpci_function *v, bool on);
/* Unmaps what devices' memory is mapped there. */
void vpci_unmap(struct domain *d, gpaddr_t gpa, u64 size);
/* Returns whether the BARs, as the control domain has set them, are only devices' memory. */
bool vpci_bars_allowed(struct vpci_function *v);

/* The control domain has moved the BARs: finds the MSI-X table again. */
void vpci_follow_bars(struct vpci_function *v);

/* vmsi.c: one capability of a function, MSI or MSI-X */
int vmsi_create(struct vpci_function *v, bool is_msix, struct vmsi **out);
/* Stops its interrupts and unbinds their vectors. */
void vmsi_stop(struct vmsi *m);
void vmsi_free(struct vmsi *m);	/* no CPU may use it any more; NULL is accepted */
/* reg: from the capability's start */
u32 vmsi_read(const struct vmsi *m, unsigned reg, unsigned size);
void vmsi_write(struct vmsi *m, unsigned reg, unsigned size, u32 val);
/* Returns whether the pages of BAR i from offset on, size bytes, have the MSI-X table. */
bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size);
/* Maps the table's pages where the device has them now. 0 or -ENOMEM. */
int vmsi_map_table(struct vmsi *m);
/* The BAR with the table is at gpa now; 0: nowhere. */
void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa);
