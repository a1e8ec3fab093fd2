/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What firmware says of IOMMUs, in DMAR or IVRS: the units, which functions each covers, and memory
 * that functions shall reach. Firmware is not trusted. Written at boot, then only read.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>

#include "iommu_priv.h"

#define MAX_UNITS 64U		/* bits of iommu_domain.units */
#define ADDRESSES (1UL << 52)
#define MAX_REGION (1UL << 36)	/* bytes: 64 tables for each domain */

struct iommu *iommu_units;
struct iommu_region *iommu_regions;
struct iommu_range *iommu_ranges;
bool iommu_remapping;

static void *__init keep_record(const void *p, size_t size)
{
	void *copy = kzalloc(size);

	if (!copy)
		panic("no memory for what firmware says of IOMMUs\n");
	return memcpy(copy, p, size);
}

static bool __init has_ram(paddr_t at, u64 size)
{
	return mem_has_ram(boot_info.mem, boot_info.nr_mem, at, size);
}

struct iommu *__init iommu_add_unit(const struct iommu *u, u64 align)
{
	const char *why = !u->base || !IS_ALIGNED(u->base, align) || u->base >= ADDRESSES ?
				  "no such address" :
			  has_ram(u->base, u->ops->regs_size) ? "it is RAM" :
								NULL;
	struct iommu **at;
	unsigned n = 0;

	for (at = &iommu_units; *at; at = &(*at)->next, n++) {
		bool same_base = (*at)->base == u->base;
		bool same_id = u->sbdf && (*at)->sbdf == u->sbdf;

		if (same_base && same_id)
			return *at;
		if (same_base || same_id)
			why = "it is a second one";
	}
	if (why || n == MAX_UNITS) {
		pr_warn("iommu: unit at %#lx ignored: %s\n", u->base, why ? why : "too many");
		return NULL;
	}
	*at = keep_record(u, sizeof(*u));
	(*at)->index = n;
	(*at)->node = NODE_ANY;
	return *at;
}

struct iommu_range *__init iommu_add_range(const struct iommu_range *r)
{
	struct iommu_range *new = keep_record(r, sizeof(*r));

	new->next = iommu_ranges;
	return iommu_ranges = new;
}

/* Nobody may reach Margay's memory, or RAM, because firmware says so. */
struct iommu_region *__init iommu_add_region(paddr_t base, u64 size, bool write)
{
	struct iommu_region new = { iommu_regions, base, size, write, false };
	bool good = size && IS_ALIGNED(base | size, PAGE_SIZE) && base < ADDRESSES &&
		    size <= ADDRESSES - base;
	const char *why = !good               ? "wrong" :
			  size > MAX_REGION   ? "too large" :
			  has_ram(base, size) ? "it has RAM" :
						NULL;

	if (why)
		pr_warn("iommu: reserved memory %#lx-%#lx ignored: %s\n", base, base + size - 1,
			why);
	new.usable = !why;
	return good ? iommu_regions = keep_record(&new, sizeof(new)) : NULL;
}

static bool range_has(const struct iommu_range *r, u32 sbdf)
{
	return sbdf >= r->first && sbdf <= r->last;
}

/* Virtual functions are their physical one's unit's (VT-d 4.1, 8.3). */
struct iommu *iommu_unit_of(u32 sbdf)
{
	const struct pci_function *f = pci_find(sbdf);
	const struct iommu_range *r;
	struct iommu *u;

	if (f && f->physfn)
		sbdf = f->physfn->sbdf;
	if (chain_find(r, iommu_ranges, r->unit && range_has(r, sbdf)))
		return r->unit;
	return chain_find(u, iommu_units, u->all && u->segment == pci_segment(sbdf));
}

u32 iommu_source_of(u32 sbdf)
{
	const struct iommu_range *r;

	return chain_find(r, iommu_ranges, r->alias && range_has(r, sbdf)) ? r->alias : sbdf;
}

bool iommu_has_reserved(u32 sbdf)
{
	const struct iommu_range *r;

	return chain_find(r, iommu_ranges, r->region && range_has(r, sbdf));
}

int iommu_ioapic_sbdf(u8 ioapic_id, u32 *sbdf)
{
	const struct iommu_range *r;

	if (!chain_find(r, iommu_ranges, r->kind == RANGE_IOAPIC && r->id == ioapic_id))
		return -ENODEV;
	*sbdf = r->first;
	return 0;
}

void __init iommu_read_firmware(void)
{
	u32 sbdf;

	if (!boot_acpi.iommus)
		return;
	iommu_remapping = true;
	if (boot_acpi.iommus[0] == 'D')
		dmar_parse(boot_acpi.iommus, boot_acpi.iommus_size);
	else
		ivrs_parse(boot_acpi.iommus, boot_acpi.iommus_size);
	if (!iommu_units)
		pr_warn("iommu: firmware's table has no units\n");
	for (unsigned i = 0; i < boot_acpi.nr_ioapics; i++)
		if (iommu_units && iommu_ioapic_sbdf(boot_acpi.ioapics[i].id, &sbdf)) {
			pr_warn("iommu: an IO-APIC has no source id: interrupts are not remapped\n");
			iommu_remapping = false;
		}
}
