/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IVRS and DMAR: units, the functions of each, memory regions, and what is wrong in them.
 * unit-sources: iommu/firmware.c iommu/dmar.c iommu/ivrs.c drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c
 * unit-sources: drivers/acpi/serial.c drivers/acpi/mcfg.c common/boot/memmap.c
 */
#include "host.h"

#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>

#include "../../iommu/iommu_priv.h"

struct acpi_info boot_acpi;
struct boot_info boot_info;
const struct iommu_ops vtd_ops = { .regs_size = 0x6000 }, amdvi_ops = { .regs_size = 0x4000 };
static struct pci_function unit_function;
static u8 table[16384];
static u32 used;

struct pci_function *pci_find(u32 sbdf)
{
	return sbdf == unit_function.sbdf ? &unit_function : NULL;
}

/* 00:1c.2 leads to bus 5, and 05:01.1 to bus 6; 01:1c.1 to the buses 8 and 9. */
u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	assert_int_equal(size, 1);
	switch (sbdf) {
	case 0x10300 | 28 << 3 | 2: return 5;
	case 0x10500 | 1 << 3 | 1: return 6;
	case 28 << 3 | 1: return reg == PCI_SECONDARY ? 8 : 9;
	}
	return 0xff;
}

static void *objects[4000];
static unsigned nr_objects;

void *kzalloc(size_t size)
{
	assert_true(nr_objects < ARRAY_SIZE(objects));
	return objects[nr_objects++] = calloc(1, size);
}

static int start(void **state)
{
	(void)state;
	boot_info.nr_mem = 0;
	host_log_clear();
	memset(table, 0, sizeof(table));
	table[37] = 1;
	used = 48;
	return 0;
}

static void add(const void *p, u32 n)
{
	memcpy(table + used, p, n);
	used += n;
}

/* Reads the table, from an allocation of the exact length, so that ASan detects an overrun. */
static void parse_as(const char *name)
{
	u8 *copy = malloc(used);

	while (nr_objects)
		free(objects[--nr_objects]);
	iommu_units = NULL;
	iommu_regions = NULL;
	iommu_ranges = NULL;
	host_log_clear();
	memcpy(table, name, 4);
	boot_acpi.iommus = memcpy(copy, table, used);
	boot_acpi.iommus_size = used;
	iommu_read_firmware();
	free(copy);
	assert_lines_fit();
}

static unsigned nr_units(void)
{
	unsigned n = 0;

	for (const struct iommu *u = iommu_units; u; u = u->next)
		assert_int_equal(u->index, n++);
	return n;
}

static unsigned nr_regions(void)
{
	unsigned n = 0;

	for (const struct iommu_region *r = iommu_regions; r; r = r->next)
		n++;
	return n;
}

static const struct iommu_region *region(unsigned i)
{
	const struct iommu_region *r = iommu_regions;

	for (unsigned n = nr_regions(); n > i + 1; n--)
		r = r->next;
	return r;
}

static struct iommu *unit(unsigned n) { return n ? unit(n - 1)->next : iommu_units; }

static unsigned nr_ranges(const struct iommu *u, const struct iommu_region *region)
{
	unsigned n = 0;

	for (const struct iommu_range *r = iommu_ranges; r; r = r->next)
		n += r->unit == u && r->region == region;
	return n;
}

/* The i-th that was added for a unit, or a region. */
static const struct iommu_range *range(const struct iommu *u, const struct iommu_region *region,
				       unsigned i)
{
	const struct iommu_range *r = iommu_ranges;

	for (unsigned n = nr_ranges(u, region); r; r = r->next)
		if (r->unit == u && r->region == region && n-- == i + 1)
			return r;
	fail();
	return NULL;
}

static void assert_range(unsigned u, unsigned i, unsigned kind, u32 first, u32 last, u32 alias)
{
	const struct iommu_range *r = range(unit(u), NULL, i);

	assert_int_equal(r->kind, kind);
	assert_int_equal(r->first, first);
	assert_int_equal(r->last, last);
	assert_int_equal(r->alias, alias);
}

/* --- IVRS --- */

static void parse(void) { parse_as("IVRS"); }

