/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI config space as a domain sees it. Reads pass, but for registers that are virtual. The control
 * domain that has the machine's devices sees them where they are, and writes most registers. Any
 * other guest sees one bus with its functions, and a write reaches a register of the device only if
 * a list here says so. A function that is not the domain's does not exist for it. pci_lock protects
 * all. PCI 3.0, 6.2; PCI Express Base 4.0, 7.5.
 */
#include <margay/boot_state.h>
#include <margay/errno.h>
#include <x86/build.h>
#include <x86/vpci.h>

#include "vpci.h"

#define CONFIG_ENABLE BIT(31)
#define PORT_CONFIG_ADDRESS 0xcf8
#define PORT_CONFIG_DATA 0xcfc
#define ECAM_FUNCTION_SHIFT 12
#define ECAM_BUS_SHIFT 20

/* Device Control: error reporting, relaxed ordering, tags, no snoop, size of reads. */
#define DEVCTL_HARMLESS 0x7b1fU

static struct vpci_function *find(const struct vpci *p, u32 sbdf)
{
	struct vpci_function *v = p->functions;

	while (v && v->sbdf != sbdf)
		v = v->next;
	return v;
}

static u32 real(const struct vpci_function *v, unsigned reg, unsigned size)
{
	return pci_read(v->f->sbdf, reg, size);
}

static u32 read_register(const struct vpci_function *v, const struct vpci_register *r)
{
	switch (r->kind) {
	case REG_ZERO: return 0;
	case REG_COMMAND: return v->d->hardware ? real(v, r->at, 2) : v->command;
	case REG_HEADER: return real(v, r->at, 1) & PCI_HEADER_TYPE;
	case REG_BAR: return vpci_read_bar(v, (r->at - PCI_BAR0) / 4U);
	case REG_DEVCAP: return real(v, r->at, 4) & ~(u32)PCI_EXP_DEVCAP_FLR;
	case REG_MSI: return vmsi_read(v->msi, r->at - v->f->msi, r->size);
	case REG_MSIX: return vmsi_read(v->msix, r->at - v->f->msix, r->size);
	default: return real(v, r->at, r->size);
	}
}

/*
 * Without an IOMMU nobody may let a device reach memory: a domain's addresses are others' in the
 * machine.
 */
static bool may_master(const struct vpci_function *v)
{
	return v->f->header == 1 || iommu_covers(v->f->sbdf);
}

static void write_command(struct vpci_function *v, u32 val)
{
	u32 on = v->d->hardware ? val & ~real(v, PCI_COMMAND, 2) : val;

	if ((val & PCI_COMMAND_MASTER) && !may_master(v)) {
		val &= ~(u32)PCI_COMMAND_MASTER;
		v->refused++;
	}
	if (v->d->hardware) {
		if ((on & PCI_COMMAND_MEM) && !v->f->header && !vpci_bars_allowed(v)) {
			pr_warn("PCI: %08x: BARs refused: they are not its own memory\n", v->sbdf);
			val &= ~(u32)PCI_COMMAND_MEM;
			v->refused++;
		} else if ((on & PCI_COMMAND_MEM) && v->msix) {
			vpci_follow_bars(v);
		}
		pci_write(v->f->sbdf, PCI_COMMAND, 2, val);
		return;
	}
	on = val & ~(u32)v->command;
	v->command = val & (PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			    PCI_COMMAND_SERR | PCI_COMMAND_NO_INTX);
	if (on & PCI_COMMAND_MEM)
		vpci_map_bars(v, true);
	else if (!(val & PCI_COMMAND_MEM))
		vpci_map_bars(v, false);
	/* It decodes its own addresses all the time; no guest but the one that has it reaches them. */
	pci_write(v->f->sbdf, PCI_COMMAND, 2,
		  PCI_COMMAND_MEM | PCI_COMMAND_NO_INTX | (val & PCI_COMMAND_MASTER));
}

/* A reset of the bus must not reach functions of others. */
static void write_bridge_control(struct vpci_function *v, u32 val)
{
	const struct pci_function *f;

	list_for_each(f, &pci_functions, link)
		if (f->owner != v->d && pci_segment(f->sbdf) == pci_segment(v->sbdf) &&
		    pci_bus(f->sbdf) >= v->f->secondary && pci_bus(f->sbdf) <= v->f->subordinate &&
		    (val & PCI_BRIDGE_RESET)) {
			v->refused++;
			val &= ~(u32)PCI_BRIDGE_RESET;
		}
	pci_write(v->f->sbdf, PCI_BRIDGE_CONTROL, 2, val);
}

