/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IVRS: AMD's IOMMUs and the functions of each (AMD I/O Virtualization Technology, 48882,
 * chapter 5). What is wrong in a block is reported, and the rest of the block is used.
 */
#include <margay/bytes.h>
#include <margay/pci.h>

#include "iommu_priv.h"

#define IVRS_BLOCKS 48

/* Block types */
enum { IVHD_10 = 0x10, IVHD_11 = 0x11, IVHD_40 = 0x40 };
enum { IVMD_ALL = 0x20, IVMD_FUNCTION = 0x21, IVMD_RANGE = 0x22 };
#define IVHD_SIZE 24	/* of a type 10h, without device entries */
#define IVHD_SIZE_EFR 40
#define IVMD_SIZE 32
#define UNIT_ALIGN 0x4000U

/* IVMD flags. Functions may reach an exclusion range without translation. */
#define IVMD_UNITY BIT(0)
#define IVMD_WRITE BIT(2)
#define IVMD_EXCLUSION BIT(3)

/* Device entries */
enum { DEV_PAD4 = 0, DEV_ALL = 1, DEV_SELECT = 2, DEV_RANGE = 3, DEV_END = 4, DEV_PAD8 = 64 };
enum { DEV_ALIAS = 66, DEV_ALIAS_RANGE = 67, DEV_EXT_SELECT = 70, DEV_EXT_RANGE = 71 };
enum { DEV_SPECIAL = 72, DEV_HID = 240 };
#define SPECIAL_IOAPIC 1	/* others are HPETs */
#define HID_SIZE 22	/* without its unique id */

/* What the parser of one block's entries knows. */
struct ivhd {
	struct iommu *unit;
	struct iommu_range *open;	/* waits for its end; or NULL */
};

static void __init ivhd_add_entry(const u8 *e, u32 size __unused, void *ctx)
{
	struct ivhd *h = ctx;
	u32 seg = PCI_SBDF(h->unit->segment, 0, 0), id = seg | get_u16(e + 1);
	struct iommu_range r = { .unit = h->unit, .flags = e[3], .first = id, .last = id };

	if (e[0] == DEV_ALIAS || e[0] == DEV_ALIAS_RANGE)
		r.alias = seg | get_u16(e + 5);
	switch (e[0]) {
	case DEV_PAD4:
	case DEV_PAD8:
		break;
	case DEV_ALL:
		h->unit->all = true;
		break;
	case DEV_SELECT:
	case DEV_ALIAS:
	case DEV_EXT_SELECT:
	case DEV_HID: iommu_add_range(&r); break;
	case DEV_RANGE:
	case DEV_ALIAS_RANGE:
	case DEV_EXT_RANGE:
		h->open = iommu_add_range(&r);
		break;
	case DEV_END:
		if (h->open && h->open->first <= id)
			h->open->last = id;
		else
			pr_warn("iommu: IVRS: range to %#x has no start, ignored\n", id);
		h->open = NULL;
		break;
	case DEV_SPECIAL: /* its requests come with an id that firmware chose */
		r.first = r.last = seg | get_u16(e + 5);
		r.id = e[4];
		r.kind = e[7] == SPECIAL_IOAPIC ? RANGE_IOAPIC : RANGE_OTHER;
		iommu_add_range(&r);
		break;
	default:
		pr_warn("iommu: IVRS: device entry type %u ignored\n", e[0]);
	}
}

/* Returns the length of an entry, which its type says. */
static u32 __init entry_size(const u8 *e, u32 n)
{
	return e[0] != DEV_HID ? 4U << (e[0] >> 6) :
				 HID_SIZE + (n < HID_SIZE ? 0U : e[HID_SIZE - 1]);
}

/* Adds a unit. It may have several blocks: what each says is true. */
static void __init ivrs_add_unit(const u8 *b, u32 size)
{
	static const struct acpi_records entries = { "IVHD", 4, entry_size, NULL, 0,
						     ivhd_add_entry };
	struct iommu unit = { .ops = &amdvi_ops, .segment = get_u16(b + 16), .flags = b[1] };
	struct ivhd h = { 0 };
	struct pci_function *f;

	unit.sbdf = PCI_SBDF(unit.segment, 0, get_u16(b + 4));
	unit.base = get_u64(b + 8);
	f = pci_find(unit.sbdf);
	if (f)
		f->hidden = true;
	h.unit = iommu_add_unit(&unit, UNIT_ALIGN);
	if (h.unit)
		acpi_each_record(&entries, b, b[0] == IVHD_10 ? IVHD_SIZE : IVHD_SIZE_EFR, size,
				 &h);
}

/* Adds memory that functions shall reach at its own address. */
static void __init ivrs_add_memory(const u8 *b)
{
	u32 seg = PCI_SBDF(get_u16(b + 8), 0, 0);
	struct iommu_range r = { .first = seg | get_u16(b + 4), .last = seg | get_u16(b + 4) };

	if (!(b[1] & (IVMD_UNITY | IVMD_EXCLUSION)))
		return;
	if (b[0] == IVMD_RANGE)
		r.last = seg | get_u16(b + 6);
	if (b[0] == IVMD_ALL) {
		r.first = seg;
		r.last = seg | 0xffff;
	}
	r.region = iommu_add_region(get_u64(b + 16), get_u64(b + 24),
				    b[1] & (IVMD_WRITE | IVMD_EXCLUSION));
	if (r.region)
		iommu_add_range(&r);
}

static void __init ivrs_add_block(const u8 *b, u32 size, void *ctx __unused)
{
	if (b[0] == IVHD_10 || b[0] == IVHD_11 || b[0] == IVHD_40)
		ivrs_add_unit(b, size);
	else if (b[0] >= IVMD_ALL && b[0] <= IVMD_RANGE)
		ivrs_add_memory(b);
}

void __init ivrs_parse(const u8 *t, u32 len)
{
	static const u8 min[] = {
		[IVHD_10] = IVHD_SIZE,	   [IVHD_11] = IVHD_SIZE_EFR, [IVHD_40] = IVHD_SIZE_EFR,
		[IVMD_ALL] = IVMD_SIZE,	   [IVMD_FUNCTION] = IVMD_SIZE, [IVMD_RANGE] = IVMD_SIZE,
	};
	static const struct acpi_records blocks = { "IVRS", 4, acpi_size16, min,
						    ARRAY_SIZE(min), ivrs_add_block };

	acpi_each_record(&blocks, t, IVRS_BLOCKS, len, NULL);
}
