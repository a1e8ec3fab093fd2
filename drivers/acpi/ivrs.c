/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IVRS: AMD's IOMMUs and the functions of each (AMD I/O Virtualization Technology, 48882,
 * chapter 5). acpi_parse() checks the table's length and checksum before it calls this. What is
 * wrong in a block is reported, and the rest of the block is used.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>
#include <margay/pci.h>

#define IVRS_BLOCKS 48

/* Block types. A unit may have several IVHDs; each type says more than the one below it. */
enum { IVHD_10 = 0x10, IVHD_11 = 0x11, IVHD_40 = 0x40 };
enum { IVMD_ALL = 0x20, IVMD_FUNCTION = 0x21, IVMD_RANGE = 0x22 };
#define IVHD_SIZE 24	/* of a type 10h, without device entries */
#define IVHD_SIZE_EFR 40
#define IVMD_SIZE 32
#define UNIT_ALIGN 0x4000U

/* IVMD flags. Functions may reach an exclusion range without translation. */
#define IVMD_UNITY BIT(0)
#define IVMD_READ BIT(1)
#define IVMD_WRITE BIT(2)
#define IVMD_EXCLUSION BIT(3)

enum device_entry {
	DEV_PAD4 = 0,
	DEV_ALL = 1,
	DEV_SELECT = 2,
	DEV_RANGE = 3,
	DEV_END = 4,
	DEV_PAD8 = 64,
	DEV_ALIAS = 66,
	DEV_ALIAS_RANGE = 67,
	DEV_EXT_SELECT = 70,
	DEV_EXT_RANGE = 71,
	DEV_SPECIAL = 72,
	DEV_HID = 240,
};
enum { SPECIAL_IOAPIC = 1, SPECIAL_HPET = 2 };
#define HID_SIZE 22	/* without its unique id */

/* What the parser of one block's entries knows. */
struct ivhd {
	struct acpi_info *out;
	struct acpi_iommu *unit;
	struct acpi_scope open;	/* a range that waits for its end */
	bool is_open;
};

static bool __init add_scope(struct acpi_info *out, const struct acpi_scope *s)
{
	if (out->nr_scopes == ACPI_MAX_SCOPES) {
		pr_err("acpi: IVRS: more than %u ranges, rest of a block ignored\n",
		       ACPI_MAX_SCOPES);
		return false;
	}
	out->scopes[out->nr_scopes++] = *s;
	return true;
}

static bool __init end_range(struct ivhd *h, u32 last)
{
	h->is_open = false;
	if (last < h->open.first) {
		pr_warn("acpi: IVRS: range %#x to %#x is wrong, ignored\n", h->open.first, last);
		return true;
	}
	h->open.last = last;
	return add_scope(h->out, &h->open);
}

/* An IO-APIC or HPET, which has no function: its requests come with an id that firmware chose. */
static bool __init special(struct ivhd *h, const u8 *e)
{
	struct acpi_scope s = { .id = e[4], .flags = e[3] };

	s.first = s.last = PCI_SBDF(h->unit->segment, 0, get_u16(e + 5));
	s.kind = e[7] == SPECIAL_IOAPIC ? SCOPE_IOAPIC : SCOPE_HPET;
	if (e[7] != SPECIAL_IOAPIC && e[7] != SPECIAL_HPET) {
		pr_warn("acpi: IVRS: special device of kind %u ignored\n", e[7]);
		return true;
	}
	for (unsigned i = 0; i < h->out->nr_scopes; i++)
		if (h->out->scopes[i].kind == s.kind && h->out->scopes[i].id == s.id) {
			pr_warn("acpi: IVRS: second entry of %s %u ignored\n",
				s.kind == SCOPE_IOAPIC ? "IO-APIC" : "HPET", s.id);
			return true;
		}
	return add_scope(h->out, &s);
}

