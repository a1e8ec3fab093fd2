/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * physdev_op: interrupts and PCI devices of the machine. The domain that has them uses them as on the
 * bare machine, and only tells what it finds. Another control domain hears that the calls do not
 * exist; Linux then asks no more. xen/physdev.h
 */
#include "hypercall_priv.h"

#include <xen/physdev.h>

/* Xen reserves these for the domain that has the machine's devices. */
static bool is_reserved(u64 op)
{
	switch (op) {
	case PHYSDEVOP_manage_pci_add:
	case PHYSDEVOP_manage_pci_add_ext:
	case PHYSDEVOP_manage_pci_remove:
	case PHYSDEVOP_pci_mmcfg_reserved:
	case PHYSDEVOP_pci_device_add:
	case PHYSDEVOP_pci_device_remove:
	case PHYSDEVOP_prepare_msix:
	case PHYSDEVOP_release_msix:
	case PHYSDEVOP_restore_msi:
	case PHYSDEVOP_restore_msi_ext:
	case PHYSDEVOP_setup_gsi:
	case PHYSDEVOP_dbgp_op: return true;
	default: return false;
	}
}

/*
 * Takes what the domain tells of its devices. Margay has found them itself, but the arguments must
 * be there, as on Xen. -ENOSYS: another operation.
 */
static long report(u64 op, gvaddr_t arg)
{
	union {
		struct physdev_pci_mmcfg_reserved mmcfg;
		struct physdev_pci_device_add add;
		struct physdev_pci_device device;
	} a;

	switch (op) {
	case PHYSDEVOP_pci_mmcfg_reserved: return guest_read(&a.mmcfg, arg, 0);
	case PHYSDEVOP_pci_device_add: return guest_read(&a.add, arg, 0);
	case PHYSDEVOP_pci_device_remove: return guest_read(&a.device, arg, 0);
	default: return -ENOSYS;
	}
}

long do_physdev_op(struct vcpu *v, struct regs *h)
{
	long ret = v->domain->hardware ? report(h->rdi, h->rsi) : -ENOSYS;

	if (ret != -ENOSYS)
		return ret;
	if (!is_reserved(h->rdi) || v->domain->control)
		return hcall_unsupported(v, "physdev_op", h->rdi);
	v->stats.denied++;
	return -EPERM;
}
