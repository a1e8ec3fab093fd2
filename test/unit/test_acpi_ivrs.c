/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI: IVRS: units, the functions of each, memory regions, and what is wrong in them.
 * unit-sources: drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c drivers/acpi/serial.c drivers/acpi/mcfg.c drivers/acpi/dmar.c
 * unit-sources: drivers/acpi/ivrs.c test/unit/acpi_sim.c
 */
#include "acpi_sim.h"

#include <margay/errno.h>
#include <margay/lib.h>
#include <margay/pci.h>

static u8 body[16384];
static u32 used;

static int start(void **state)
{
	sim_setup(state);
	memset(body, 0, sizeof(body));
	used = 12;
	return 0;
}

static void add(const void *p, u32 n)
{
	memcpy(body + used, p, n);
	used += n;
}

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

static void parse(void)
{
	sim_madt();
	sim_table_of("IVRS", 2, body, used);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_lines_fit();
}

static void assert_scope(unsigned i, unsigned kind, u32 first, u32 last, u32 alias)
{
	const struct acpi_scope *s = &sim_info.scopes[i];

	assert_true(i < sim_info.nr_scopes);
	assert_int_equal(s->kind, kind);
	assert_int_equal(s->first, first);
	assert_int_equal(s->last, last);
	assert_int_equal(s->alias, alias);
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
	assert_int_equal(sim_info.nr_iommus, 1);
	assert_true(sim_info.iommus[0].amd);
	assert_false(sim_info.iommus[0].all);
	assert_int_equal(sim_info.iommus[0].base, 0xfed80000);
	assert_int_equal(sim_info.iommus[0].sbdf, 8);
	assert_int_equal(sim_info.iommus[0].features, 0xb0);
	assert_int_equal(sim_info.iommus[0].nr_scopes, 4);
	assert_scope(0, SCOPE_FUNCTION, 0, 0, 0);
	assert_scope(1, SCOPE_FUNCTION, 8, 8, 0);
	assert_scope(2, SCOPE_FUNCTION, 0x100, 0x1ff, 0);
	assert_scope(3, SCOPE_IOAPIC, 0xa0, 0xa0, 0);
	assert_int_equal(sim_info.scopes[3].id, 3);
	assert_int_equal(sim_info.scopes[3].flags, 0xd7);

	/* The same two units three times: the best type of each counts. */
	start(NULL);
	ivhd(0x10, 2, 1, 0xfd200000, select8, 4);
	ivhd(0x40, 2, 1, 0xfd200000, full, sizeof(full));
	ivhd(0x11, 2, 1, 0xfd200000, select8, 4);
	ivhd(0x10, 0x6002, 1, 0xfd300000, select8, 4);
	ivhd(0x11, 0x6002, 1, 0xfd300000, all, 4);
	add((u8[8]){ 0x77, 0, 8, 0 }, 8);
	parse();
	assert_silent();
	assert_int_equal(sim_info.nr_iommus, 2);
	assert_int_equal(sim_info.iommus[0].sbdf, 0x10002);
	assert_int_equal(sim_info.iommus[0].nr_scopes, 8);
	assert_scope(0, SCOPE_FUNCTION, 0x10003, 0x11fff, 0);
	assert_scope(1, SCOPE_FUNCTION, 0x10200, 0x10200, 0x100a5);
	assert_scope(2, SCOPE_FUNCTION, 0x10300, 0x10307, 0x100a4);
	assert_scope(3, SCOPE_FUNCTION, 0x10400, 0x10400, 0);
	assert_scope(4, SCOPE_FUNCTION, 0x10500, 0x10501, 0);
	assert_scope(5, SCOPE_HPET, 0x100a0, 0x100a0, 0);
	assert_scope(6, SCOPE_IOAPIC, 0x100a0, 0x100a0, 0);
	assert_int_equal(sim_info.scopes[6].id, 128);
	assert_scope(7, SCOPE_FUNCTION, 0x100a5, 0x100a5, 0);
	assert_int_equal(sim_info.iommus[1].sbdf, 0x16002);
	assert_true(sim_info.iommus[1].all);
	assert_int_equal(sim_info.iommus[1].first_scope, 8);
	assert_int_equal(sim_info.iommus[1].nr_scopes, 0);
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
	assert_logged("end of no range at 0x9 ignored");
	assert_logged("range from 0x100 has no end, only that used");
	assert_logged("range 0x109 to 0x108 is wrong, ignored");
	assert_logged("device entry type 5 ignored");
	assert_logged("device entry type 128 ignored");
	assert_logged("special device of kind 3 ignored");
	assert_logged("second entry of IO-APIC 1 ignored");
	assert_logged("range from 0x200 has no end, only that used");
	assert_int_equal(sim_info.iommus[0].nr_scopes, 5);
	assert_scope(0, SCOPE_FUNCTION, 0x100, 0x100, 0);
	assert_scope(1, SCOPE_FUNCTION, 8, 8, 0);
	assert_scope(2, SCOPE_IOAPIC, 0xa0, 0xa0, 0);
	assert_scope(3, SCOPE_FUNCTION, 0x10, 0x10, 0);
	assert_scope(4, SCOPE_FUNCTION, 0x200, 0x200, 0);

	start(NULL);
	ivhd(0x11, 2, 0, 0xfd200000, cut, sizeof(cut));
	ivhd(0x11, 3, 0, 0xfd300000, hid, sizeof(hid));
	parse();
	assert_logged("device entry type 66: 5 bytes are too few, rest ignored");
	assert_logged("device entry type 240: 26 bytes are too few, rest ignored");
	assert_int_equal(sim_info.nr_iommus, 2);
	assert_int_equal(sim_info.nr_scopes, 1);
}