/* Adds an IVHD with the n bytes of device entries at e. */
static void ivhd(u8 type, u16 id, u16 segment, u64 base, const void *e, u32 n)
{
	u32 head = type == 0x10 ? 24 : 40;
	u8 b[40] = {
		type, 0xb0, (u8)(head + n), (u8)((head + n) >> 8), (u8)id, (u8)(id >> 8), 0x40
	};

	memcpy(b + 8, &base, 8);
	memcpy(b + 16, &segment, 2);
	add(b, head);
	add(e, n);
}

static void ivmd(u8 type, u8 flags, u16 first, u16 last, u64 base, u64 size)
{
	u8 b[32] = { type, flags, 32, 0 };

	memcpy(b + 4, &first, 2);
	memcpy(b + 6, &last, 2);
	memcpy(b + 16, &base, 8);
	memcpy(b + 24, &size, 8);
	add(b, 32);
}

static const u8 select8[] = { 2, 8, 0, 0 };

/* As QEMU and as the firmware of a server have them. */
static void test_good(void **state)
{
	static const u8 q35[] = {
		2, 0, 0, 0, 2, 8, 0, 0,			/* functions */
		3, 0, 1, 0, 4, 0xff, 1, 0,		/* a bus */
		72, 0, 0, 0xd7, 3, 0xa0, 0, 1,		/* IO-APIC */
	};
	static const u8 full[] = {
		3,    3, 0,  0,   4,    0xff, 0x1f, 0,    66,  0,   2,   0,   0,   0xa5, 0,
		0, /* a function behind another's id */
		0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0,	/* pads */
		67,   0, 3,  0,   0,    0xa4, 0,    0,    4,   7,   3,   0,   70,  0,    4,
		0,    0, 0,  0,   0,    71,   0,    5,    0,   0,   0,   0,   0,   4,    1,
		5,    0, 72, 0,   0,    0xd7, 0,    0xa0, 0,   2,   72,  0,   0,   0,    128,
		0xa0, 0, 1,  240, 0xa5, 0,    0,    'A',  'M', 'D', 'I', '0', '0', '2',  '0',
		0,    0, 0,  0,   0,    0,    0,    0,    2,   3,   'a', 'b', 'c',
	};
	static const u8 all[] = { 1, 0, 0, 0 };

	(void)state;
	ivhd(0x10, 8, 0, 0xfed80000, q35, sizeof(q35));
	parse();
	assert_silent();
	assert_int_equal(nr_units(), 1);
	assert_ptr_equal(unit(0)->ops, &amdvi_ops);
	assert_false(unit(0)->all);
	assert_int_equal(unit(0)->base, 0xfed80000);
	assert_int_equal(unit(0)->sbdf, 8);
	assert_int_equal(unit(0)->flags, 0xb0);
	assert_int_equal(nr_ranges(unit(0), NULL), 4);
	assert_range(0, 0, RANGE_FUNCTIONS, 0, 0, 0);
	assert_range(0, 1, RANGE_FUNCTIONS, 8, 8, 0);
	assert_range(0, 2, RANGE_FUNCTIONS, 0x100, 0x1ff, 0);
	assert_range(0, 3, RANGE_IOAPIC, 0xa0, 0xa0, 0);
	assert_int_equal(range(unit(0), NULL, 3)->id, 3);
	assert_int_equal(range(unit(0), NULL, 3)->flags, 0xd7);

	/* The same two units three times: all blocks of each count. */
	start(NULL);
	ivhd(0x10, 2, 1, 0xfd200000, select8, 4);
	ivhd(0x40, 2, 1, 0xfd200000, full, sizeof(full));
	ivhd(0x11, 2, 1, 0xfd200000, select8, 4);
	ivhd(0x10, 0x6002, 1, 0xfd300000, select8, 4);
	ivhd(0x11, 0x6002, 1, 0xfd300000, all, 4);
	add((u8[8]){ 0x77, 0, 8, 0 }, 8);
	parse();
	assert_silent();
	assert_int_equal(nr_units(), 2);
	assert_int_equal(unit(0)->sbdf, 0x10002);
	assert_int_equal(nr_ranges(unit(0), NULL), 10);
	assert_range(0, 0, RANGE_FUNCTIONS, 0x10008, 0x10008, 0);
	assert_range(0, 1, RANGE_FUNCTIONS, 0x10003, 0x11fff, 0);
	assert_range(0, 2, RANGE_FUNCTIONS, 0x10200, 0x10200, 0x100a5);
	assert_range(0, 3, RANGE_FUNCTIONS, 0x10300, 0x10307, 0x100a4);
	assert_range(0, 4, RANGE_FUNCTIONS, 0x10400, 0x10400, 0);
	assert_range(0, 5, RANGE_FUNCTIONS, 0x10500, 0x10501, 0);
	assert_range(0, 6, RANGE_OTHER, 0x100a0, 0x100a0, 0);
	assert_range(0, 7, RANGE_IOAPIC, 0x100a0, 0x100a0, 0);
	assert_int_equal(range(unit(0), NULL, 7)->id, 128);
	assert_range(0, 8, RANGE_FUNCTIONS, 0x100a5, 0x100a5, 0);
	assert_range(0, 9, RANGE_FUNCTIONS, 0x10008, 0x10008, 0);
	assert_int_equal(unit(1)->sbdf, 0x16002);
	assert_true(unit(1)->all);
	assert_int_equal(nr_ranges(unit(1), NULL), 1);
}