static void write_register(struct vpci_function *v, const struct vpci_register *r, u32 val)
{
	switch (r->kind) {
	case REG_COMMAND: write_command(v, val); break;
	case REG_BAR: vpci_write_bar(v, (r->at - PCI_BAR0) / 4U, val); break;
	case REG_ROM: vpci_write_rom(v, val); break;
	case REG_BRIDGE_CONTROL: write_bridge_control(v, val); break;
	case REG_MSI: vmsi_write(v->msi, r->at - v->f->msi, r->size, val); break;
	case REG_MSIX: vmsi_write(v->msix, r->at - v->f->msix, r->size, val); break;
	case REG_PASS:
	case REG_CLEAR: pci_write(v->f->sbdf, r->at, r->size, val); break;
	case REG_DEVCTL:
		val = (val & DEVCTL_HARMLESS) | (real(v, r->at, 2) & ~DEVCTL_HARMLESS);
		pci_write(v->f->sbdf, r->at, 2, val & ~(u32)PCI_EXP_DEVCTL_FLR);
		break;
	case REG_ZERO:
		break;
	default:
		v->refused++;
		break;
	}
}

static u32 replace(u32 val, unsigned at, unsigned size, u32 with)
{
	u32 mask = ~0U >> (32 - 8 * size);

	return (val & ~(mask << 8 * at)) | (with & mask) << 8 * at;
}

/* The part of an access at reg, size bytes, that a register has. */
struct overlap {
	unsigned size, in_reg, in_access;
};

static struct overlap overlap(const struct vpci_register *r, unsigned reg, unsigned size)
{
	unsigned from = max((unsigned)r->at, reg), to = min(r->at + (unsigned)r->size, reg + size);

	if (from >= to)
		return (struct overlap){ 0 };
	return (struct overlap){ to - from, from - r->at, from - reg };
}

static u32 read_config(const struct vpci_function *v, unsigned reg, unsigned size)
{
	u32 val = real(v, reg, size);

	for (unsigned i = 0; i < v->nr_registers; i++) {
		const struct vpci_register *r = &v->registers[i];
		struct overlap o = overlap(r, reg, size);

		if (o.size)
			val = replace(val, o.in_access, o.size,
				      read_register(v, r) >> 8 * o.in_reg);
	}
	return val;
}

static void write_config(struct vpci_function *v, unsigned reg, unsigned size, u32 val)
{
	unsigned left = size;

	for (unsigned i = 0; i < v->nr_registers; i++) {
		const struct vpci_register *r = &v->registers[i];
		struct overlap o = overlap(r, reg, size);
		u32 old;

		if (!o.size)
			continue;
		left -= o.size;
		old = o.size == r->size || r->kind == REG_CLEAR ? 0 : read_register(v, r);
		write_register(v, r, replace(old, o.in_reg, o.size, val >> 8 * o.in_access));
	}
	if (!left)
		return;
	if (v->d->hardware && left == size)
		pci_write(v->f->sbdf, reg, size, val);
	else
		v->refused++;
}

u32 vpci_read(struct domain *d, u32 sbdf, unsigned reg, unsigned size)
{
	const struct vpci_function *v;

	guard(&pci_lock);
	v = find(d->vpci, sbdf);
	return v ? read_config(v, reg, size) : ~0U >> (32 - 8 * size);
}

void vpci_write(struct domain *d, u32 sbdf, unsigned reg, unsigned size, u32 val)
{
	struct vpci_function *v;

	guard(&pci_lock);
	v = find(d->vpci, sbdf);
	if (v)
		write_config(v, reg, size, val);
}

static u32 ecam_sbdf(const struct domain *d, const struct mmio_region *r, u64 offset)
{
	const struct vpci *p = d->vpci;
	const struct acpi_ecam *e = &boot_acpi.ecam[r - p->ecam];
	u32 bdf = (u32)(offset >> ECAM_FUNCTION_SHIFT);

	return p->ecam[0].base == GUEST_PCI_ECAM ? bdf : PCI_SBDF(e->segment, e->first, 0) + bdf;
}

