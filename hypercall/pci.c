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
	list_for_each(f, &pci_functions, link)
		if (!n--)
			break;
	if (&f->link == &pci_functions)
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

static long op_assign(struct vcpu *v, const struct margay_op *op)
{
	struct domain *d;
	long rc = hcall_domain(v, (domid_t)op->u.pci.domain, &d);

	if (rc)
		return rc;
	rc = pci_assign(d, op->u.pci.sbdf);
	domain_put(d);
	return rc;
}

/* The tools that made the domain write the tables that describe the bus. */
static long op_bus(struct vcpu *v, struct margay_op *op)
{
	struct domain *d;
	long rc = hcall_domain(v, (domid_t)op->u.bus.domain, &d);

	if (rc)
		return rc;
	spin_lock(&pci_lock);
	rc = d->state != DOM_RUNNING ? -ESRCH : d->vpci ? -EEXIST : vpci_create(d);
	spin_unlock(&pci_lock);
	domain_put(d);
	vpci_high(&op->u.bus.high, &op->u.bus.high_size);
	return rc;
}

long margay_pci(struct vcpu *v, struct margay_op *op)
{
	switch (op->cmd) {
	case MARGAY_PCI_LIST: return op_list(op);
	case MARGAY_PCI_ASSIGN: return op_assign(v, op);
	case MARGAY_PCI_BUS: return op_bus(v, op);
	default: return pci_revoke(op->u.pci.sbdf, op->u.pci.flags & MARGAY_PCI_FORCE);
	}
}