static void test_bad_entries(void **state)
{
	static const u8 bad[] = {
		4, 9, 0, 0,				/* the end of nothing */
		3, 0, 1, 0, 2, 8, 0, 0,			/* a start without an end */
		3, 9, 1, 0, 4, 8, 1, 0,			/* backwards */
		5, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* unknown */
		72, 0, 0, 0, 1, 0xa0, 0, 3,		/* an unknown kind */
		72, 0, 0, 0, 1, 0xa0, 0, 1, 72, 0, 0, 0, 1, 0xa1, 0, 1, /* twice */
		2, 0x10, 0, 0,
		3, 0, 2, 0,				/* no end in the block */
	};
	static const u8 cut[] = { 2, 1, 0, 0, 66, 0, 2, 0, 0 };
	static const u8 hid[22 + 4] = { 240, 1, 0, 0, [21] = 5 };

	(void)state;
	ivhd(0x10, 2, 0, 0xfd200000, bad, sizeof(bad));
	parse();
	assert_logged("range to 0x9 has no start, ignored");
	assert_logged("range to 0x108 has no start, ignored");
	assert_logged("device entry type 5 ignored");
	assert_logged("device entry type 128 ignored");
	/* Of a range without an end, the first. */
	assert_int_equal(nr_ranges(unit(0), NULL), 8);
	assert_range(0, 0, RANGE_FUNCTIONS, 0x100, 0x100, 0);
	assert_range(0, 1, RANGE_FUNCTIONS, 8, 8, 0);
	assert_range(0, 2, RANGE_FUNCTIONS, 0x109, 0x109, 0);
	assert_range(0, 3, RANGE_OTHER, 0xa0, 0xa0, 0);
	assert_range(0, 4, RANGE_IOAPIC, 0xa0, 0xa0, 0);
	assert_range(0, 6, RANGE_FUNCTIONS, 0x10, 0x10, 0);
	assert_range(0, 7, RANGE_FUNCTIONS, 0x200, 0x200, 0);

	start(NULL);
	ivhd(0x11, 2, 0, 0xfd200000, cut, sizeof(cut));
	ivhd(0x11, 3, 0, 0xfd300000, hid, sizeof(hid));
	parse();
	assert_logged("IVHD: entry type 66 at 44: length 8 is wrong, rest ignored");
	assert_logged("IVHD: entry type 240 at 40: length 27 is wrong, rest ignored");
	assert_int_equal(nr_units(), 2);
	assert_int_equal(nr_ranges(unit(0), NULL), 1);
}

