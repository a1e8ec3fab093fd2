/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI: the contents of the tables: MADT, SRAT, SLIT and FADT entries, and the sleep type in the DSDT.
 * unit-sources: drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c drivers/acpi/serial.c drivers/acpi/mcfg.c test/unit/acpi_sim.c
 */
#include "acpi_sim.h"

#include <margay/errno.h>
#include <margay/lib.h>

static void madt_with(const void *entries, u32 n)
{
	u8 body[8 + 4096] = { 0 };

	sim_setup(NULL);
	memcpy(body + 8, entries, n);
	sim_table_of("APIC", 3, body, 8 + n);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
}

static void test_madt_entries(void **state)
{
	static const u8 zero[] = { 0, 8, 0, 0, 1, 0, 0, 0, 0, 0 };
	static const u8 shorter[] = { 0, 8, 0, 0, 1, 0, 0, 0, 1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const u8 past[] = { 0, 8, 0, 0, 1, 0, 0, 0, 9, 16, 0, 0 };
	static const u8 odd[] = { 0, 8, 0, 0, 1, 0, 0, 0, 9 };
	static const u8 twice[] = { 0, 8, 0, 4, 1, 0, 0, 0, 0, 8, 1, 4, 1, 0, 0, 0 };
	static const u8 misc[] = {
		2, 10, 1, 1,  2, 0, 0,    0,    0, 0, /* another bus */
		2, 10, 0, 16, 2, 0, 0,    0,    0, 0, /* not an ISA interrupt */
		2, 10, 0, 3,  3, 0, 0,    0,    0, 0, 2, 10, 0, 3,  4, 0, 0, 0, 0,    0, /* twice */
		4, 6,  0, 0,  0, 1,                         /* an NMI: ignored */
		5, 12, 0, 0,  0, 0, 0xe0, 0xfe, 1, 0, 0, 0, /* LAPIC address: the CPU has it */
		1, 12, 0, 0,  0, 0, 0,    0,    0, 0, 0, 0, /* no address */
		1, 12, 1, 0,  0, 0, 0xc0, 0xfe, 0, 0, 0, 0,  1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24,
		0, 0,  0, /* a duplicate */
	};
	u8 many[300 * 8], x2[256 * 16];
	unsigned int i;

	(void)state;
	madt_with(zero, sizeof(zero));
	assert_logged("entry type 0 at 52: length 0 is wrong");
	assert_int_equal(sim_info.nr_cpus, 1);
	madt_with(shorter, sizeof(shorter));
	assert_logged("entry type 1 at 52: length 11 is wrong");
	assert_int_equal(sim_info.nr_ioapics, 0);
	madt_with(past, sizeof(past));
	assert_logged("entry type 9 at 52: length 16 is wrong");
	madt_with(odd, sizeof(odd));
	assert_logged("entry type 9 at 52: length 0 is wrong");
	madt_with(twice, sizeof(twice));
	assert_logged("second CPU with APIC id 4");
	assert_int_equal(sim_info.nr_cpus, 1);

	madt_with(misc, sizeof(misc));
	assert_logged("override of bus 1 interrupt 1 ignored");
	assert_logged("override of bus 0 interrupt 16 ignored");
	assert_logged("second override of interrupt 3 ignored");
	assert_logged("IO-APIC 0 at 0 ignored");
	assert_logged("second IO-APIC at 0xfec00000");
	assert_int_equal(sim_info.nr_overrides, 1);
	assert_int_equal(sim_info.nr_ioapics, 1);
	sim_assert_one_cpu();

	/* 250 disabled CPUs do not crowd out the CPUs listed after them. */
	for (i = 0; i < 255; i++)
		memcpy(many + i * 8, (u8[]){ 0, 8, i, i, i < 250 ? 2 : 1, 0, 0, 0 }, 8);
	madt_with(many, 255 * 8);
	assert_silent();
	assert_int_equal(sim_info.nr_cpus, 5);
	assert_int_equal(sim_info.cpus[0].apic_id, 250);
	for (i = 0; i < 256; i++) {
		u8 id = i < 254 ? 1 : 2;

		memcpy(x2 + i * 16, (u8[16]){ 9, 16, 0, 0, i, id, 0, 0, 1, 0, 0, 0, i }, 16);
	}
	madt_with(x2, sizeof(x2));
	assert_int_equal(sim_info.nr_cpus, 256);
	assert_silent();
}

static void test_too_many_cpus(void **state)
{
	static u8 body[8 + 255 * 8 + 900 * 16];
	unsigned int i;

	(void)state;
	for (i = 0; i < 255; i++)
		memcpy(body + 8 + i * 8, (u8[]){ 0, 8, i, i, 1, 0, 0, 0 }, 8);
	for (i = 0; i < 900; i++)
		memcpy(body + 8 + 255 * 8 + i * 16,
		       (u8[16]){ 9, 16, 0, 0, i, 1 + (i >> 8), 0, 0, 1, 0, 0, 0, i, 1, 0, 0 }, 16);
	sim_table_of("APIC", 3, body, sizeof(body));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(sim_info.nr_cpus, MAX_CPUS);
	assert_logged("more than 1024 CPUs, APIC id 1025 ignored");
	assert_int_equal(host_logged("more than"), 255 + 900 - MAX_CPUS);
}

static void test_srat_entries(void **state)
{
	static u8 body[12 + 200 * 40];
	unsigned int i;

	(void)state;
	/* Too many nodes and ranges */
	for (i = 0; i < 200; i++)
		sim_mem_node(body + 12 + i * 40, i << 30, 1 << 30, i, 1);
	sim_table_of("SRAT", 3, body, sizeof(body));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(sim_info.nr_nodes, MAX_NODES);
	assert_int_equal(sim_info.nr_mem, ACPI_MAX_MEM);
	for (i = 0; i < ACPI_MAX_MEM; i++)
		assert_int_equal(sim_info.mem[i].node, min(i, MAX_NODES - 1U));
	assert_logged("more than 64 nodes, domain 64 joins the last");

	sim_setup(NULL);
	for (i = 0; i < 200; i++)
		sim_mem_node(body + 12 + i * 40, i << 30, 1 << 30, 0, 1);
	sim_mem_node(body + 12, ~0UL - 10, 12, 0, 1);
	sim_mem_node(body + 52, 0, 0, 0, 1);
	sim_table_of("SRAT", 3, body, sizeof(body));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(sim_info.nr_nodes, 1);
	assert_int_equal(sim_info.nr_mem, ACPI_MAX_MEM);
	assert_logged("wraps, ignored");
	assert_logged("more than 128 memory ranges");

	/* Revision 1: the upper bytes of the domain are undefined. */
	sim_setup(NULL);
	memset(body, 0, sizeof(body));
	memcpy(body + 12, (u8[16]){ 0, 16, 5, 0, 1, 0, 0, 0, 0, 9, 9, 9 }, 16);
	memcpy(body + 28, (u8[16]){ 0, 15 }, 2);
	sim_table_of("SRAT", 1, body, 12 + 16 + 16);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(sim_info.nodes[0], 5);
	assert_logged("SRAT: entry type 0 at 64: length 15 is wrong");
	memcpy(body + 28, (u8[16]){ 2, 23 }, 2);
	sim_setup(NULL);
	sim_table_of("SRAT", 1, body, 12 + 16 + 24);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("SRAT: entry type 2 at 64: length 23 is wrong");
}

/* Parses a SRAT with the nodes 3, 0 and 9, and a SLIT with that body. */
static void slit_of(const u8 *body, u32 n)
{
	static const u32 nodes[] = { 3, 0, 9 };
	u8 srat[12 + 3 * 40] = { 0 };

	sim_setup(NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(nodes); i++)
		sim_mem_node(srat + 12 + i * 40, i << 30, 1 << 30, nodes[i], 1);
	/* The order of the tables does not matter. */
	sim_table_of("SLIT", 1, body, n);
	sim_table_of("SRAT", 3, srat, sizeof(srat));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(sim_info.nr_nodes, 3);
}

static void test_slit(void **state)
{
	static const u8 good[8 + 16] = { 4,  0,  0,  0,  0,  0,  0,  0,  10, 11, 12, 13,
					 14, 10, 15, 16, 17, 18, 10, 19, 20, 21, 22, 10 };
	u8 body[sizeof(good)];

	(void)state;
	slit_of(good, sizeof(good));
	assert_int_equal(host_logged("SLIT"), 0);
	assert_int_equal(sim_info.distance[0][0], 10);
	assert_int_equal(sim_info.distance[0][1], 20);
	assert_int_equal(sim_info.distance[1][0], 13);
	/* The matrix ends before node 9. */
	assert_int_equal(
		sim_info.distance[0][2] | sim_info.distance[2][1] | sim_info.distance[2][2], 0);

	slit_of(good, sizeof(good) - 1);
	assert_logged("SLIT: length 59 is wrong for 4 nodes, ignored");
	assert_int_equal(sim_info.distance[0][1], 0);
	slit_of(good, 7);
	assert_logged("SLIT: length 43 is wrong for 0 nodes, ignored");
	memcpy(body, good, sizeof(good));
	body[7] = 0x80;	/* its square overflows to the right length */
	slit_of(body, sizeof(body));
	assert_logged("is wrong for 9223372036854775812 nodes, ignored");
	memcpy(body, good, sizeof(good));
	body[8 + 5] = 11;
	slit_of(body, sizeof(body));
	assert_logged("SLIT: distance 11 of nodes 1 and 1 is wrong, ignored");
	assert_int_equal(sim_info.distance[0][1], 0);
	memcpy(body, good, sizeof(good));
	body[8 + 6] = 10;
	slit_of(body, sizeof(body));
	assert_logged("SLIT: distance 10 of nodes 1 and 2 is wrong, ignored");
}

static void dsdt_of(const void *aml, u32 n)
{
	size_t at;

	sim_setup(NULL);
	at = sim_fadt(116);
	sim_put(at + 40, BASE + sim_used, 4);
	sim_close(at);
	sim_table_of("DSDT", 1, aml, n);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
}

static void test_s5(void **state)
{
	static const u8 rooted[] = { 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x08, 2, 0x0a, 7, 1 };
	static const u8 longer[] = {
		0x08, '_', 'S', '5', '_', 0x12, 0x48, 0x00, 4, 0x0a, 5, 0x0a, 5
	};
	static const u8 one[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x04, 1, 0x0a, 6 };
	static const u8 reference[] = { 0x14, 0x0a, '_', 'S', '5', '_', 0x12, 0x06, 4, 0, 0, 0, 0 };
	static const u8 big[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 8, 0, 0, 0 };
	static const u8 word[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 4, 0x0b, 5, 0, 0, 0 };
	static const u8 empty[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x02, 0, 0, 0, 0 };
	static const u8 other[] = { 0x08, 'X', '_', 'S', '5', '_', 0x12, 0x06, 2, 0, 0, 0 };
	static const u8 path[] = { 'X', '\\', '_', 'S', '5', '_', 0x12, 0x06, 2, 0, 0, 0 };
	u32 n;

	(void)state;
	dsdt_of(other, sizeof(other));
	assert_false(sim_info.s5_valid);
	dsdt_of(path, sizeof(path));
	assert_false(sim_info.s5_valid);
	dsdt_of(rooted, sizeof(rooted));
	assert_true(sim_info.s5_valid);
	assert_int_equal(sim_info.s5_typ_a, 7);
	assert_int_equal(sim_info.s5_typ_b, 1);
	dsdt_of(longer, sizeof(longer));
	assert_true(sim_info.s5_valid);
	assert_int_equal(sim_info.s5_typ_a, 5);
	assert_int_equal(sim_info.s5_typ_b, 5);
	dsdt_of(one, sizeof(one));
	assert_true(sim_info.s5_valid);
	assert_int_equal(sim_info.s5_typ_a, 6);
	dsdt_of(reference, sizeof(reference));
	assert_false(sim_info.s5_valid);
	dsdt_of(big, sizeof(big));
	assert_false(sim_info.s5_valid);
	dsdt_of(word, sizeof(word));
	assert_false(sim_info.s5_valid);
	dsdt_of(empty, sizeof(empty));
	assert_false(sim_info.s5_valid);
	/* Truncated at any length: no read past the end */
	for (n = 0; n < sizeof(rooted); n++) {
		dsdt_of(rooted, n);
		assert_false(sim_info.s5_valid);
	}
	/* An SSDT has the object. */
	sim_setup(NULL);
	sim_table_of("SSDT", 1, rooted, sizeof(rooted));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_true(sim_info.s5_valid);
}

static void test_fadt(void **state)
{
	size_t at;
	u32 len;

	(void)state;
	/* All lengths from any ACPI revision, and those in between */
	for (len = 116; len <= 244; len++) {
		sim_setup(NULL);
		sim_fadt(len);
		sim_root("XSDT", 8);
		assert_int_equal(sim_parse(), 0);
		assert_int_equal(host_logged("FACP") + host_logged("DSDT"), 0);
		assert_int_equal(sim_info.pm1a_cnt, 0x604);
		assert_int_equal(sim_info.reset_port, len > 128 ? 0xcf9 : 0);
	}

	/* The 64-bit fields take precedence. */
	sim_setup(NULL);
	at = sim_fadt(244);
	sim_put(at + 140, BASE, 8); /* the DSDT is the first table */
	sim_put(at + 40, 0xdead, 4);
	sim_mem[at + 172] = ACPI_SPACE_IO;
	sim_put(at + 176, 0xb004, 8);
	sim_mem[at + 184] = ACPI_SPACE_IO;
	sim_put(at + 188, 0x10000, 8);
	sim_close(at);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_true(sim_info.s5_valid);
	assert_int_equal(sim_info.pm1a_cnt, 0xb004);
	assert_int_equal(sim_info.pm1b_cnt, 0);
	assert_logged("FACP: PM1b control 0x10000 is not a port");

	sim_setup(NULL);
	at = sim_fadt(244);
	sim_mem[at + 172] = ACPI_SPACE_MEM;
	sim_put(at + 176, 0xfed80000, 8);
	sim_put(at + 40, 0x1000, 4);
	sim_put(at + 112, 0, 4);
	sim_close(at);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("PM1a control 0xfed80000 is not a port");
	assert_logged("DSDT: no table at 0x1000");
	assert_false(sim_info.s5_valid);
	assert_int_equal(sim_info.reset_port, 0);

	/* One reset register is not an I/O port, and one is not possible. */
	sim_setup(NULL);
	at = sim_fadt(244);
	sim_mem[at + 116] = ACPI_SPACE_MEM;
	sim_close(at);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("reset register 0xcf9 is not a port");
	assert_int_equal(sim_info.reset_port, 0);
	sim_setup(NULL);
	at = sim_fadt(244);
	sim_put(at + 120, 0x10cf9, 8);
	sim_close(at);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("reset register 0x10cf9 is not a port");
	assert_int_equal(sim_info.reset_port, 0);
}

/* A generic address structure: space, bits, offset, access size, address. */
static void gas(u8 *p, u8 space, u8 bits, u8 access, u64 address)
{
	memcpy(p, (u8[]){ space, bits, 0, access }, 4);
	memcpy(p + 4, &address, 8);
}

static const struct {
	u8 space, bits, access;
	u64 address;
	bool good;
	u8 shift, width;
} ports[] = {
	{ ACPI_SPACE_IO, 8, 1, 0x2f8, true, 0, 1 },
	{ ACPI_SPACE_IO, 8, 0, 0xfff8, true, 0, 1 },
	{ ACPI_SPACE_IO, 8, 1, 0xfff9, false, 0, 0 },
	{ ACPI_SPACE_IO, 32, 1, 0xffe0, true, 2, 1 },
	{ ACPI_SPACE_IO, 8, 1, 0x10000, false, 0, 0 },
	{ ACPI_SPACE_IO, 8, 1, ~0UL, false, 0, 0 },
	{ ACPI_SPACE_MEM, 32, 3, 0xfedc9000, true, 2, 4 },
	{ ACPI_SPACE_MEM, 16, 1, 0xfedc9000, true, 1, 1 },
	{ ACPI_SPACE_MEM, 32, 3, 0xfedc9002, false, 0, 0 },	/* not aligned */
	{ ACPI_SPACE_MEM, 8, 3, 0xfedc9000, false, 0, 0 },	/* access wider than a register */
	{ ACPI_SPACE_MEM, 8, 2, 0xfedc9000, false, 0, 0 },	/* words */
	{ ACPI_SPACE_MEM, 8, 4, 0xfedc9000, false, 0, 0 },
	{ ACPI_SPACE_MEM, 64, 1, 0xfedc9000, false, 0, 0 },
	{ ACPI_SPACE_MEM, 7, 1, 0xfedc9000, false, 0, 0 },
	{ ACPI_SPACE_MEM, 8, 1, (1UL << 52) - 8, true, 0, 1 },
	{ ACPI_SPACE_MEM, 8, 1, (1UL << 52) - 7, false, 0, 0 },
	{ ACPI_SPACE_MEM, 8, 1, ~0UL - 3, false, 0, 0 },
	{ 2, 8, 1, 0x2f8, false, 0, 0 },			/* PCI configuration space */
};

static void check_port(const struct acpi_uart *u, unsigned i, const char *table)
{
	if (u->there != ports[i].good ||
	    (u->there && (u->space != ports[i].space || u->shift != ports[i].shift ||
			  u->width != ports[i].width || u->address != ports[i].address)))
		fail_msg("%s, port %u: there %d, space %u, shift %u, width %u", table, i, u->there,
			 u->space, u->shift, u->width);
	if (!ports[i].good)
		assert_logged("ignored");
}

/* Offsets in the bodies, which lack the 36 bytes of the header. */
static void test_spcr(void **state)
{
	static const u32 bauds[] = { 0, 0, 0, 9600, 19200, 0, 57600, 115200, 0 };
	u8 body[44];

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		sim_setup(state);
		memset(body, 0, sizeof(body));
		gas(body + 4, ports[i].space, ports[i].bits, ports[i].access, ports[i].address);
		memset(body + 28, 0x5a, 12);	/* the PCI function and its segment */
		sim_table_of("SPCR", 2, body, sizeof(body));
		sim_root("XSDT", 8);
		assert_int_equal(sim_parse(), 0);
		check_port(&sim_info.spcr, i, "SPCR");
	}
	for (u8 i = 0; i < ARRAY_SIZE(bauds); i++) {
		sim_setup(state);
		gas(body + 4, ACPI_SPACE_IO, 8, 1, 0x3f8);
		body[22] = i;
		sim_table_of("SPCR", 2, body, sizeof(body));
		sim_root("XSDT", 8);
		assert_int_equal(sim_parse(), 0);
		assert_int_equal(sim_info.spcr.baud, bauds[i]);
	}
	/* Cut; another kind; switched off. */
	sim_setup(state);
	sim_table_of("SPCR", 2, body, sizeof(body) - 1);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("SPCR: length 79 is too short");
	assert_false(sim_info.spcr.there);
	sim_setup(state);
	body[0] = 3;
	sim_table_of("SPCR", 2, body, sizeof(body));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("SPCR: interface type 3 is no 16550");
	sim_setup(state);
	body[0] = 0;
	gas(body + 4, ACPI_SPACE_MEM, 8, 1, 0);
	sim_table_of("SPCR", 2, body, sizeof(body));
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_int_equal(host_logged("SPCR"), 0);
	assert_false(sim_info.spcr.there);
}