/* Returns false if there is no room for more. */
static bool __init device_entry(struct ivhd *h, const u8 *e)
{
	u32 seg = PCI_SBDF(h->unit->segment, 0, 0), id = seg | get_u16(e + 1);
	struct acpi_scope s = { .kind = SCOPE_FUNCTION, .flags = e[3], .first = id, .last = id };

	if (e[0] == DEV_PAD4 || e[0] == DEV_PAD8)
		return true;
	if (e[0] == DEV_END && h->is_open)
		return end_range(h, id);
	if (h->is_open) {
		pr_warn("acpi: IVRS: range from %#x has no end, only that used\n", h->open.first);
		if (!end_range(h, h->open.first))
			return false;
	}
	if (e[0] == DEV_ALIAS || e[0] == DEV_ALIAS_RANGE)
		s.alias = seg | get_u16(e + 5);
	switch (e[0]) {
	case DEV_ALL:
		h->unit->all = true;
		return true;
	case DEV_SELECT:
	case DEV_ALIAS:
	case DEV_EXT_SELECT:
	case DEV_HID: return add_scope(h->out, &s);
	case DEV_RANGE:
	case DEV_ALIAS_RANGE:
	case DEV_EXT_RANGE:
		h->open = s;
		h->is_open = true;
		return true;
	case DEV_SPECIAL:
		return special(h, e);
	case DEV_END:
		pr_warn("acpi: IVRS: end of no range at %#x ignored\n", id);
		return true;
	default:
		pr_warn("acpi: IVRS: device entry type %u ignored\n", e[0]);
		return true;
	}
}

/* Returns the length of an entry, which its type says; 0: it does not fit into n bytes. */
static u32 __init entry_length(const u8 *e, u32 n)
{
	u32 len = 4U << (e[0] >> 6);

	if (e[0] == DEV_HID)
		len = n < HID_SIZE ? HID_SIZE : HID_SIZE + e[HID_SIZE - 1];
	return len <= n ? len : 0;
}

static void __init device_entries(struct ivhd *h, const u8 *e, u32 n)
{
	for (u32 len; n; e += len, n -= len) {
		len = entry_length(e, n);
		if (!len) {
			pr_err("acpi: IVRS: device entry type %u: %u bytes are too few, rest "
			       "ignored\n",
			       e[0], n);
			break;
		}
		if (!device_entry(h, e))
			return;
	}
	if (h->is_open) {
		pr_warn("acpi: IVRS: range from %#x has no end, only that used\n", h->open.first);
		end_range(h, h->open.first);
	}
}

/* Adds the unit of an IVHD, unless it is there. Those from `same` on have the same type. */
static void __init add_unit(const u8 *b, u32 size, unsigned same, struct acpi_info *out)
{
	u16 segment = get_u16(b + 16);
	struct acpi_iommu *u = &out->iommus[out->nr_iommus];
	u32 sbdf = PCI_SBDF(segment, 0, get_u16(b + 4)), header;
	struct ivhd h = { .out = out, .unit = u };
	u64 base = get_u64(b + 8);

	for (unsigned i = 0; i < out->nr_iommus; i++) {
		struct acpi_iommu *o = &out->iommus[i];

		if (!o->amd || (o->sbdf != sbdf && o->base != base))
			continue;
		if (i >= same || o->sbdf != sbdf)
			pr_warn("acpi: IVRS: second unit %#x at %#lx ignored\n", sbdf, base);
		return;
	}
	if (!base || !IS_ALIGNED(base, UNIT_ALIGN) || base >> 52) {
		pr_err("acpi: IVRS: unit %#x at %#lx ignored\n", sbdf, base);
		return;
	}
	if (out->nr_iommus == ACPI_MAX_IOMMUS) {
		pr_err("acpi: IVRS: more than %u units, %#x ignored\n", ACPI_MAX_IOMMUS, sbdf);
		return;
	}
	*u = (struct acpi_iommu){ .amd = true, .segment = segment, .sbdf = sbdf, .base = base,
				  .features = b[1], .first_scope = out->nr_scopes };
	out->nr_iommus++;
	header = b[0] == IVHD_10 ? IVHD_SIZE : IVHD_SIZE_EFR;
	device_entries(&h, b + header, size - header);
	u->nr_scopes = out->nr_scopes - u->first_scope;
}