static void test_bad_blocks(void **state)
{
	(void)state;
	used = 11;
	parse();
	assert_logged("IVRS: length 11 is too short");

	/* Lengths of 0, below the type's, past the end; a rest of 3 bytes */
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			u32 n;
			u8 block[28];
			const char *message;
		} last[] = {
			{ 28, { 0x10 }, "IVRS: entry type 16 at 76: length 0 is wrong" },
			{ 28, { 0x11, 0, 28 }, "IVRS: entry type 17 at 76: length 28 is wrong" },
			{ 28, { 0x20, 0, 33 }, "IVRS: entry type 32 at 76: length 33 is wrong" },
			{ 3, { 0x10, 0, 24 }, "IVRS: entry type 16 at 76: length 0 is wrong" },
		};

		start(NULL);
		ivhd(0x10, 2, 0, 0xfd200000, select8, 4);
		add(last[i].block, last[i].n);
		parse();
		assert_logged(last[i].message);
		assert_int_equal(host_logged("rest ignored"), 1);
		assert_int_equal(nr_units(), 1);
		assert_int_equal(nr_ranges(unit(0), NULL), 1);
	}

	start(NULL);
	ivhd(0x10, 2, 0, 0, select8, 4);
	ivhd(0x10, 3, 0, 0xfd201000, select8, 4);
	ivhd(0x10, 4, 0, 1UL << 52, select8, 4);
	ivhd(0x10, 5, 0, 0xfd200000, select8, 4);
	ivhd(0x10, 5, 0, 0xfd300000, select8, 4);
	ivhd(0x10, 6, 0, 0xfd200000, select8, 4);
	parse();
	assert_logged("unit at 0 ignored: no such address");
	assert_logged("unit at 0xfd201000 ignored: no such address");
	assert_logged("unit at 0x10000000000000 ignored: no such address");
	assert_logged("unit at 0xfd300000 ignored: it is a second one");
	assert_logged("unit at 0xfd200000 ignored: it is a second one");
	assert_int_equal(nr_units(), 1);
}

static void test_memory(void **state)
{
	(void)state;
	ivmd(0x20, 7, 0, 0, 0x10000, 0x2000);
	ivmd(0x21, 3, 0x98, 0, 0x20000, 0x1000);
	ivmd(0x22, 8, 0x100, 0x10f, 0x30000, 0x1000);
	ivmd(0x21, 0, 0x98, 0, 0x40000, 0x1000);	/* nothing to do */
	ivmd(0x21, 7, 0x98, 0, 0x40000, 0);
	ivmd(0x21, 7, 0x98, 0, 0x40800, 0x1000);
	ivmd(0x21, 7, 0x98, 0, 0x50000, (1UL << 52) - 0x4f000);
	ivmd(0x21, 7, 0x98, 0, 1UL << 52, 0x1000);
	parse();
	assert_int_equal(host_logged("reserved memory"), 4);
	assert_int_equal(nr_regions(), 3);
	assert_true(range(NULL, region(0), 0)->first == 0 &&
		    range(NULL, region(0), 0)->last == 0xffff);
	assert_true(range(NULL, region(1), 0)->first == 0x98 &&
		    range(NULL, region(1), 0)->last == 0x98);
	assert_true(range(NULL, region(2), 0)->first == 0x100 &&
		    range(NULL, region(2), 0)->last == 0x10f);
	assert_int_equal(region(0)->base, 0x10000);
	assert_int_equal(region(0)->size, 0x2000);
	assert_true(region(0)->write && !region(1)->write && region(2)->write);
	assert_true(iommu_has_reserved(7));
}

/* --- DMAR --- */

static void dmar_unit(u8 flags, u16 segment, u64 base, u16 scopes)
{
	u8 e[16] = { 0, 0, (u8)(16 + scopes), (u8)((16 + scopes) >> 8), flags };

	memcpy(e + 6, &segment, 2);
	memcpy(e + 8, &base, 8);
	add(e, sizeof(e));
}

static void dmar_reserved(u64 base, u64 limit, u8 scopes)
{
	u8 e[24] = { 1, 0, (u8)(24 + scopes) };

	memcpy(e + 8, &base, 8);
	memcpy(e + 16, &limit, 8);
	add(e, sizeof(e));
}

