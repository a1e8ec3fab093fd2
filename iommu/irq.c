/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of interrupt remapping tables, for whoever programs a device or an IO-APIC. Without a
 * unit that remaps, messages have the compatibility format, in which a device may send anything.
 * SDM 3A 11.11; Intel 82093AA, 3.2.4.
 */
#include "iommu_priv.h"

struct iommu_irqs *iommu_new_irqs(struct iommu *u, u32 source, unsigned nr, unsigned entry_size)
{
	struct iommu_irqs *t = kzalloc(sizeof(*t) + nr / 8);

	if (!t)
		return NULL;
	t->source = source;
	t->nr = nr;
	t->entries = alloc_pages(nr * entry_size / PAGE_SIZE, NODE_ANY);
	if (!t->entries) {
		kfree(t);
		return NULL;
	}
	t->next = u->irqs;
	return u->irqs = t;
}

int iommu_irq_alloc(struct iommu_irq *i, u32 sbdf)
{
	struct iommu *u = iommu_unit_of(sbdf);
	unsigned n = 0;

	*i = (struct iommu_irq){ .sbdf = sbdf, .bridge = iommu_pci_bridge(sbdf) };
	if (!u || !u->in_use || !u->remaps)
		return 0;
	guard(&u->lock);
	i->table = u->ops->irqs ? u->ops->irqs(u, sbdf) : u->irqs;
	if (!i->table)
		return -ENOMEM;
	while (n < i->table->nr && test_and_set_bit(n, i->table->used))
		n++;
	if (n == i->table->nr)
		return -ENOSPC;
	i->unit = u;
	i->index = (u16)n;
	return 0;
}

bool iommu_irq_posts(const struct iommu_irq *i)
{
	return i->unit && i->unit->posts;
}

void iommu_irq_route(struct iommu_irq *i, u32 apic_id, u8 vector, bool level)
{
	struct iommu *u = i->unit;

	i->apic_id = apic_id;
	i->vector = vector;
	i->level = level;
	if (!u)
		return;
	guard(&u->lock);
	if (u->in_use)
		u->ops->irq_write(u, i);
}

void iommu_irq_free(struct iommu_irq *i)
{
	i->nmi = false;
	iommu_irq_route(i, 0, 0, false);
	if (i->unit)
		clear_bit(i->index, i->table->used);
}

void iommu_irq_message(const struct iommu_irq *i, u64 *address, u32 *data)
{
	if (i->unit) {
		iommu_driver->irq_message(i, address, data);
		return;
	}
	*address = MSI_ADDRESS | (i->apic_id & 0xff) << 12;
	*data = i->vector | (i->nmi ? NMI_DELIVERY : 0);
}

u64 iommu_irq_rte(const struct iommu_irq *i)
{
	if (i->unit)
		return iommu_driver->irq_rte(i);
	return (u64)i->apic_id << 56 | (i->level ? RTE_LEVEL : 0) | (i->nmi ? NMI_DELIVERY : 0) |
	       i->vector;
}
