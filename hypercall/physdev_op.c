/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * physdev_op: interrupts and PCI devices of the machine. No guest of Margay's has either, so a control
 * domain hears that the calls do not exist; Linux then asks no more. xen/physdev.h
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

long do_physdev_op(struct vcpu *v, struct regs *h)
{
	if (!is_reserved(h->rdi) || v->domain->control)
		return hcall_unsupported(v, "physdev_op", h->rdi);
	v->stats.denied++;
	return -EPERM;
}