static void test_dmar(void **state)
{
	static const u8 ioapic[] = { 3, 8, 0, 0, 9, 0xff, 0, 0 };
	static const u8 deep[] = { 1, 12, 0, 0, 0, 3, 28, 2, 1, 1, 31, 7 };
	static const u8 bridge[] = { 2, 8, 0, 0, 0, 0, 28, 1 },
			hpet[] = { 4, 8, 0, 0, 1, 0, 30, 0 };

	(void)state;
	dmar_unit(0, 1, 0xfed90000, 8 + 12);
	add(ioapic, 8);
	add(deep, 12);
	dmar_unit(1, 0, 0xfed91000, 8);
	add(hpet, 8);
	dmar_reserved(0x7e000000, 0x7e01ffff, 8);
	add(bridge, 8);
	add((u8[]){ 2, 0, 8, 0, 0, 0, 0, 0 }, 8);	/* ATSR */
	parse_as("DMAR");
	used = 48;
	assert_silent();
	assert_true(iommu_remapping);
	assert_int_equal(nr_units(), 2);
	assert_ptr_equal(unit(0)->ops, &vtd_ops);
	assert_int_equal(unit(0)->base, 0xfed90000);
	assert_int_equal(unit(0)->segment, 1);
	assert_false(unit(0)->all);
	assert_int_equal(nr_ranges(unit(0), NULL), 2);
	assert_range(0, 0, RANGE_IOAPIC, 0x1ff00, 0x1ff00, 0);
	assert_int_equal(range(unit(0), NULL, 0)->id, 9);
	assert_range(0, 1, RANGE_FUNCTIONS, 0x10600 | 31 << 3 | 7, 0x10600 | 31 << 3 | 7, 0);
	assert_true(unit(1)->all);
	assert_range(1, 0, RANGE_OTHER, 30 << 3, 30 << 3, 0);
	assert_int_equal(nr_regions(), 1);
	assert_int_equal(region(0)->size, 0x20000);
	/* The bridge, and what is behind it. */
	assert_int_equal(nr_ranges(NULL, region(0)), 2);
	assert_true(iommu_has_reserved(28 << 3 | 1));
	assert_false(iommu_has_reserved(28 << 3 | 2));
	assert_true(iommu_has_reserved(0x800) && iommu_has_reserved(0x9ff));
	assert_false(iommu_has_reserved(0xa00));

	/* Which unit: that which names the function, else the one with the rest. */
	assert_ptr_equal(iommu_unit_of(0x10600 | 31 << 3 | 7), unit(0));
	assert_ptr_equal(iommu_unit_of(5), unit(1));
	assert_null(iommu_unit_of(0x10005));
}

/* A unit's node is said; another's is not, or is of none. */
static void test_dmar_nodes(void **state)
{
	u8 e[20] = { 3, 0, 20 };

	(void)state;
	boot_acpi.nr_nodes = 2;
	boot_acpi.nodes[1] = 7;
	dmar_unit(0, 0, 0xfed90000, 0);
	dmar_unit(0, 0, 0xfed91000, 0);
	dmar_unit(1, 0, 0xfed92000, 0);
	memcpy(e + 8, &(u64){ 0xfed91000 }, 8);
	e[16] = 7;
	add(e, sizeof(e));
	memcpy(e + 8, &(u64){ 0xfed92000 }, 8);
	e[16] = 8;
	add(e, sizeof(e));
	memcpy(e + 8, &(u64){ 0xfed93000 }, 8);
	add(e, sizeof(e));
	parse_as("DMAR");
	assert_int_equal(unit(0)->node, NODE_ANY);
	assert_int_equal(unit(1)->node, 1);
	assert_int_equal(unit(2)->node, NODE_ANY);
}