/* Parses a DBG2 with n devices of 34 bytes at 44, `len` bytes long. */
static void dbg2(u8 body[8 + 2 * 34], u32 offset, u32 n, u32 len)
{
	sim_setup(NULL);
	memcpy(body, &offset, 4);
	memcpy(body + 4, &n, 4);
	sim_table_of("DBG2", 0, body, len);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
}

static void debug_device(u8 *p, u16 type, u8 registers, u16 address)
{
	memset(p, 0, 34);
	p[1] = 34;
	p[3] = registers;
	memcpy(p + 12, &type, 2);
	memcpy(p + 18, &address, 2);
	gas(p + 22, ACPI_SPACE_IO, 8, 1, 0x2f8);
}

static void test_dbg2(void **state)
{
	u8 body[8 + 2 * 34];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		debug_device(body + 8, 0x8000, 1, 22);
		gas(body + 30, ports[i].space, ports[i].bits, ports[i].access, ports[i].address);
		dbg2(body, 44, 1, 42);
		check_port(&sim_info.dbg2, i, "DBG2");
	}
	/* The second device is the first serial one. */
	debug_device(body + 8, 0x8003, 1, 22);
	debug_device(body + 42, 0x8000, 1, 22);
	dbg2(body, 44, 2, sizeof(body));
	assert_true(sim_info.dbg2.there);
	assert_int_equal(sim_info.dbg2.address, 0x2f8);
	/* Fewer devices than announced: the table ends. */
	dbg2(body, 44, ~0U, 42);
	assert_logged("DBG2: device at 78: length 0 is wrong");
	dbg2(body, 44, 2, sizeof(body) - 1);
	assert_logged("DBG2: device at 78: length 34 is wrong");
	/* The address structure outside of its device; no address at all. */
	debug_device(body + 8, 0x8000, 1, 23);
	dbg2(body, 44, 1, 42);
	assert_logged("device at 44: length 34 is wrong");
	debug_device(body + 8, 0x8000, 1, 0xffff);
	dbg2(body, 44, 1, 42);
	assert_logged("device at 44: length 34 is wrong");
	debug_device(body + 8, 0x8000, 0, 0xffff);
	dbg2(body, 44, 1, 42);
	assert_int_equal(host_logged("DBG2"), 0);
	assert_false(sim_info.dbg2.there);
	/* Offsets before and behind the table; a table of the header alone. */
	dbg2(body, 43, 1, 42);
	assert_logged("DBG2: length 78 or offset 43 is wrong");
	dbg2(body, ~0U, 1, 42);
	assert_logged("or offset 4294967295 is wrong");
	dbg2(body, 44, 1, 7);
	assert_logged("DBG2: length 43");
}