static u64 ecam_read(struct vcpu *v, struct mmio_region *r, u64 offset, unsigned size)
{
	u32 sbdf = ecam_sbdf(v->domain, r, offset);
	unsigned reg = offset % PCI_CONFIG_SIZE;

	if (reg % size)
		return ~0UL;
	if (size < 8)
		return vpci_read(v->domain, sbdf, reg, size);
	return vpci_read(v->domain, sbdf, reg, 4) | (u64)vpci_read(v->domain, sbdf, reg + 4, 4)
							    << 32;
}

static void ecam_write(struct vcpu *v, struct mmio_region *r, u64 offset, unsigned size, u64 val)
{
	u32 sbdf = ecam_sbdf(v->domain, r, offset);
	unsigned reg = offset % PCI_CONFIG_SIZE;

	if (reg % size)
		return;
	vpci_write(v->domain, sbdf, reg, min(size, 4U), (u32)val);
	if (size == 8)
		vpci_write(v->domain, sbdf, reg + 4, 4, (u32)(val >> 32));
}

u32 vpci_in(struct vcpu *v, u16 port, unsigned size)
{
	const struct vpci *p = v->domain->vpci;
	u32 address = READ_ONCE(p->address);
	unsigned reg = (address & 0xfc) + (port & 3U);

	if (port == PORT_CONFIG_ADDRESS && size == 4)
		return address;
	if (port < PORT_CONFIG_DATA || !(address & CONFIG_ENABLE) || reg % size)
		return ~0U;
	return vpci_read(v->domain, address >> 8 & 0xffff, reg, size);
}

void vpci_out(struct vcpu *v, u16 port, unsigned size, u32 val)
{
	struct vpci *p = v->domain->vpci;
	u32 address = READ_ONCE(p->address);
	unsigned reg = (address & 0xfc) + (port & 3U);

	if (port == PORT_CONFIG_ADDRESS && size == 4)
		WRITE_ONCE(p->address, val);
	else if (port >= PORT_CONFIG_DATA && (address & CONFIG_ENABLE) && !(reg % size))
		vpci_write(v->domain, address >> 8 & 0xffff, reg, size, val);
}

static void add(struct vpci_function *v, unsigned at, unsigned size, enum vpci_kind kind)
{
	BUG_ON(v->nr_registers == ARRAY_SIZE(v->registers));
	v->registers[v->nr_registers++] = (struct vpci_register){ (u16)at, (u8)size, (u8)kind };
}

static void add_interrupts(struct vpci_function *v)
{
	const struct pci_function *f = v->f;
	unsigned wide = f->msi && (real(v, f->msi + PCI_MSI_CONTROL, 2) & PCI_MSI_64) ? 4 : 0;

	if (v->msi) {
		add(v, f->msi + PCI_MSI_CONTROL, 2, REG_MSI);
		add(v, f->msi + 4, 4, REG_MSI);
		if (wide)
			add(v, f->msi + 8, 4, REG_MSI);
		add(v, f->msi + 8 + wide, 2, REG_MSI);
		if (real(v, f->msi + PCI_MSI_CONTROL, 2) & PCI_MSI_MASKING)
			add(v, f->msi + 12 + wide, 4, REG_MSI);
	} else if (f->msi) {
		add(v, f->msi + PCI_MSI_CONTROL, 2, REG_READ_ONLY);
	}
	if (f->msix)
		add(v, f->msix + PCI_MSIX_CONTROL, 2, v->msix ? REG_MSIX : REG_READ_ONLY);
}

static void add_registers(struct vpci_function *v)
{
	const struct pci_function *f = v->f;
	bool ours = !v->d->hardware;	/* the bus is Margay's */

	add(v, PCI_COMMAND, 2, REG_COMMAND);
	add(v, PCI_STATUS, 2, REG_CLEAR);
	if (!f->header)
		for (unsigned i = 0; i < PCI_BARS; i++)
			add(v, PCI_BAR0 + 4 * i, 4, REG_BAR);
	add_interrupts(v);
	if (f->header == 1) {
		add(v, PCI_BUSES, 3, REG_READ_ONLY);
		add(v, PCI_BRIDGE_CONTROL, 2, REG_BRIDGE_CONTROL);
	}
	if (f->acs)
		add(v, f->acs + PCI_ACS_CONTROL, 2, REG_READ_ONLY);
	if (!ours) {
		if (!f->header)
			add(v, PCI_ROM, 4, REG_ROM);
		return;
	}
	add(v, PCI_CACHE_LINE, 2, REG_PASS);
	add(v, PCI_HEADER, 1, REG_HEADER);
	add(v, PCI_ROM, 4, REG_ZERO);
	add(v, PCI_INT_LINE, 2, REG_ZERO);
	if (f->express) {
		add(v, f->express + PCI_EXP_DEVCAP, 4, REG_DEVCAP);
		add(v, f->express + PCI_EXP_DEVCTL, 2, REG_DEVCTL);
		add(v, f->express + PCI_EXP_DEVSTA, 2, REG_CLEAR);
	}
}