static void test_dmar_broken(void **state)
{
	static const u8 zero[] = { 1, 0, 0, 0, 0, 0, 1, 0 }, past[] = { 1, 9, 0, 0, 0, 0, 1, 0 };
	static const u8 odd[] = { 5, 8, 0, 0, 0, 2, 1, 0 }, none[] = { 1, 6, 0, 0, 0, 2 };
	static const u8 device[] = { 1, 8, 0, 0, 0, 2, 32, 0 },
			function[] = { 1, 8, 0, 0, 0, 2, 0, 8 };
	u8 nowhere[24] = { 1, 24, 0, 0, 0, 0, 1 };

	(void)state;
	parse_as("DMAR");
	used = 48;
	assert_logged("firmware's table has no units");

	/* Lengths that go nowhere, or too far; what came before stays. */
	dmar_unit(1, 0, 0xfed90000, 0);
	add((u8[]){ 0, 0, 0, 0, 0, 0, 0, 0 }, 8);
	dmar_unit(0, 0, 0xfed91000, 0);
	parse_as("DMAR");
	used = 48;
	assert_logged("DMAR: entry type 0 at 64: length 0 is wrong, rest ignored");
	assert_int_equal(nr_units(), 1);
	dmar_unit(0, 0, 0xfed90000, 8);
	parse_as("DMAR");
	used = 48;
	assert_logged("DMAR: entry type 0 at 48: length 24 is wrong");
	assert_int_equal(nr_units(), 0);
	add((u8[24]){ 1, 0, 23, 0 }, 24);
	parse_as("DMAR");
	used = 48;
	assert_logged("DMAR: entry type 1 at 48: length 23 is wrong");

	dmar_unit(0, 0, 0xfed90000, 16);
	add(zero, 8);
	add(device, 8);
	dmar_unit(0, 0, 0xfed91000, 8);
	add(past, 8);
	dmar_unit(0, 0, 0xfed92000, 8 + 6 + 8 + 8 + 24);
	add(odd, 8);
	add(none, 6);
	add(device, 8);
	add(function, 8);
	add(nowhere, 24);
	parse_as("DMAR");
	used = 48;
	assert_logged("DMAR scope: entry type 1 at 16: length 0 is wrong, rest ignored");
	assert_logged("DMAR scope: entry type 1 at 16: length 9 is wrong, rest ignored");
	assert_logged("DMAR scope type 5 of bus 2 ignored: its type is unknown");
	assert_int_equal(host_logged("its path is empty"), 1);
	assert_int_equal(host_logged("its path names no function"), 2);
	assert_int_equal(nr_units(), 3);
	assert_int_equal(host_logged("its path leads to no bus"), 1);
	assert_int_equal(nr_ranges(unit(2), NULL), 0);

	/* Addresses and duplicates. */
	dmar_unit(1, 0, 0xfed90000, 0);
	dmar_unit(0, 0, 0xfed90000, 0);
	dmar_unit(1, 0, 0xfed91000, 0);
	dmar_unit(1, 3, 0xfed92000, 0);
	dmar_unit(0, 0, 0, 0);
	dmar_unit(0, 0, 0xfed93004, 0);
	dmar_unit(0, 0, 1UL << 52, 0);
	dmar_reserved(0x1000, 0xfff, 0);
	dmar_reserved(0x2000, 0x1fff, 0);
	dmar_reserved(0x1001, 0x1fff, 0);
	dmar_reserved(0x1000, 0x1ffe, 0);
	dmar_reserved(0x1000, ~0UL, 0);
	parse_as("DMAR");
	used = 48;
	assert_logged("unit at 0xfed90000 ignored: it is a second one");
	assert_ptr_equal(iommu_unit_of(1), unit(0));	/* not the second one for all */
	assert_int_equal(host_logged("ignored: no such address"), 3);
	assert_int_equal(host_logged("reserved memory"), 5);
	assert_int_equal(nr_units(), 3);
	assert_true(unit(2)->all);
	assert_int_equal(nr_regions(), 0);
	assert_lines_fit();

	start(NULL);
	for (u64 i = 0; i < 66; i++)
		dmar_unit(0, 0, 0xfe000000 + i * PAGE_SIZE, 0);
	parse_as("DMAR");
	used = 48;
	assert_int_equal(nr_units(), 64);
	assert_int_equal(host_logged("too many"), 2);

	start(NULL);
	used = 39;
	parse_as("DMAR");
	assert_logged("DMAR: length 39 is too short");

	/* RAM is not given away, but the function is firmware's. */
	start(NULL);
	boot_info = (struct boot_info){ .mem = &(struct mem_range){ 0x100000, 0x100000, MEM_RAM },
					.nr_mem = 1 };
	/* A unit's registers may reach into it, too. */
	dmar_unit(0, 0, 0xfc000, 0);
	dmar_reserved(0xff000, 0x100fff, 8);
	add((u8[]){ 1, 8, 0, 0, 0, 0, 2, 0 }, 8);
	parse_as("DMAR");
	used = 48;
	boot_info.nr_mem = 0;
	assert_logged("unit at 0xfc000 ignored: it is RAM");
	assert_int_equal(nr_units(), 0);
	assert_logged("reserved memory 0xff000-0x100fff ignored: it has RAM");
	assert_false(iommu_regions->usable);
	assert_true(iommu_has_reserved(2 << 3));

	start(NULL);
	dmar_reserved(1UL << 40, (1UL << 40) + (1UL << 36) - 1, 0);
	dmar_reserved(1UL << 40, (1UL << 51) - 1, 0);
	parse_as("DMAR");
	assert_logged("0x10000000000-0x7ffffffffffff ignored: too large");
	assert_true(region(0)->usable && !region(1)->usable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good, start),
		cmocka_unit_test_setup(test_bad_entries, start),
		cmocka_unit_test_setup(test_bad_blocks, start),
		cmocka_unit_test_setup(test_memory, start),
		cmocka_unit_test_setup(test_dmar, start),
		cmocka_unit_test_setup(test_dmar_nodes, start),
		cmocka_unit_test_setup(test_dmar_broken, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
