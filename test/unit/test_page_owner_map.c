/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table of a machine whose memory map reaches to 64 TiB, the end of the direct map, with
 * holes: below 4 GiB, AMD's below 1 TiB, and many terabytes. Page contents are left out.
 * unit-sources: common/boot/memmap.c
 */
#include "host.h"

#include <sys/mman.h>

#include <margay/atomic.h>
#include <margay/boot_state.h>
#include <margay/domain.h>
#include <margay/list.h>
#include <margay/page_owner.h>
#include <margay/percpu.h>
#include <margay/printk.h>

/* All pages are zero here, and nobody reads them. */
static void *set_memory(void *p, int c, size_t n)
{
	return n % PAGE_SIZE ? memset(p, c, n) : p;
}

#define memset set_memory
#include "../../common/page_boot.c"
#include "../../common/page_chunk.c"
#include "../../common/page_owner.c"
#include "../../common/page_split.c"
#undef memset

#define GIB (1UL << 30)
#define TIB (1UL << 40)

u8 *host_directmap;
struct margay_options opt;
static struct cpu cpu;
struct cpu *host_cpu = &cpu;

void cpu_relax(void)
{
}

static struct mem_range ram[] = {
	{ 0, 2 * GIB, MEM_RAM },
	{ 4 * GIB, 1008 * GIB, MEM_RAM },
	{ 1012 * GIB, 12 * GIB, MEM_RESERVED },	/* AMD's hole for HyperTransport */
	{ TIB, TIB / 2, MEM_RAM },
	{ 16 * TIB + (3UL << 20), GIB, MEM_RAM },
	{ DIRECTMAP_SIZE - 2 * GIB, 2 * GIB - 0x5000, MEM_RAM },
};
static struct boot_info bi = { .mem = ram, .nr_mem = ARRAY_SIZE(ram) };
static struct acpi_info acpi = {
	.nr_nodes = 3,
	.nr_mem = 3,
	.mem = { { .base = 0, .size = TIB, .node = 0 },
		 { .base = TIB, .size = TIB, .node = 1 },
		 { .base = 16 * TIB, .size = 48 * TIB, .node = 2 } },
};

static int setup(void **state)
{
	(void)state;
	host_directmap = mmap(NULL, DIRECTMAP_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(host_directmap != MAP_FAILED);
	early_init(&bi, 2UL << 20, 0x23000);
	owner_init(&bi, &acpi);
	return 0;
}

static bool in_ram(mfn_t mfn, u64 pages)
{
	return mem_is_ram(ram, ARRAY_SIZE(ram), mfn << PAGE_SHIFT, pages << PAGE_SHIFT);
}

static void test_count(void **state)
{
	u64 pages = 0, node2 = 3 * GIB / PAGE_SIZE - 5;
	struct mem_stats st;

	(void)state;
	mem_stats(&st);
	for (unsigned i = 0; i < ARRAY_SIZE(ram); i++)
		pages += ram[i].type == MEM_RAM ? ram[i].size / PAGE_SIZE : 0;
	assert_int_equal(st.total_pages, pages - GIB / 1024 / PAGE_SIZE); /* less the first MiB */
	assert_int_equal(st.free_pages + st.margay_pages, st.total_pages);
	assert_int_equal(node_free_pages(1), TIB / 2 / PAGE_SIZE);
	/* Two chunks and the last are partly RAM: each has a page that holds its split. */
	assert_int_equal(node_free_pages(2), node2 - 3);
}

/* Each node gives gigabytes, chunks and pages of its own RAM, from what is left to the last page. */
static void test_alloc(void **state)
{
	struct domain d = { .id = 1, .max_pages = ~0UL };
	static const unsigned orders[] = { 18, 9, 0 };
	mfn_t mfn;
	int rc;

	(void)state;
	for (unsigned node = 0; node < 3; node++) {
		d.node = (u8)node;
		for (unsigned o = 0; o < ARRAY_SIZE(orders); o++)
			for (unsigned i = 0; i < 3; i++) {
				u64 before = node_free_pages(node);

				do
					rc = dom_alloc(&d, orders[o], &mfn);
				while (rc == -EAGAIN);
				assert_int_equal(rc, 0);
				assert_true(in_ram(mfn, 1UL << orders[o]));
				/* Node 2 has one gigabyte. The first page splits a chunk. */
				if (o)
					assert_in_range(before - node_free_pages(node),
							1UL << orders[o], (1UL << orders[o]) + 1);
			}
	}
	d.node = 2;
	while (node_free_pages(2)) {
		assert_int_equal(dom_alloc(&d, 0, &mfn), 0);
		assert_true(in_ram(mfn, 1));
		assert_true(mfn << PAGE_SHIFT >= 16 * TIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_count),
					    cmocka_unit_test(test_alloc) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
