/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI functions of a domain, as it sees them. Protected by pci_lock, but for the handlers. */
#pragma once

#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <x86/irq.h>
#include <x86/mmio.h>

/* Four bytes of config space: which bits are not the device's but `value`, and which may be written. */
struct vpci_register {
	u32 virt, write, value;
};

struct vpci_function {
	struct domain *d;
	struct pci_function *f;
	u32 sbdf;			/* as the domain sees it */
	struct vpci_register reg[PCI_BASIC_SIZE / 4];
	gpaddr_t mapped[PCI_BARS];	/* where the BAR is mapped; 0: it is not */
	struct vmsi *msi;		/* NULL: neither MSI nor MSI-X */
	u64 interrupts, refused;	/* refused: writes */
};

struct vpci {
	u32 address;			/* the port 0xcf8 */
	gpaddr_t next[2];		/* addresses for BARs of 32 and 64 bits */
	struct mmio_region ecam[];
};

/* Changes which bits are virtual and which can be written, among the bits of mask. */
static inline void vpci_rule(struct vpci_function *v, unsigned reg, u32 mask, u32 virt, u32 write)
{
	struct vpci_register *r = &v->reg[reg / 4];

	r->virt = (r->virt & ~mask) | virt;
	r->write = (r->write & ~mask) | write;
}

/* vpci_bar.c: gives the BARs of an ordinary guest their registers and addresses. 0 or -ENOSPC. */
int vpci_place_bars(struct vpci_function *v);
/* Maps the BARs where they are now, or unmaps them. */
void vpci_map_bars(struct vpci_function *v, bool on);
/* Unmaps what devices' memory is mapped there. */
void vpci_unmap(struct domain *d, gpaddr_t gpa, u64 size);

/* vmsi.c: MSI and MSI-X of a function, with the rules for their registers */
int vmsi_create(struct vpci_function *v);
/* Stops its interrupts and unbinds their vectors. This and the following accept a NULL. */
void vmsi_stop(struct vmsi *m);
void vmsi_free(struct vmsi *m);	/* no CPU may use it any more */
/* Does what the registers say after a write to any. */
void vmsi_update(struct vmsi *m);
/* Returns whether the pages of BAR i from offset on, size bytes, have the MSI-X table. */
bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size);
/* BAR i is at gpa now; 0: nowhere. */
void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa);
