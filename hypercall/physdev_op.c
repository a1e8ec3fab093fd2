/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * physdev_op: interrupts and PCI devices of the machine. The domain that has them uses them as on the
 * bare machine, and only tells what it finds. Another control domain hears that the calls do not
 * exist; Linux then asks no more. A guest with functions gets PIRQs. xen/physdev.h
 */
#include "hypercall_priv.h"

#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/pci.h>
#include <xen/physdev.h>

/* Xen reserves these for the domain that has the machine's devices. */
static const u64 reserved = BIT(PHYSDEVOP_manage_pci_add) | BIT(PHYSDEVOP_manage_pci_add_ext) |
			    BIT(PHYSDEVOP_manage_pci_remove) | BIT(PHYSDEVOP_pci_mmcfg_reserved) |
			    BIT(PHYSDEVOP_pci_device_add) | BIT(PHYSDEVOP_pci_device_remove) |
			    BIT(PHYSDEVOP_prepare_msix) | BIT(PHYSDEVOP_release_msix) |
			    BIT(PHYSDEVOP_restore_msi) | BIT(PHYSDEVOP_restore_msi_ext) |
			    BIT(PHYSDEVOP_setup_gsi) | BIT(PHYSDEVOP_dbgp_op);

/* Adds a function that the domain has found: Margay knows all but new virtual ones. */
static long add(struct domain *d, const struct physdev_pci_device_add *a, gvaddr_t arg)
{
	u32 physfn = a->flags & XEN_PCI_DEV_VIRTFN ?
			     PCI_SBDF(a->seg, a->physfn.bus, a->physfn.devfn) :
			     ~0U;
	u8 node = NODE_ANY;
	u32 pxm;

	if (a->flags & XEN_PCI_DEV_PXM) {
		if (guest_read(&pxm, arg + offsetof(struct physdev_pci_device_add, optarr), 0))
			return -EFAULT;
		node = acpi_node(pxm);
	}
	return pci_add(d, PCI_SBDF(a->seg, a->bus, a->devfn), physfn, node);
}

/* Takes what the domain tells of its devices, as Xen would. -ENOSYS: another operation. */
static long report(struct domain *d, u64 op, gvaddr_t arg)
{
	union {
		struct physdev_pci_mmcfg_reserved mmcfg;
		struct physdev_pci_device_add add;
		struct physdev_pci_device device;
	} a;

	switch (op) {
	case PHYSDEVOP_pci_mmcfg_reserved: return guest_read(&a.mmcfg, arg, 0);
	case PHYSDEVOP_pci_device_add:
		return guest_read(&a.add, arg, 0) ? -EFAULT : add(d, &a.add, arg);
	case PHYSDEVOP_pci_device_remove:
		if (guest_read(&a.device, arg, 0))
			return -EFAULT;
		return pci_remove(d, PCI_SBDF(a.device.seg, a.device.bus, a.device.devfn));
	default: return -ENOSYS;
	}
}

/* PIRQs: numbers for the events that a guest takes instead of its functions' interrupts. */
static long pirq_op(struct domain *d, u64 op, gvaddr_t arg)
{
	struct physdev_irq_status_query query;
	struct physdev_get_free_pirq new;
	int pirq;

	switch (op) {
	case PHYSDEVOP_irq_status_query:
		if (guest_read(&query, arg, 0))
			return -EFAULT;
		query.flags = 0;	/* MSIs are edges: they need no EOI */
		return guest_write(arg, 0, &query);
	case PHYSDEVOP_get_free_pirq:
		if (guest_read(&new, arg, 0))
			return -EFAULT;
		pirq = evtchn_new_pirq(d);
		new.pirq = (u32)pirq;
		return pirq < 0 ? pirq : guest_write(arg, 0, &new);
	default: return -ENOSYS;
	}
}

long do_physdev_op(struct vcpu *v, struct regs *h)
{
	long ret = -ENOSYS;

	if (v->domain->hardware)
		ret = report(v->domain, h->rdi, h->rsi);
	else if (v->domain->pirqs)
		ret = pirq_op(v->domain, h->rdi, h->rsi);

	if (ret == -ERESTART) {
		cpu_relax();	/* another CPU has to act first */
		return HCALL_RESTART;
	}
	if (ret != -ENOSYS)
		return ret;
	if (h->rdi > 63 || !(reserved >> h->rdi & 1) || v->domain->control)
		return hcall_unsupported(v, "physdev_op", h->rdi);
	v->stats.denied++;
	return -EPERM;
}
