/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cost of an allocation in a node of 1 TiB that one guest has fragmented: 65,536 of its chunks
 * have free pages, no two of them adjacent, and all other pages are owned. The cost is the number
 * of search steps and must equal that of an empty node. Page contents are left out; only the page
 * that holds a chunk's split is touched.
 * unit-sources: common/boot/memmap.c
 */
#include "host.h"

#include <sys/mman.h>

#include <margay/atomic.h>
#include <margay/domain.h>
#include <margay/boot_state.h>
#include <margay/list.h>
#include <margay/page_owner.h>
#include <margay/percpu.h>
#include <margay/printk.h>

#define SIZE (1UL << 40)
#define CHUNKS (SIZE / CHUNK_SIZE)
#define FRAGMENTED 65536UL
#define MOST_STEPS 64	/* per allocation: list entries and bitmap words examined */

static u64 steps;

static unsigned __unused counted_find(const u64 *p, unsigned nbits, unsigned from)
{
	unsigned at = find_next_bit(p, nbits, from);

	steps += 1 + at / 64 - from / 64;
	return at;
}

static bool __unused counted_empty(const struct list *l)
{
	steps++;
	return list_empty(l);
}

/* All pages are zero here, and nobody reads them. */
static void *set_memory(void *p, int c, size_t n)
{
	return n % PAGE_SIZE ? memset(p, c, n) : p;
}

#undef list_for_each
#define list_for_each(p, head, member)                                                        \
	for ((p) = list_entry((head)->next, typeof(*(p)), member); &(p)->member != (head);    \
	     (p) = list_entry((p)->member.next, typeof(*(p)), member), steps++)
#define find_next_bit counted_find
#define list_empty counted_empty
#define memset set_memory
#include "../../common/page_boot.c"
#include "../../common/page_chunk.c"
#include "../../common/page_owner.c"
#include "../../common/page_split.c"
#undef memset

u8 *host_directmap;
struct margay_options opt;
static struct cpu cpu;
struct cpu *host_cpu = &cpu;

void cpu_relax(void)
{
}

void arch_poll_irqs(void)
{
}

static struct boot_info bi;
static struct acpi_info acpi;
static struct domain guest = { .id = 1, .max_pages = SIZE / PAGE_SIZE, .node = 0 },
		     other = { .id = 2, .max_pages = SIZE / PAGE_SIZE, .node = 0 };
static mfn_t last;	/* the highest chunk that a guest owns as a whole */

static mfn_t chunk(struct domain *d)
{
	mfn_t mfn;

	assert_int_equal(dom_alloc(d, 9, &mfn), 0);
	return mfn;
}

static int alloc_scrubbed(struct domain *d, unsigned order, mfn_t *mfn)
{
	int rc;

	do
		rc = dom_alloc(d, order, mfn);
	while (rc == -EAGAIN);
	return rc;
}

/* Performs an allocation and returns its steps. */
#define COST(call)                                                                            \
	({                                                                                    \
		steps = 0;                                                                    \
		call;                                                                         \
		steps;                                                                        \
	})

static struct mem_range ram;

static int setup(void **state)
{
	u64 owned = 0;

	(void)state;
	host_directmap = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(host_directmap != MAP_FAILED);
	bi.nr_mem = 1;
	ram = (struct mem_range){ 0, SIZE, MEM_RAM };
	bi.mem = &ram;
	early_init(&bi, 2UL << 20, 0x23000);
	owner_init(&bi, &acpi);
	/* A step of each chunk is enough. */
	for (u64 c = 0; c < CHUNKS; c++)
		chunks[c].dirty = chunks[c].dirty ? POLL_PAGES : 0;
	nodes[0].dirty_pages /= CHUNK_PAGES / POLL_PAGES;
	pages_idle(&cpu, 0);
	assert_int_equal(nodes[0].dirty_pages, 0);
	for (u64 c = 0; c < FRAGMENTED; c++) {
		mfn_t mfn = chunk(&guest);

		for (unsigned i = 1; i < CHUNK_PAGES; i += 32)
			dom_free(&guest, mfn + i, 0);
	}
	while (node_free_pages(0) > FRAGMENTED * 16 + 2 * CHUNK_PAGES) {
		mfn_t mfn = chunk(&other);

		last = max(last, mfn);
		owned++;
	}
	assert_true(owned > CHUNKS * 3 / 4);
	return 0;
}

static void test_costs(void **state)
{
	void *p, *q;
	mfn_t a, b;

	(void)state;
	/* Any run of pages. The second comes from the chunk that the first one split. */
	assert_true(COST(p = alloc_pages(3, 0)) <= MOST_STEPS);
	assert_true(COST(q = alloc_pages(2, 0)) <= MOST_STEPS);
	assert_non_null(p);
	assert_non_null(q);
	assert_true(COST(free_pages(p, 3)) <= MOST_STEPS);
	assert_true(COST(free_pages(q, 2)) <= MOST_STEPS);
	/* A page, freed and allocated. */
	assert_true(COST(assert_int_equal(alloc_scrubbed(&guest, 0, &a), 0)) <= MOST_STEPS);
	assert_true(COST(dom_free(&guest, a, 0)) <= MOST_STEPS);
	/* A whole chunk, also if only those at the ends are free. */
	for (unsigned i = 0; i < 8; i++) {
		assert_true(COST(assert_int_equal(alloc_scrubbed(&other, 9, &b), 0)) <= MOST_STEPS);
		assert_true(COST(dom_free(&other, i % 2 ? b : last, 9)) <= MOST_STEPS);
		if (i % 2 == 0)
			last = b;
	}
	/* A gigabyte, which is not available; the failure costs no more. */
	assert_true(COST(assert_int_equal(alloc_scrubbed(&other, 18, &b), -ENOMEM)) <= MOST_STEPS);
	while (!alloc_scrubbed(&other, 9, &b))
		;
	assert_true(COST(p = alloc_pages(256, 0)) <= MOST_STEPS);
	assert_null(p);
}

/* A guest took every chunk with a single free page: the search finds a free page at once. */
static void test_single(void **state)
{
	mfn_t page[64];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		assert_true(COST(assert_int_equal(alloc_scrubbed(&guest, 0, &page[i]), 0)) <=
			    MOST_STEPS);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		assert_true(COST(dom_free(&guest, page[i], 0)) <= MOST_STEPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_costs),
					    cmocka_unit_test(test_single) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
