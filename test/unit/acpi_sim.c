/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated machine of the ACPI tests; see acpi_sim.h. */
#include "acpi_sim.h"

#include <margay/lib.h>

u8 sim_mem[65536];	      /* at BASE */
size_t sim_used;
paddr_t sim_tables[16];
unsigned int sim_nr_tables;
struct acpi_info sim_info;
u8 sim_rsdp[36] __aligned(8);

static void *views[70000];
static unsigned int nr_views;

/* Returns each view as an allocation of the exact length, so that ASan detects an overrun. */
static const void *map(paddr_t pa, size_t len)
{
	const u8 *p = NULL;

	if (pa >= BASE && pa - BASE < sizeof(sim_mem) && len <= sizeof(sim_mem) - (pa - BASE))
		p = sim_mem + (pa - BASE);
	if (!p || nr_views == ARRAY_SIZE(views))
		return NULL;
	views[nr_views] = malloc(len);
	return memcpy(views[nr_views++], p, len);
}

void sim_put(size_t at, u64 v, u32 n)
{
	memcpy(sim_mem + at, &v, n);
}

void sim_fix_sum(u8 *p, size_t len, u8 *sum)
{
	u8 s = 0;
	size_t i;

	*sum = 0;
	for (i = 0; i < len; i++)
		s += p[i];
	*sum = -s;
}

void sim_close(size_t at)
{
	u32 len;

	memcpy(&len, sim_mem + at + 4, 4);
	sim_fix_sum(sim_mem + at, len, sim_mem + at + 9);
}

/* Starts a table of len zero bytes and returns its offset in sim_mem. The table is closed. */
size_t sim_table(const char *sig, u32 len, u8 revision)
{
	size_t at = sim_used;

	memset(sim_mem + at, 0, len);
	memcpy(sim_mem + at, sig, 4);
	sim_put(at + 4, len, 4);
	sim_mem[at + 8] = revision;
	sim_used = ALIGN_UP(at + len, 16UL);
	if (memcmp(sig, "DSDT", 4))
		sim_tables[sim_nr_tables++] = BASE + at;
	sim_close(at);
	return at;
}

/* Adds a table with the given body; NULL means all zeroes. */
size_t sim_table_of(const char *sig, u8 revision, const void *body, u32 n)
{
	size_t at = sim_table(sig, 36 + n, revision);

	if (body)
		memcpy(sim_mem + at + 36, body, n);
	sim_close(at);
	return at;
}

void sim_root(const char *sig, u32 width)
{
	size_t at = sim_table(sig, 36 + width * sim_nr_tables, 1);
	unsigned int i;

	sim_nr_tables--; /* does not list itself */
	sim_put(at + 4, 36 + width * sim_nr_tables, 4);
	for (i = 0; i < sim_nr_tables; i++)
		sim_put(at + 36 + i * width, sim_tables[i], width);
	sim_close(at);

	memset(sim_rsdp, 0, sizeof(sim_rsdp));
	memcpy(sim_rsdp, "RSD PTR ", 8);
	sim_rsdp[15] = width == 8 ? 2 : 0;
	*(u32 *)(sim_rsdp + 20) = 36;
	if (width == 8)
		*(u64 *)(sim_rsdp + 24) = BASE + at;
	else
		*(u32 *)(sim_rsdp + 16) = BASE + at;
	sim_fix_sum(sim_rsdp, 20, sim_rsdp + 8);
	sim_fix_sum(sim_rsdp, 36, sim_rsdp + 32);
}

int sim_parse_at(const void *rsdp, size_t size)
{
	/* sim_info.iommus is one of the views. */
	while (nr_views)
		free(views[--nr_views]);
	return acpi_parse(rsdp, size, map, &sim_info);
}

int sim_parse(void)
{
	void *copy = memcpy(malloc(36), sim_rsdp, 36);
	int ret = sim_parse_at(copy, 36);

	free(copy);
	return ret;
}

int sim_setup(void **state)
{
	(void)state;
	host_log_clear();
	memset(sim_mem, 0, sizeof(sim_mem));
	sim_used = 0;
	sim_nr_tables = 0;
	return 0;
}

