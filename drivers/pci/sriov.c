/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual functions of a PCI function (SR-IOV), which its driver turns on. Their ids, BARs and memory
 * enable are in a capability of the physical function; they have no vendor and device ids, and a
 * reset of their own. PCI Express Base 4.0, chapter 9.
 */
#include <margay/pci.h>
#include <margay/pci_regs.h>

/* Page sizes stay as they are from now on, as the sizes of BARs depend on them. */
void pci_vf_init(struct pci_function *f)
{
	pci_write(f->sbdf, f->sriov + PCI_SRIOV_CONTROL, 2, 0);
	pci_write(f->sbdf, f->sriov + PCI_SRIOV_PAGE_SIZE, 4, PCI_SRIOV_4K);
	pci_size_bars(f, f->vf_bar, f->sriov + PCI_SRIOV_BAR0, PCI_BARS);
}

int pci_vf_index(const struct pci_function *f, u32 sbdf)
{
	u32 first, stride, n;

	if (!f->nr_vfs)
		return -1;
	first = f->sbdf + pci_read(f->sbdf, f->sriov + PCI_SRIOV_OFFSET, 2);
	stride = max(pci_read(f->sbdf, f->sriov + PCI_SRIOV_STRIDE, 2), 1U);
	n = (sbdf - first) / stride;
	return sbdf >= first && !((sbdf - first) % stride) && n < f->nr_vfs ? (int)n : -1;
}

struct pci_function *pci_vf_add(struct pci_function *f, u32 sbdf)
{
	int n = pci_vf_index(f, sbdf);
	struct pci_function *v = n < 0 ? NULL : kzalloc(sizeof(*v));

	if (!v)
		return NULL;
	v->sbdf = sbdf;
	pci_probe(v);
	v->physfn = f;
	v->vendor = f->vendor;
	v->device = (u16)pci_read(f->sbdf, f->sriov + PCI_SRIOV_DEVICE, 2);
	v->header = v->sriov = 0;
	v->bridge = f->bridge;
	v->node = f->node;
	if (pci_leaks(v->bridge))
		v->group = f->group;
	for (unsigned i = 0; i < PCI_BARS; i++) {
		v->bar[i] = f->vf_bar[i];
		v->bar[i].base += (u64)n * v->bar[i].size;
	}
	pci_insert(v);
	return v;
}

bool pci_vfs_forget(const struct pci_function *f)
{
	struct pci_function *v;

	if (pci_find_if(v, v->physfn == f && v->owner))
		return false;
	while (pci_find_if(v, v->physfn == f))
		pci_forget(v);
	return true;
}

void pci_forget(struct pci_function *f)
{
	list_del(&f->link);
	kfree(f);
}
