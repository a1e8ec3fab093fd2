/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DMAR: units of VT-d, the functions that each covers, and memory that firmware wants functions to
 * reach (VT-d 4.1, chapter 8). The buses have their numbers, so that paths of bridges can be
 * followed.
 */
#include <margay/boot_state.h>
#include <margay/bytes.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>

#include "iommu_priv.h"

#define DMAR_FLAGS 37
#define INTR_REMAP 1U
#define DMAR_STRUCTURES 48

enum dmar_structure { DMAR_DRHD = 0, DMAR_RMRR = 1, DMAR_RHSA = 3 };
#define DRHD_ALL BIT(0)
#define DRHD_SCOPES 16
#define RMRR_SCOPES 24
#define RHSA_SIZE 20
#define SCOPE_PATH 6
enum dmar_scope { SCOPE_FUNCTION = 1, SCOPE_BRIDGE = 2, SCOPE_IOAPIC = 3, SCOPE_HPET = 4 };

static void __init dmar_add_scope(const u8 *e, u32 size, void *ctx)
{
	/* The type 5, a device in ACPI's name space, has no id that requests show. */
	static const u8 kinds[] = { [SCOPE_IOAPIC] = RANGE_IOAPIC, [SCOPE_HPET] = RANGE_OTHER };
	struct iommu_range r = *(const struct iommu_range *)ctx;	/* whose it is */
	const char *why = size < SCOPE_PATH + 2 ? "its path is empty" : NULL;
	u32 bus = e[5], sbdf = 0;

	if (!e[0] || e[0] >= ARRAY_SIZE(kinds))
		why = "its type is unknown";
	for (u32 at = SCOPE_PATH; at + 2 <= size && !why; at += 2) {
		if (at > SCOPE_PATH)
			bus = pci_read(sbdf, PCI_SECONDARY, 1);
		if (e[at] > 31 || e[at + 1] > 7)
			why = "its path names no function";
		else if (at > SCOPE_PATH && (!bus || bus == 0xff))
			why = "its path leads to no bus";
		sbdf = PCI_SBDF(pci_segment(r.first), bus, e[at] << 3 | e[at + 1]);
	}
	if (why) {
		pr_warn("iommu: DMAR scope type %u of bus %u ignored: %s\n", e[0], e[5], why);
		return;
	}
	r.kind = kinds[e[0]];
	r.id = e[4];
	r.first = r.last = sbdf;
	iommu_add_range(&r);
	if (e[0] != SCOPE_BRIDGE)
		return;
	r.first = PCI_SBDF(pci_segment(sbdf), pci_read(sbdf, PCI_SECONDARY, 1), 0);
	r.last = PCI_SBDF(pci_segment(sbdf), pci_read(sbdf, PCI_SUBORDINATE, 1), 0xff);
	iommu_add_range(&r);
}

static void __init dmar_add_structure(const u8 *e, u32 size, void *ctx __unused)
{
	static const struct acpi_records scopes = { "DMAR scope", SCOPE_PATH, acpi_size8, NULL, 0,
						    dmar_add_scope };
	struct iommu unit = { .ops = &vtd_ops, .segment = get_u16(e + 6), .all = e[4] & DRHD_ALL };
	struct iommu_range r = { .first = PCI_SBDF(unit.segment, 0, 0) };
	u16 type = get_u16(e);

	if (type == DMAR_DRHD) {
		unit.base = get_u64(e + 8);
		r.unit = iommu_add_unit(&unit, PAGE_SIZE);
	} else if (type == DMAR_RMRR) {
		r.region = iommu_add_region(get_u64(e + 8), get_u64(e + 16) + 1 - get_u64(e + 8),
					    true);
	} else if (type == DMAR_RHSA) {
		for (struct iommu *u = iommu_units; u; u = u->next)
			if (u->base == get_u64(e + 8))
				u->node = acpi_node(get_u32(e + 16));
	}
	if (r.unit || r.region)
		acpi_each_record(&scopes, e, r.unit ? DRHD_SCOPES : RMRR_SCOPES, size, &r);
}

void __init dmar_parse(const u8 *t, u32 len)
{
	static const u8 min[] = { [DMAR_DRHD] = DRHD_SCOPES, [DMAR_RMRR] = RMRR_SCOPES,
				  [DMAR_RHSA] = RHSA_SIZE };
	static const struct acpi_records structures = { "DMAR", 8, acpi_size16, min,
							ARRAY_SIZE(min), dmar_add_structure };

	iommu_remapping = len > DMAR_FLAGS && t[DMAR_FLAGS] & INTR_REMAP;
	acpi_each_record(&structures, t, DMAR_STRUCTURES, len, NULL);
}
