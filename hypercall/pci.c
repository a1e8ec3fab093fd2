/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI functions: who has them. Operations of Margay's own hypercall. include/public/margay.h */
#include <margay/pci.h>

#include <public/margay.h>
#include "hypercall_priv.h"

static long op_list(struct margay_op *op)
{
	const struct pci_function *f;
	u32 n = op->u.pci.index;

	guard(&pci_lock);
	if (!pci_find_if(f, !n--))
		return -ENOENT;
	op->u.pci.sbdf = f->sbdf;
	op->u.pci.domain = f->owner ? f->owner->id : MARGAY_NONE;
	op->u.pci.vendor = f->vendor;
	op->u.pci.device = f->device;
	op->u.pci.class_code = f->class;
	op->u.pci.group = f->group;
	op->u.pci.node = f->node == NODE_ANY ? MARGAY_NO_NODE : f->node;
	op->u.pci.physfn = f->physfn ? f->physfn->sbdf : f->sbdf;
	op->u.pci.flags = (f->hidden ? MARGAY_PCI_HIDDEN : 0) |
			  (f->header == 1 ? MARGAY_PCI_BRIDGE : 0) |
			  (f->reserved ? MARGAY_PCI_RESERVED : 0);
	vpci_show(f, &op->u.pci.seen_at, &op->u.pci.interrupts, &op->u.pci.refused);
	return 0;
}

/* Makes a bus. The tools that made the domain write the tables that describe it. */
static long op_bus(struct domain *d, struct margay_op *op)
{
	vpci_high(&op->u.bus.high, &op->u.bus.high_size);
	guard(&pci_lock);
	return d->state != DOM_RUNNING ? -ESRCH : d->vpci ? -EEXIST : vpci_create(d);
}

long margay_pci(struct vcpu *v, struct margay_op *op)
{
	bool assign = op->cmd == MARGAY_PCI_ASSIGN;
	struct domain *d puts_domain = NULL;
	long rc;

	if (op->cmd == MARGAY_PCI_LIST)
		return op_list(op);
	if (op->cmd == MARGAY_PCI_REVOKE)
		return pci_revoke(op->u.pci.sbdf, op->u.pci.flags & MARGAY_PCI_FORCE);
	rc = hcall_domain(v, (domid_t)(assign ? op->u.pci.domain : op->u.bus.domain), &d);
	return rc ? rc : assign ? pci_assign(d, op->u.pci.sbdf) : op_bus(d, op);
}