int vpci_create(struct domain *d)
{
	unsigned n = d->hardware ? boot_acpi.nr_ecam : 1;
	struct vpci *p = kzalloc(sizeof(*p) + n * sizeof(p->ecam[0]));

	if (!p)
		return -ENOMEM;
	p->next[0] = GUEST_PCI_BASE;
	p->next[1] = guest_pci_high();
	p->nr_ecam = n;
	d->vpci = p;
	for (unsigned i = 0; i < n; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];
		struct mmio_region *r = &p->ecam[i];

		r->read = ecam_read;
		r->write = ecam_write;
		r->base = GUEST_PCI_ECAM;
		r->size = GUEST_PCI_ECAM_SIZE;
		if (d->hardware) {
			r->base = e->base + ((u64)e->first << ECAM_BUS_SHIFT);
			r->size = (e->last - e->first + 1UL) << ECAM_BUS_SHIFT;
		}
		mmio_add(d, r);
	}
	return 0;
}

/* Returns a free device of the guest's bus; 0: there is none. */
static u32 free_device(const struct vpci *p)
{
	for (u32 dev = 1; dev < 32; dev++)
		if (!find(p, PCI_SBDF(0, 0, dev << 3)))
			return PCI_SBDF(0, 0, dev << 3);
	return 0;
}

static void free_function(struct vpci_function *v)
{
	vmsi_stop(v->msi);
	vmsi_stop(v->msix);
	vmsi_free(v->msi);
	vmsi_free(v->msix);
	kfree(v);
}

int vpci_add(struct domain *d, struct pci_function *f)
{
	struct vpci *p = d->vpci;
	struct vpci_function *v = kzalloc(sizeof(*v)), **at;
	int rc = 0;

	if (!v)
		return -ENOMEM;
	v->d = d;
	v->f = f;
	v->sbdf = d->hardware ? f->sbdf : free_device(p);
	if (!d->hardware) {
		rc = v->sbdf ? vpci_place_bars(v) : -ENOSPC;
		/* Its memory must answer when the MSI-X table is written. */
		pci_write(f->sbdf, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_NO_INTX);
	}
	/* A table that is nowhere is no reason to refuse the function. */
	if (!rc && f->msi)
		rc = vmsi_create(v, false, &v->msi);
	if (!rc && f->msix && vmsi_create(v, true, &v->msix) == -ENOMEM)
		rc = -ENOMEM;
	if (rc) {
		free_function(v);
		return rc;
	}
	add_registers(v);
	if (d->hardware && v->msix)
		vpci_follow_bars(v);
	for (at = &p->functions; *at; at = &(*at)->next)
		;
	*at = v;
	f->view = v;
	return 0;
}

void vpci_stop(struct pci_function *f)
{
	struct vpci_function *v = f->view, **at;

	if (!v)
		return;
	vmsi_stop(v->msi);
	vmsi_stop(v->msix);
	if (!v->d->hardware)
		vpci_map_bars(v, false);
	else	/* mapped when it was touched */
		for (unsigned i = 0; i < PCI_BARS; i++)
			if (f->bar[i].base && !f->bar[i].io)
				vpci_unmap(v->d, f->bar[i].base & PAGE_MASK, f->bar[i].size);
	for (at = &((struct vpci *)v->d->vpci)->functions; *at != v; at = &(*at)->next)
		;
	*at = v->next;
}

void vpci_free(struct pci_function *f)
{
	if (f->view)
		free_function(f->view);
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

	*sbdf = v ? v->sbdf : ~0U;
	*interrupts = v ? v->interrupts : 0;
	*refused = v ? v->refused : 0;
}