static void test_bad_blocks(void **state)
{
	(void)state;
	used = 11;
	parse();
	assert_logged("IVRS: length 47 is too short");

	/* Lengths of 0, below the type's, past the end; a rest of 3 bytes */
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			u32 n;
			u8 block[28];
			const char *message;
		} last[] = {
			{ 28, { 0x10 }, "block type 0x10 at 76: length 0 is wrong" },
			{ 28, { 0x11, 0, 28 }, "block type 0x11 at 76: length 28 is wrong" },
			{ 28, { 0x20, 0, 33 }, "block type 0x20 at 76: length 33 is wrong" },
			{ 3, { 0x10, 0, 24 }, "block type 0x10 at 76: length 0 is wrong" },
		};

		start(NULL);
		ivhd(0x10, 2, 0, 0xfd200000, select8, 4);
		add(last[i].block, last[i].n);
		parse();
		assert_logged(last[i].message);
		assert_int_equal(host_logged("rest ignored"), 1);
		assert_int_equal(sim_info.nr_iommus, 1);
		assert_int_equal(sim_info.nr_scopes, 1);
	}

	start(NULL);
	ivhd(0x10, 2, 0, 0, select8, 4);
	ivhd(0x10, 3, 0, 0xfd201000, select8, 4);
	ivhd(0x10, 4, 0, 1UL << 52, select8, 4);
	ivhd(0x10, 5, 0, 0xfd200000, select8, 4);
	ivhd(0x10, 5, 0, 0xfd300000, select8, 4);
	ivhd(0x10, 6, 0, 0xfd200000, select8, 4);
	parse();
	assert_logged("unit 0x2 at 0 ignored");
	assert_logged("unit 0x3 at 0xfd201000 ignored");
	assert_logged("unit 0x4 at 0x10000000000000 ignored");
	assert_logged("second unit 0x5 at 0xfd300000 ignored");
	assert_logged("second unit 0x6 at 0xfd200000 ignored");
	assert_int_equal(sim_info.nr_iommus, 1);
}

static void test_limits(void **state)
{
	static u8 many[4 * 1100];

	(void)state;
	for (unsigned i = 0; i < 1100; i++)
		memcpy(many + 4 * i, (u8[]){ 2, (u8)i, (u8)(i >> 8), 0 }, 4);
	ivhd(0x10, 2, 0, 0xfd200000, many, sizeof(many));
	for (u16 i = 0; i < ACPI_MAX_IOMMUS; i++)
		ivhd(0x10, i + 3, 0, 0xfd300000 + i * 0x4000, select8, 0);
	ivmd(0x21, 7, 8, 0, 0x1000, 0x1000);
	parse();
	assert_logged("more than 1024 ranges, rest of a block ignored");
	assert_logged("more than 64 units, 0x42 ignored");
	assert_int_equal(sim_info.nr_iommus, ACPI_MAX_IOMMUS);
	assert_int_equal(sim_info.iommus[0].nr_scopes, ACPI_MAX_SCOPES);
	assert_int_equal(sim_info.nr_reserved, 0);

	start(NULL);
	for (u16 i = 0; i <= ACPI_MAX_RESERVED; i++)
		ivmd(0x21, 7, 8, 0, 0x100000 + i * 0x1000, 0x1000);
	parse();
	assert_logged("more than 64 memory regions, 0x140000 ignored");
	assert_int_equal(sim_info.nr_reserved, ACPI_MAX_RESERVED);
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
	ivmd(0x22, 7, 0x98, 0x97, 0x60000, 0x1000);
	parse();
	assert_logged("memory of 0x98 at 0x40000 is wrong, ignored");
	assert_int_equal(host_logged("is wrong, ignored"), 5);
	assert_int_equal(sim_info.nr_reserved, 3);
	assert_scope(0, SCOPE_FUNCTION, 0, 0xffff, 0);
	assert_scope(1, SCOPE_FUNCTION, 0x98, 0x98, 0);
	assert_scope(2, SCOPE_FUNCTION, 0x100, 0x10f, 0);
	assert_int_equal(sim_info.reserved[0].base, 0x10000);
	assert_int_equal(sim_info.reserved[0].size, 0x2000);
	assert_true(sim_info.reserved[0].read && sim_info.reserved[0].write);
	assert_true(sim_info.reserved[1].read && !sim_info.reserved[1].write);
	assert_true(sim_info.reserved[2].read && sim_info.reserved[2].write);
	assert_int_equal(sim_info.reserved[2].first_scope, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good, start),
		cmocka_unit_test_setup(test_bad_entries, start),
		cmocka_unit_test_setup(test_bad_blocks, start),
		cmocka_unit_test_setup(test_limits, start),
		cmocka_unit_test_setup(test_memory, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
