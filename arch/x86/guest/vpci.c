/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI config space as a domain sees it. Of each register some bits are the device's and others
 * virtual, and some can be written: vpci_function.reg says which. The control domain that has the
 * machine's devices sees them where they are, and writes most bits. Any other guest sees one bus with
 * its functions, and writes what a list here names. A function that is not the domain's does not
 * exist for it. pci_lock protects all. PCI 3.0, 6.2; PCI Express Base 4.0, 7.5.
 */
#include <margay/boot_state.h>
#include <margay/errno.h>
#include <x86/build.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/vpci.h>

#include "vpci.h"

#define NOWHERE ~0U	/* no domain has a function there */
#define CONFIG_ENABLE BIT(31)
#define PORT_CONFIG_ADDRESS 0xcf8
#define PORT_CONFIG_DATA 0xcfc

/* What a guest may set in COMMAND, and in Device Control: errors, ordering, tags, snoop, reads. */
#define COMMAND_WRITABLE                                                                          \
	(PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |           \
	 PCI_COMMAND_NO_INTX)
#define DEVCTL_HARMLESS 0x791fU
#define UPPER_HALF 0xffff0000U	/* a status register, whose bits a one clears */

/*
 * Returns the function that an access of the domain's is for, or NULL. The machine's may be new there,
 * plugged in, when a scan reads its id; pciehp still writes to one that it has just removed.
 */
static struct vpci_function *find(struct domain *d, u64 address, unsigned size)
{
	u32 sbdf = (u32)(address / PCI_CONFIG_SIZE);
	const struct pci_function *f;
	struct vpci_function *v;

	if (size > 4 || address % size)
		return NULL;
	if (!d->hardware)
		return vport_find(d->vpci, sbdf);
	f = pci_find(sbdf);
	if ((!f || f->removed) && address % PCI_CONFIG_SIZE == PCI_VENDOR) {
		pci_touch(d, sbdf);
		f = pci_find(sbdf);
	}
	v = f ? f->view : NULL;
	return v && v->d == d && v->sbdf == sbdf ? v : NULL;
}

static u32 read_config(const struct vpci_function *v, unsigned reg, unsigned size)
{
	u32 val = v->f ? pci_read(v->f->sbdf, reg, size) : 0;
	const struct vpci_register *r;
	unsigned shift = reg % 4 * 8;

	if (reg >= PCI_BASIC_SIZE)
		return val;
	r = &v->reg[reg / 4];
	val = (val & ~(r->virt >> shift)) | (r->value & r->virt) >> shift;
	return val & ~0U >> (32 - 8 * size);
}

/* Returns whether a function of a guest's, or of Margay's, is behind a bridge of the control domain's. */
static bool is_shared(const struct vpci_function *v)
{
	const struct pci_function *f;

	return pci_find_if(f, (f->owner ? f->owner != v->d : f->hidden) &&
				      pci_segment(f->sbdf) == pci_segment(v->sbdf) &&
				      pci_bus(f->sbdf) >= v->f->secondary &&
				      pci_bus(f->sbdf) <= v->f->subordinate);
}

/*
 * Returns a register of a bridge as it may be when functions of others are behind: no reset of the bus,
 * no sleep (which Linux wants of ports that look empty), and neither link nor slot are turned off.
 */
static u32 permitted_bridge(const struct pci_function *f, unsigned reg, u32 val)
{
	if (reg == PCI_INT_LINE)
		return val & ~((u32)PCI_BRIDGE_RESET << 16);
	if (f->pm && reg == f->pm + (unsigned)PCI_PM_CONTROL)
		return val & ~PCI_PM_STATE;
	if (f->express && reg == f->express + (unsigned)PCI_EXP_LINK)
		return val & ~(u32)PCI_EXP_LINK_DISABLE;
	if (f->express && reg == f->express + (unsigned)PCI_EXP_SLOT)
		return val & ~SLOT_POWERED_OFF;
	return val;
}

/* Returns COMMAND as it may be. Without an IOMMU, a domain's addresses are others' in the machine. */
static u32 permitted_command(const struct vpci_function *v, u32 old, u32 val)
{
	bool decodes = v->d->hardware && !v->f->header && (val & ~old & PCI_COMMAND_MEM);
	u32 refused = v->f->header == 1 || iommu_covers(v->f->sbdf) ? 0 : PCI_COMMAND_MASTER;

	if (decodes && !pci_bars_are_sound(v->d, v->f)) {
		pr_warn("PCI: " PCI_FMT ": BARs refused: they are not its own memory\n",
			PCI_ARGS(v->sbdf));
		refused |= PCI_COMMAND_MEM;
	}
	return val & ~refused;
}

