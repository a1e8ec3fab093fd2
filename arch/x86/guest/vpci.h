/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI functions of a domain, as it sees them. Protected by pci_lock, but for the handlers. */
#pragma once

#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <x86/build.h>
#include <x86/irq.h>
#include <x86/mmio.h>

/*
 * Four bytes of config space: which bits are not the device's but `value`, which may be written, and
 * which of the virtual ones are cleared by ones.
 */
struct vpci_register {
	u32 virt, write, value, clear;
};

struct vpci_function {
	struct domain *d;
	struct pci_function *f;		/* NULL: a port of a guest's bus */
	u32 sbdf;		/* as the domain sees it; below a port, vport_sbdf() */
	struct vpci_function *other;	/* of a port, what is below; of that, its port; or NULL */
	bool asked;			/* of a port: for what is below */
	bool astray;			/* an interrupt came to a CPU where its vCPU is not */
	struct vpci_register reg[PCI_BASIC_SIZE / 4];
	gpaddr_t mapped[PCI_BARS];	/* where the BAR is mapped; 0: it is not */
	struct vmsi *msi;		/* NULL: neither MSI nor MSI-X */
	u64 interrupts, refused;	/* refused: writes */
};

struct vpci {
	u32 address;			/* the port 0xcf8 */
	unsigned messages;		/* that are allocated, of all functions */
	struct vpci_function ports[GUEST_PCI_SLOTS]; /* of an ordinary guest */
	struct mmio_region ecam[];
};

/* Changes which bits are virtual and which can be written, among the bits of mask. */
static inline void vpci_rule(struct vpci_function *v, unsigned reg, u32 mask, u32 virt, u32 write)
{
	struct vpci_register *r = &v->reg[reg / 4];

	r->virt = (r->virt & ~mask) | virt;
	r->write = (r->write & ~mask) | write;
}

/* vport.c: makes the ports of an ordinary guest. */
void vport_create(struct domain *d);
/* Returns a port, or what is below it, by the guest's address. */
struct vpci_function *vport_find(struct vpci *p, u32 sbdf);
struct vpci_function *vport_free(struct vpci *p); /* returns one with nothing below; or NULL */
u32 vport_sbdf(const struct vpci_function *port);	/* the address below it */
void vport_plug(struct vpci_function *port, struct vpci_function *v);
void vport_unplug(struct vpci_function *port);
/* Asks the guest to give up what is below. Returns whether it has. */
bool vport_ask(struct vpci_function *port);
void vport_update(struct vpci_function *port);	/* the guest has written to slot control */

/* vpci_bar.c: gives the BARs of a guest registers, and addresses of slot n. 0 or -ENOSPC. */
int vpci_place_bars(struct vpci_function *v, unsigned n);
/* Maps the BARs where they are now, or unmaps them. */
void vpci_map_bars(struct vpci_function *v, bool on);
/* Unmaps what devices' memory is mapped there. */
void vpci_unmap(struct domain *d, gpaddr_t gpa, u64 size);

/* vsriov.c: the domain that has the devices writes to the capability of SR-IOV. */
void vsriov_write(struct vpci_function *v, unsigned reg, unsigned size, u32 val);

/* vmsi.c: MSI and MSI-X of a function, with the rules for their registers */
int vmsi_create(struct vpci_function *v);
/* Stops its interrupts and unbinds their vectors. This and the following accept a NULL. kfree() ends it. */
void vmsi_stop(struct vmsi *m);
/* Does what the registers say after a write to any. */
void vmsi_update(struct vmsi *m);
/* Sends the interrupts to the CPUs where their vCPUs are now. */
void vmsi_follow(struct vmsi *m);
/* Returns whether the pages of BAR i from offset on, size bytes, have the MSI-X table. */
bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size);
/* BAR i is at gpa now; 0: nowhere. */
void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa);
/* Delivers a message that the domain wrote for a function. Any CPU. */
void vmsi_deliver(struct domain *d, u64 address, u32 data);