static const u8 madt_body[] = {
	0, 0, 0xe0, 0xfe, 1, 0, 0, 0,			      /* LAPIC address, PCAT_COMPAT */
	0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1, 1, 1, 0, 0, 0,	      /* CPUs 0, 1 */
	0, 8, 2, 2, 2, 0, 0, 0, 0, 8, 3, 3, 0, 0, 0, 0,	      /* online-capable, not present */
	0, 8, 9, 0xff, 1, 0, 0, 0,			      /* placeholder */
	9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0,	      /* x2APIC id 0x100 */
	9, 16, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,	      /* CPU 1 again */
	9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 7, 0, 0, 0,
	1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,	      /* IO-APIC */
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,			      /* IRQ0 -> GSI 2 */
	2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0,
	4, 6, 0xff, 0, 0, 1, 4, 6, 2, 5, 0, 0,		      /* NMIs */
	10, 12, 5, 0, 7, 0, 0, 0, 1, 0, 0, 0,
	0x80, 2,					      /* unknown */
};

size_t sim_madt(void)
{
	return sim_table_of("APIC", 3, madt_body, sizeof(madt_body));
}

static const u8 s5_q35[] = { 0x10, 0x10, 0x5c, 0x00, 0x08, '_', 'S',  '5',  '_',
			     0x12, 0x06, 0x04, 0x00, 0x0a, 3,   0x00, 0x00, 0x00 };

size_t sim_fadt(u32 len)
{
	size_t dsdt = sim_table_of("DSDT", 1, s5_q35, sizeof(s5_q35));
	size_t at = sim_table("FACP", len, 3);

	sim_put(at + 40, BASE + dsdt, 4);
	sim_put(at + 46, 9, 2);
	sim_put(at + 48, 0xb2, 4);
	sim_mem[at + 52] = 2;
	sim_put(at + 64, 0x604, 4);
	if (len > 128) {
		sim_put(at + 112, 1 << 10, 4);
		sim_mem[at + 116] = ACPI_SPACE_IO;
		sim_mem[at + 117] = 8;
		sim_put(at + 120, 0xcf9, 8);
		sim_mem[at + 128] = 0xf;
	}
	sim_close(at);
	return at;
}

size_t sim_hpet(void)
{
	size_t at = sim_table("HPET", 56, 1);

	sim_put(at + 44, 0xfed00000, 8);
	sim_close(at);
	return at;
}

static void cpu_node(u8 *e, u32 apic, u32 pxm)
{
	const u8 x2[24] = { 2, 24, 0, 0, pxm, pxm >> 8, 0, 0, apic, apic >> 8, 0, 0, 1 };

	memcpy(e, x2, 24);
}

void sim_mem_node(u8 *e, u64 base, u64 size, u32 pxm, u32 flags)
{
	memset(e, 0, 40);
	e[0] = 1;
	e[1] = 40;
	memcpy(e + 2, &pxm, 4);
	memcpy(e + 8, &base, 8);
	memcpy(e + 16, &size, 8);
	memcpy(e + 28, &flags, 4);
}

static size_t srat(void)
{
	u8 body[12 + 16 + 2 * 24 + 4 * 40] = { 0 }, *e = body + 12;
	const u8 cpu1[16] = { 0, 16, 5, 1, 1, 0, 0, 0, 0, 0, 0, 0 };

	memcpy(e, cpu1, 16);
	cpu_node(e += 16, 0x100, 300);
	cpu_node(e += 24, 0, 5);
	sim_mem_node(e += 24, 0, 0xa0000, 5, 1);
	sim_mem_node(e += 40, 0x100000000, 0x40000000, 300, 1);
	sim_mem_node(e += 40, 0x180000000, 0x40000000, 6, 0); /* not enabled */
	sim_mem_node(e += 40, 0x300000000, 0x40000000, 7, 3); /* hot-plug */
	return sim_table_of("SRAT", 3, body, sizeof(body));
}

void sim_q35(void)
{
	sim_fadt(244);
	srat(); /* before the MADT on purpose */
	sim_madt();
	sim_hpet();
	sim_table_of("WAET", 1, NULL, 4);
	sim_root("XSDT", 8);
}

void sim_assert_one_cpu(void)
{
	assert_int_equal(sim_info.nr_cpus, 1);
	assert_int_equal(sim_info.cpus[0].apic_id, 0);
	assert_int_equal(sim_info.nr_nodes, 1);
	assert_logged("using one CPU");
}
