/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for unit tests; see arena.h. */
#define ARENA_ITSELF
#include "arena.h"

#include <sys/mman.h>

#include "../../common/page_boot.c"
#include "../../common/page_chunk.c"
#include "../../common/page_owner.c"
#include "../../common/page_split.c"

u8 *host_directmap;
struct margay_options opt;
static struct cpu cpu;
struct cpu *host_cpu __attribute__((weak)) = &cpu;
unsigned arena_windows;

void __attribute__((weak)) cpu_relax(void)
{
}

void arch_poll_irqs(void)
{
	arena_windows++;
}

static struct boot_info bi;
static struct acpi_info acpi;
static struct mem_stats marked;
static void *taken[ARENA_SIZE / PAGE_SIZE];
static unsigned nr_taken;

static struct mem_range ram[3];

int arena_setup(void **state)
{
	(void)state;
	host_directmap =
		mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(host_directmap != MAP_FAILED);
	memset(host_directmap, 0xa5, ARENA_SIZE);
	bi.nr_mem = ARRAY_SIZE(ram);
	bi.mem = ram;
	bi.mem[0] = (struct mem_range){ 0, 0x9f000, MEM_RAM };
	bi.mem[1] = (struct mem_range){ 1 << 20, (16UL << 20) - 0x5000 - (1 << 20), MEM_RAM };
	bi.mem[2] = (struct mem_range){ 17UL << 20, ARENA_SIZE - (17UL << 20), MEM_RAM };
	acpi.nr_nodes = 2;
	acpi.nr_mem = 2;
	acpi.mem[0] = (struct acpi_mem){ .base = 0, .size = ARENA_NODE1, .node = 0 };
	acpi.mem[1] = (struct acpi_mem){ .base = ARENA_NODE1, .size = ARENA_SIZE - ARENA_NODE1,
					 .node = 1 };
	early_init(&bi, ARENA_IMAGE, ARENA_IMAGE_SIZE);
	early_reserve(20UL << 20, 0x2345);
	owner_init(&bi, &acpi);
	arena_mark();
	return 0;
}

int arena_dom_alloc(struct domain *d, unsigned order, mfn_t *mfn)
{
	int rc;

	do
		rc = dom_alloc(d, order, mfn);
	while (rc == -EAGAIN);
	return rc;
}

bool arena_is_zero(const void *p, size_t n)
{
	const u64 *w = p;
	u64 any = 0;

	for (size_t i = 0; i < n / 8; i++)
		any |= w[i];
	return !any;
}

void arena_mark(void)
{
	mem_stats(&marked);
}

void arena_check(void)
{
	struct mem_stats now_;

	mem_stats(&now_);
	assert_int_equal(now_.free_pages, marked.free_pages);
	assert_int_equal(now_.margay_pages, marked.margay_pages);
	assert_int_equal(now_.split_chunks, marked.split_chunks);
	assert_int_equal(now_.total_pages, marked.total_pages);
}

void arena_take_all_but(unsigned n)
{
	assert_int_equal(nr_taken, 0);
	while (nr_taken < ARRAY_SIZE(taken) && (taken[nr_taken] = alloc_page()))
		nr_taken++;
	assert_true(nr_taken >= n);
	while (n--)
		free_page(taken[--nr_taken]);
}

void arena_give(void)
{
	while (nr_taken)
		free_page(taken[--nr_taken]);
}

u32 arena_random(void)
{
	static u64 s = 88172645463325252UL;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (u32)(s >> 16);
}