/* Returns what a register that was old may be when the domain writes val. */
static u32 permitted(const struct vpci_function *v, unsigned reg, u32 old, u32 val)
{
	u32 command = read_config(v, PCI_COMMAND, 2), moved = (val ^ old) & PCI_ROM_BASE;

	if (reg == PCI_COMMAND)
		return permitted_command(v, old, val);
	if (v->f->header)
		return is_shared(v) ? permitted_bridge(v->f, reg, val) : val;
	if (reg >= PCI_BAR0 && reg < PCI_BAR0 + 4 * PCI_BARS) {
		bool io = v->f->bar[(reg - PCI_BAR0) / 4].io;

		return command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEM) ? old : val;
	}
	/* A ROM can be turned on and off, and sized while decoding is off. */
	if (reg == PCI_ROM && moved && ((val & PCI_ROM_ENABLE) || (command & PCI_COMMAND_MEM)))
		return old;
	return val;
}

/* Does what a new value of COMMAND says. */
static void update_command(struct vpci_function *v, u32 old)
{
	u32 command = read_config(v, PCI_COMMAND, 2);

	if ((command ^ old) & PCI_COMMAND_MEM)
		vpci_map_bars(v, command & PCI_COMMAND_MEM);
	/* It decodes its own addresses all the time; no guest but the one that has it reaches them. */
	if (!v->d->hardware)
		pci_write(v->f->sbdf, PCI_COMMAND, 2,
			  PCI_COMMAND_MEM | PCI_COMMAND_NO_INTX | (command & PCI_COMMAND_MASTER));
}

static void write_basic(struct vpci_function *v, unsigned reg, unsigned size, u32 val)
{
	struct vpci_register *r = &v->reg[reg / 4];
	unsigned shift = reg % 4 * 8, first = reg & ~3U;
	u32 mask = ~0U >> (32 - 8 * size) << shift, ones = val << shift & mask;
	u32 bits = r->write & mask, old, wanted, kept;

	if (!((r->write | r->virt) & mask)) {
		v->refused++;
		return;
	}
	old = read_config(v, first, 4);
	wanted = (old & ~bits) | (ones & bits);
	val = v->f ? permitted(v, first, old, wanted) : wanted;
	v->refused += val != wanted;
	r->value = ((r->value & ~bits) | (val & bits)) & ~(ones & r->clear);
	bits &= ~r->virt;
	if (bits) {
		kept = pci_read(v->f->sbdf, first, 4) & ~bits;
		pci_write(v->f->sbdf, reg, size, (kept | (val & bits)) >> shift);
	}
	if (!v->f)
		vport_update(v);
	else if (first == PCI_COMMAND)
		update_command(v, old);
	else if (first >= PCI_CAPS_FIRST && r->virt)
		vmsi_update(v->msi);
}

/* Accesses d's config space, which has PCI_CONFIG_SIZE bytes for each function. */
static void config_access(struct domain *d, u64 address, unsigned size, u64 *val, bool write)
{
	u32 sbdf = (u32)(address / PCI_CONFIG_SIZE);
	unsigned reg = address % PCI_CONFIG_SIZE;
	struct vpci_function *v;

	guard(&pci_lock);
	v = find(d, address, size);
	/* The domain reads what new virtual functions are before it tells that they are there. */
	if (!v && !write && d->hardware && size <= 4 && !(reg % size) && !pci_find(sbdf))
		*val = pci_read(sbdf, reg, size);
	if (!v)
		return;
	if (!write)
		*val = read_config(v, reg, size);
	else if (reg < PCI_BASIC_SIZE)
		write_basic(v, reg, size, (u32)*val);
	else if (d->hardware && v->f->sriov && reg - v->f->sriov < PCI_SRIOV_SIZE)
		vsriov_write(v, reg - v->f->sriov, size, (u32)*val);
	else if (d->hardware && !(v->f->acs && (reg & ~3U) == v->f->acs + (unsigned)PCI_ACS_CAP))
		pci_write(v->f->sbdf, reg, size, (u32)*val);
	else
		v->refused++;
}

static void ecam_access(struct vcpu *v, struct mmio_region *r, u64 offset, unsigned size, u64 *val,
			bool write)
{
	struct domain *d = v->domain;
	u64 first = d->hardware ? boot_acpi.ecam[r - ((struct vpci *)d->vpci)->ecam].sbdf : 0;

	config_access(d, first * PCI_CONFIG_SIZE + offset, size, val, write);
}

void vpci_ports(struct vcpu *v, u16 port, unsigned size, u64 *val, bool write)
{
	struct vpci *p = v->domain->vpci;
	u32 at = READ_ONCE(p->address);
	u64 function = (at >> 8 & 0xffff) * (u64)PCI_CONFIG_SIZE;

	if (port >= PORT_CONFIG_DATA && (at & CONFIG_ENABLE))
		config_access(v->domain, function + (at & 0xfc) + (port & 3), size, val, write);
	else if (port == PORT_CONFIG_ADDRESS && size == 4 && write)
		WRITE_ONCE(p->address, (u32)*val);
	else if (port == PORT_CONFIG_ADDRESS && size == 4)
		*val = at;
}

