/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the ACPI table parsers. The input is a list of tables, each `signature (4), length of the
 * body (2), body`. The fuzzer adds headers, correct checksums and an XSDT, so that the input
 * reaches the code behind these checks. If the first byte is zero, the input is the memory at BASE
 * instead, starting with the RSDP.
 * fuzz-sources: drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c drivers/acpi/serial.c drivers/acpi/mcfg.c
 * fuzz-sources: iommu/firmware.c iommu/dmar.c iommu/ivrs.c common/boot/memmap.c
 */
#include "fuzz.h"

#include <margay/boot_state.h>
#include <margay/pci.h>

#include "../../iommu/iommu_priv.h"

#define BASE 0x1000000UL
#define MAX_TABLES 32

static uint8_t mem[65536];
static size_t used;
#define info boot_acpi
struct acpi_info boot_acpi;
struct boot_info boot_info;
const struct iommu_ops vtd_ops, amdvi_ops;
static void *objects[65536];
static unsigned nr_objects;

void *kzalloc(size_t n)
{
	return nr_objects < ARRAY_SIZE(objects) ? objects[nr_objects++] = calloc(1, n) : NULL;
}

struct pci_function *pci_find(u32 sbdf)
{
	(void)sbdf;
	return NULL;
}

/* Some buses lead somewhere. */
u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	CHECK(size == 1 && reg < 256);
	return (sbdf >> 8) + reg - 0x18;
}

/* The core of the IOMMUs reads the table later. */
static void check_iommus(void)
{
	unsigned n = 0;

	iommu_units = NULL;
	iommu_regions = NULL;
	iommu_ranges = NULL;
	iommu_read_firmware();
	for (const struct iommu *u = iommu_units; u; u = u->next)
		CHECK(u->base && u->index == n++ && n <= 64);
	for (const struct iommu_region *r = iommu_regions; r; r = r->next)
		CHECK(r->size && r->base + r->size <= 1UL << 52);
	for (const struct iommu_range *r = iommu_ranges; r; r = r->next)
		CHECK(r->kind <= RANGE_OTHER && !r->unit != !r->region);
	while (nr_objects)
		free(objects[--nr_objects]);
}

static void *views[4096];
static unsigned int nr_views;

static const void *map(paddr_t pa, size_t len)
{
	if (pa < BASE || pa - BASE > used || len > used - (pa - BASE) ||
	    nr_views == sizeof(views) / sizeof(*views))
		return NULL;
	views[nr_views] = malloc(len);
	return memcpy(views[nr_views++], mem + (pa - BASE), len);
}

static void put(uint8_t *p, uint64_t v, unsigned int n)
{
	memcpy(p, &v, n);
}

static void fix_sum(uint8_t *p, size_t len, uint8_t *sum)
{
	uint8_t s = 0;

	*sum = 0;
	while (len--)
		s += *p++;
	*sum = -s;
}

static void build(const uint8_t *data, size_t size)
{
	uint8_t *xsdt = mem + 64, *dsdt = NULL, *t;
	unsigned int n = 0, i;
	uint16_t body;

	used = 64 + 36 + MAX_TABLES * 8;
	while (size >= 6 && n < MAX_TABLES) {
		memcpy(&body, data + 4, 2);
		if (body > size - 6)
			body = size - 6;
		if (36 + body > sizeof(mem) - used)
			break;
		t = mem + used;
		memcpy(t, data, 4);
		put(t + 4, 36 + body, 4);
		t[8] = 3;
		memcpy(t + 36, data + 6, body);
		if (!memcmp(t, "DSDT", 4))
			dsdt = t;
		if (!memcmp(t, "FACP", 4) && body >= 8 && dsdt)
			put(t + 40, BASE + (dsdt - mem), 4);
		fix_sum(t, 36 + body, t + 9);
		put(xsdt + 36 + 8 * n++, BASE + used, 8);
		used += 36 + body;
		data += 6 + body;
		size -= 6 + body;
	}
	memcpy(xsdt, "XSDT", 4);
	put(xsdt + 4, 36 + 8 * n, 4);
	for (i = n; i < MAX_TABLES; i++)
		put(xsdt + 36 + 8 * i, 0, 8);
	fix_sum(xsdt, 36 + 8 * n, xsdt + 9);
	memcpy(mem, "RSD PTR ", 8);
	mem[15] = 2;
	put(mem + 20, 36, 4);
	put(mem + 24, BASE + 64, 8);
	fix_sum(mem, 20, mem + 8);
	fix_sum(mem, 36, mem + 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int i;
	int ret;

	host_log_clear();
	memset(mem, 0, sizeof(mem));
	if (size && !data[0]) {
		used = size - 1 < sizeof(mem) ? size - 1 : sizeof(mem);
		memcpy(mem, data + 1, used);
		ret = acpi_parse(mem, used < 36 ? used : 36, map, &info);
	} else {
		build(data, size);
		ret = acpi_parse(mem, 36, map, &info);
		CHECK(!ret);
	}
	check_iommus();
	while (nr_views)
		free(views[--nr_views]);

	CHECK(info.nr_cpus >= 1 && info.nr_cpus <= MAX_CPUS);
	CHECK(info.nr_nodes >= 1 && info.nr_nodes <= MAX_NODES);
	for (i = 0; i < info.nr_cpus; i++)
		CHECK(info.cpus[i].node < info.nr_nodes);
	CHECK(info.nr_mem <= ACPI_MAX_MEM);
	for (i = 0; i < info.nr_mem; i++)
		CHECK(info.mem[i].node < info.nr_nodes && info.mem[i].size);
	CHECK(info.nr_ioapics <= ACPI_MAX_IOAPICS);
	CHECK(info.nr_overrides <= 16);
	CHECK(info.nr_ecam <= ACPI_MAX_ECAM);
	for (i = 0; i < info.nr_ecam; i++)
		CHECK(info.ecam[i].base && info.ecam[i].size && info.ecam[i].size <= 256UL << 20);
	for (i = 0; i < 2; i++) {
		const struct acpi_uart *u = i ? &info.dbg2 : &info.spcr;

		CHECK(!u->there || u->address + (8UL << u->shift) <=
					   (u->space == ACPI_SPACE_IO ? 1UL << 16 : 1UL << 52));
	}
	CHECK(!info.s5_valid || (info.s5_typ_a < 8 && info.s5_typ_b < 8));
	return 0;
}