/* Memory that functions shall reach at its own address. */
static void __init add_memory(const u8 *b, struct acpi_info *out)
{
	u32 seg = PCI_SBDF(get_u16(b + 8), 0, 0);
	u64 base = get_u64(b + 16), size = get_u64(b + 24);
	struct acpi_scope s = { .first = seg | get_u16(b + 4), .last = seg | get_u16(b + 4) };
	struct acpi_reserved *r = &out->reserved[out->nr_reserved];

	if (b[0] == IVMD_RANGE)
		s.last = seg | get_u16(b + 6);
	if (b[0] == IVMD_ALL) {
		s.first = seg;
		s.last = seg | 0xffff;
	}
	if (!(b[1] & (IVMD_UNITY | IVMD_EXCLUSION)))
		return;
	if (!size || !IS_ALIGNED(base | size, PAGE_SIZE) || base >> 52 || size > BIT(52) - base ||
	    s.last < s.first) {
		pr_err("acpi: IVRS: memory of %#x at %#lx is wrong, ignored\n", s.first, base);
		return;
	}
	if (out->nr_reserved == ACPI_MAX_RESERVED) {
		pr_err("acpi: IVRS: more than %u memory regions, %#lx ignored\n", ACPI_MAX_RESERVED,
		       base);
		return;
	}
	*r = (struct acpi_reserved){ .base = base, .size = size, .first_scope = out->nr_scopes,
				     .nr_scopes = 1,
				     .read = b[1] & (IVMD_READ | IVMD_EXCLUSION),
				     .write = b[1] & (IVMD_WRITE | IVMD_EXCLUSION) };
	if (add_scope(out, &s))
		out->nr_reserved++;
}

static u32 __init block_size(u8 type)
{
	switch (type) {
	case IVHD_10: return IVHD_SIZE;
	case IVHD_11:
	case IVHD_40: return IVHD_SIZE_EFR;
	case IVMD_ALL:
	case IVMD_FUNCTION:
	case IVMD_RANGE: return IVMD_SIZE;
	default: return 4;
	}
}

/* Returns the length of the sound blocks; reports what follows them. */
static u32 __init sound_blocks(const u8 *t, u32 len)
{
	u32 at = IVRS_BLOCKS, size;

	for (; at < len; at += size) {
		size = len - at < 4 ? 0 : get_u16(t + at + 2);
		if (size >= block_size(t[at]) && size <= len - at)
			continue;
		pr_err("acpi: IVRS: block type %#x at %u: length %u is wrong, rest ignored\n",
		       t[at], at, size);
		return at;
	}
	return at;
}

void __init acpi_parse_ivrs(const u8 *t, u32 len, struct acpi_info *out)
{
	static const u8 best_first[] = { IVHD_40, IVHD_11, IVHD_10 };
	unsigned same;

	if (len < IVRS_BLOCKS) {
		pr_err("acpi: IVRS: length %u is too short, ignored\n", len);
		return;
	}
	len = sound_blocks(t, len);
	for (unsigned k = 0; k < ARRAY_SIZE(best_first); k++) {
		same = out->nr_iommus;
		for (u32 at = IVRS_BLOCKS; at < len; at += get_u16(t + at + 2))
			if (t[at] == best_first[k])
				add_unit(t + at, get_u16(t + at + 2), same, out);
	}
	for (u32 at = IVRS_BLOCKS; at < len; at += get_u16(t + at + 2))
		if (t[at] >= IVMD_ALL && t[at] <= IVMD_RANGE)
			add_memory(t + at, out);
}