static void ecam_entry(u8 *e, u64 base, u16 segment, u8 first, u8 last)
{
	memcpy(e, &base, 8);
	memcpy(e + 8, &segment, 2);
	e[10] = first;
	e[11] = last;
}

static void test_mcfg(void **state)
{
	u8 body[8 + 7 * 16 + 3] = { 0 }, *e = body + 8;

	(void)state;
	ecam_entry(e, 0xb0000000, 0, 0, 255);
	ecam_entry(e + 16, 0xe000000000, 1, 16, 31);
	sim_table_of("MCFG", 1, body, 8 + 32);
	sim_root("XSDT", 8);
	sim_parse();
	assert_int_equal(host_logged("MCFG"), 0);
	assert_int_equal(sim_info.nr_ecam, 2);
	assert_int_equal(sim_info.ecam[0].base, 0xb0000000);
	assert_int_equal(sim_info.ecam[0].size, 256UL << 20);
	assert_int_equal(sim_info.ecam[1].sbdf, 0x11000);
	assert_int_equal(sim_info.ecam[1].base, 0xe001000000);
	assert_int_equal(sim_info.ecam[1].size, 16UL << 20);

	sim_setup(NULL);
	ecam_entry(e + 32, 0xe010000000, 1, 31, 40);
	ecam_entry(e + 48, 0xe010000000, 2, 5, 4);
	ecam_entry(e + 64, 0, 3, 0, 4);
	ecam_entry(e + 80, 0xe010080000, 4, 0, 4);
	ecam_entry(e + 96, ~0UL << 20, 5, 0, 4);
	sim_table_of("MCFG", 1, body, sizeof(body));
	sim_root("XSDT", 8);
	sim_parse();
	assert_int_equal(sim_info.nr_ecam, 2);
	assert_logged("segment 1, buses 31 to 40 ignored: a bus has two");
	assert_logged("segment 2, buses 5 to 4 ignored: its last");
	assert_int_equal(host_logged("no such address"), 3);
	assert_logged("MCFG: length 159 is wrong");

	sim_setup(NULL);
	sim_table_of("MCFG", 1, body, 3);
	sim_root("XSDT", 8);
	sim_parse();
	assert_int_equal(sim_info.nr_ecam, 0);
	assert_logged("MCFG: length 39 is wrong");
}

/* The core of the IOMMUs reads it; see test_iommu_firmware.c. */
static void test_iommus(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		sim_setup(NULL);
		sim_table_of(i ? "IVRS" : "DMAR", 1, NULL, 12);
		sim_root("XSDT", 8);
		sim_parse();
		assert_memory_equal(sim_info.iommus, i ? "IVRS" : "DMAR", 4);
		assert_int_equal(sim_info.iommus_size, 48);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_madt_entries, sim_setup),
		cmocka_unit_test_setup(test_too_many_cpus, sim_setup),
		cmocka_unit_test_setup(test_srat_entries, sim_setup),
		cmocka_unit_test_setup(test_slit, sim_setup),
		cmocka_unit_test_setup(test_s5, sim_setup),
		cmocka_unit_test_setup(test_fadt, sim_setup),
		cmocka_unit_test_setup(test_spcr, sim_setup),
		cmocka_unit_test_setup(test_dbg2, sim_setup),
		cmocka_unit_test_setup(test_mcfg, sim_setup),
		cmocka_unit_test_setup(test_iommus, sim_setup),
	};

	return cmocka_run_group_tests_name("acpi tables", tests, NULL, NULL);
}