/* The rules for a guest's function, but for BARs and interrupts: what is not here is read-only. */
static void guest_rules(struct vpci_function *v)
{
	const unsigned express = v->f->express;

	v->reg[0].value = v->f->vendor | (u32)v->f->device << 16; /* a virtual function has none */
	vpci_rule(v, PCI_VENDOR, ~0U, ~0U, 0);
	vpci_rule(v, PCI_COMMAND, ~0U, 0xffff, COMMAND_WRITABLE | UPPER_HALF);
	vpci_rule(v, PCI_CACHE_LINE, ~0U, PCI_HEADER_MULTI << 16, 0xffff);
	vpci_rule(v, PCI_ROM, ~0U, ~0U, 0);
	vpci_rule(v, PCI_INT_LINE, ~0U, 0xffff, 0);
	if (!express)
		return;
	vpci_rule(v, express + PCI_EXP_DEVCAP, ~0U, PCI_EXP_DEVCAP_FLR, 0);
	vpci_rule(v, express + PCI_EXP_DEVCTL, ~0U, 0, DEVCTL_HARMLESS | UPPER_HALF);
}

static void control_rules(struct vpci_function *v)
{
	for (unsigned i = 0; i < ARRAY_SIZE(v->reg); i++)
		v->reg[i].write = ~0U;
	if (v->f->header == 1)
		vpci_rule(v, PCI_BUSES, 0xffffff, 0, 0);
}

int vpci_create(struct domain *d)
{
	unsigned n = d->hardware ? boot_acpi.nr_ecam : 1;
	const gfn_t first = GUEST_PCI_BASE >> PAGE_SHIFT;
	struct vpci *p;

	if (!d->hardware && (p2m_lookup(d, first).type != P2M_NONE || on_demand(d, first)))
		return -E2BIG;
	p = kzalloc(sizeof(*p) + n * sizeof(p->ecam[0]));
	if (!p)
		return -ENOMEM;
	d->vpci = p;
	/* Those that own CPUs, or to which hardware posts, have no exits to save. */
	d->pirqs = !d->hardware && !d->native && !x86.posting;
	vport_create(d);
	cpuid_offer_mtrr(d);
	for (struct mmio_region *r = p->ecam; r < p->ecam + n; r++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[r - p->ecam];

		r->base = d->hardware ? e->base : GUEST_PCI_ECAM;
		r->size = d->hardware ? e->size : GUEST_PCI_ECAM_SIZE;
		r->access = ecam_access;
		mmio_add(d, r);
	}
	return 0;
}

int vpci_add(struct domain *d, struct pci_function *f)
{
	struct vpci_function *v = kzalloc(sizeof(*v)), *port = NULL;
	struct vpci *p = d->vpci;
	int rc = 0;

	if (!v)
		return -ENOMEM;
	v->d = d;
	v->f = f;
	f->view = v;
	if (d->hardware) {
		v->sbdf = f->sbdf;
		control_rules(v);
		/* As permitted_command(): firmware may have left it on, and drivers then write nothing. */
		if (!iommu_covers(f->sbdf) && f->class >> 16 != PCI_CLASS_BRIDGE)
			pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
	} else {
		guest_rules(v);
		port = vport_free(p);
		rc = port ? vpci_place_bars(v, (unsigned)(port - p->ports)) : -ENOSPC;
		/* Its memory must answer when the MSI-X table is written. */
		pci_write(f->sbdf, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_NO_INTX);
	}
	if (!rc)
		rc = vmsi_create(v);
	if (rc) {
		vpci_free(f);
		return rc;
	}
	/* The physical function says whether a virtual one decodes memory. */
	if ((read_config(v, PCI_COMMAND, 2) & PCI_COMMAND_MEM) || (d->hardware && f->physfn))
		vpci_map_bars(v, true);
	if (port)
		vport_plug(port, v);
	return 0;
}

bool vpci_ask(const struct pci_function *f)
{
	const struct vpci_function *v = f->view;

	return !v || !v->other || vport_ask(v->other);
}

void vpci_follow(struct pci_function *f, bool now)
{
	struct vpci_function *v = f->view;

	if (!v || !(v->astray || now))
		return;
	v->astray = false;
	vmsi_follow(v->msi);
}

void vpci_stop(struct pci_function *f)
{
	struct vpci_function *v = f->view;

	if (!v)
		return;
	vmsi_stop(v->msi);
	v->sbdf = NOWHERE;
	if (v->d->hardware)	/* that may have moved them since it stopped decoding */
		pci_update_bars(f);
	vpci_map_bars(v, false);
	if (v->other)
		vport_unplug(v->other);
	v->other = NULL;
}

void vpci_free(struct pci_function *f)
{
	struct vpci_function *v = f->view;

	if (v)
		kfree(v->msi);
	kfree(v);
	f->view = NULL;
}

void vpci_destroy(struct domain *d)
{
	kfree(d->vpci);
	d->vpci = NULL;
}

void vpci_show(const struct pci_function *f, u32 *sbdf, u64 *interrupts, u64 *refused)
{
	const struct vpci_function *v = f->view;

	*sbdf = !v ? NOWHERE : v->other ? vport_sbdf(v->other) : v->sbdf;
	*interrupts = v ? v->interrupts : 0;
	*refused = v ? v->refused : 0;
}

void vpci_high(u64 *at, u64 *size)
{
	*at = guest_pci_high();
	*size = guest_pci_high_end() - *at;
}
