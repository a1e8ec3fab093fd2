/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control domain's writes to a function's SR-IOV capability. Virtual functions turn on only where
 * their memory and ids are nobody else's, and off only when no domain has one of them. While they are
 * on, nothing else changes. Called with the pci_lock. PCI Express Base 4.0, 9.3.3.
 */
#include <x86/hardware.h>

#include "vpci.h"

#define ON (PCI_SRIOV_VFE | PCI_SRIOV_MSE)

static u32 sriov_read(const struct pci_function *f, unsigned reg, unsigned size)
{
	return pci_read(f->sbdf, f->sriov + reg, size);
}

/* Returns whether the ids are of no other function, and on buses of the bridge above. */
static bool ids_are_sound(const struct pci_function *f)
{
	u32 last = f->sbdf + sriov_read(f, PCI_SRIOV_OFFSET, 2) +
		   (f->nr_vfs - 1U) * sriov_read(f, PCI_SRIOV_STRIDE, 2);
	const struct pci_function *g;

	if (last >> 16 != f->sbdf >> 16 || (f->bridge && pci_bus(last) > f->bridge->subordinate))
		return false;
	return !pci_find_if(g, (g->physfn != f) == (pci_vf_index(f, g->sbdf) >= 0));
}

/*
 * Returns whether virtual functions may be on as the registers say: in memory that no function has.
 * Those that somebody has come back as they were, after a reset of the physical function.
 */
static bool turn_on(const struct vpci_function *v)
{
	static const struct pci_function new;
	struct pci_function *f = v->f;
	unsigned n = sriov_read(f, PCI_SRIOV_NUM, 2), i;
	bool used = !pci_vfs_forget(f), may;

	may = used ? n == f->nr_vfs : n && n <= sriov_read(f, PCI_SRIOV_TOTAL, 2);
	if (!used)
		f->nr_vfs = (u16)(may ? n : 0);
	for (i = 0; i < PCI_BARS && !used; i++)
		f->vf_bar[i].base = 0;
	for (i = 0; i < PCI_BARS && may; i++) {
		struct pci_bar *b = &f->vf_bar[i];
		u64 base = pci_bar_base(f, b, f->sriov + PCI_SRIOV_BAR0 + 4 * i);

		may = used    ? base == b->base :
		      b->size ? base && memory_is_devices(v->d, &new, base, n * b->size) :
				true;
		b->base = may ? base : b->base;
	}
	may = may && ids_are_sound(f);
	if (!may && !used)
		f->nr_vfs = 0;
	return may;
}

static void write_control(struct vpci_function *v, u32 old, u32 val)
{
	struct pci_function *f = v->f;
	bool may = true;

	if (!(val & PCI_SRIOV_VFE))
		may = pci_vfs_forget(f);
	else if (val & ON & ~old)
		may = turn_on(v);
	if (!may) {
		pr_warn("PCI: " PCI_FMT ": virtual functions stay %s\n", PCI_ARGS(f->sbdf),
			val & PCI_SRIOV_VFE ? "off: their number, memory or ids are wrong" :
					      "on: they have owners");
		v->refused++;
		return;
	}
	if (!(val & PCI_SRIOV_VFE))
		f->nr_vfs = 0;
	pci_write(f->sbdf, f->sriov + PCI_SRIOV_CONTROL, 2, val);
}

void vsriov_write(struct vpci_function *v, unsigned reg, unsigned size, u32 val)
{
	u32 old = sriov_read(v->f, PCI_SRIOV_CONTROL, 2), mask = ~0U >> (32 - 8 * size);
	u32 may = old & PCI_SRIOV_VFE ? ON : ON | PCI_SRIOV_ARI;
	unsigned shift = reg % 2 * 8;

	if (reg - PCI_SRIOV_CONTROL < 2) {
		may &= mask << shift;
		write_control(v, old, (old & ~may) | (val << shift & may));
	} else if (reg == PCI_SRIOV_PAGE_SIZE && val == PCI_SRIOV_4K) {
		return; /* it is */
	} else if ((old & ON) || (reg & ~3U) == PCI_SRIOV_PAGE_SIZE) {
		v->refused++;
	} else {
		pci_write(v->f->sbdf, v->f->sriov + reg, size, val);
	}
}
