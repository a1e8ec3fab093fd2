/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of interrupt remapping tables, for whoever programs a device or an IO-APIC. Without a
 * unit that remaps, messages have the compatibility format, in which a device may send anything.
 * SDM 3A 11.11; Intel 82093AA, 3.2.4.
 */
#include <margay/boot_state.h>

#include "iommu_priv.h"

int iommu_irq_alloc(struct iommu_irq *irqs, unsigned n, u32 sbdf)
{
	struct iommu *u = iommu_unit_of(sbdf);
	int index = 0;

	if (u && u->remaps) {
		guard(&u->lock);
		index = u->ops ? u->ops->irq_alloc(u, sbdf, n) : -ENOSPC;
		iommu_check_answer(u);
	} else {
		u = NULL;
	}
	for (unsigned i = 0; index >= 0 && i < n; i++)
		irqs[i] = (struct iommu_irq){ .unit = u, .sbdf = sbdf, .index = (u16)(index + i) };
	return min(index, 0);
}

void iommu_irq_free(struct iommu_irq *irqs, unsigned n)
{
	struct iommu *u = irqs->unit;

	if (!u)
		return;
	guard(&u->lock);
	if (u->ops)
		u->ops->irq_free(u, irqs->sbdf, irqs->index, n);
	iommu_check_answer(u);
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
	if (u->ops)
		u->ops->irq_route(u, i);
	iommu_check_answer(u);
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

int iommu_ioapic_sbdf(u8 ioapic_id, u32 *sbdf)
{
	for (unsigned i = 0; i < boot_acpi.nr_scopes; i++)
		if (boot_acpi.scopes[i].kind == SCOPE_IOAPIC &&
		    boot_acpi.scopes[i].id == ioapic_id) {
			*sbdf = boot_acpi.scopes[i].first;
			return 0;
		}
	return -ENODEV;
}
