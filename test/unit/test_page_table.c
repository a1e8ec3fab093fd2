/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table walker by itself: walks, tables made on the way, splits of leaves without effect on the
 * mapping, and failed calls that change nothing. For a format like the host's and one like EPT's.
 * unit-sources: arch/x86/mm/page_table.c
 */
#include "host.h"

#include <x86/page_table.h>

#define PAGES 64
static u64 arena[PAGES][512] __attribute__((aligned(4096)));
u8 *host_directmap = (u8 *)arena;
static unsigned used, limit, splits[PT_LEVELS];

static void *new_table(struct page_table *of)
{
	(void)of;
	return used < limit ? memset(arena[used++], 0, PAGE_SIZE) : NULL;
}

static u64 count_split(struct page_table *of, u64 e, unsigned level)
{
	(void)of;
	splits[level]++;
	return level == 1 ? e | PTE_G : e;
}

static const struct pt_format formats[] = {
	{ .table = PTE_P | PTE_W | PTE_A, .new_table = new_table },
	{ .table = PTE_P | PTE_W | PTE_U, .new_table = new_table, .split = count_split },
};
static struct page_table pt;

static void start(const struct pt_format *format)
{
	used = 0;
	limit = PAGES;
	memset(splits, 0, sizeof(splits));
	pt = (struct page_table){ .format = format };
	pt.root = new_table(&pt);
}

/* Walks to a page and returns the address that it maps to; ~0: none. */
static u64 target(u64 page, unsigned *level)
{
	u64 e = *pt_find(&pt, page, level);

	if (!pt_present(e))
		return ~0UL;
	return ((e & PTE_ADDR) >> PAGE_SHIFT) + (page & ((1UL << 9 * *level) - 1));
}

static void test_walk(void **state)
{
	unsigned level;

	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		const u64 page = 0x123456789;

		start(&formats[f]);
		assert_int_equal(target(page, &level), ~0UL);
		assert_int_equal(level, 3);
		*pt_make(&pt, page, 0) = 0x777UL << PAGE_SHIFT | PTE_P;
		assert_int_equal(used, 4);
		assert_int_equal(target(page, &level), 0x777);
		assert_int_equal(level, 0);
		/* Each table on the way has the format's bits. */
		assert_int_equal(pt.root[pt_index(page, 3)] & ~PTE_ADDR, formats[f].table);
		assert_int_equal(target(page + 1, &level), ~0UL);
		assert_int_equal(level, 0);
		assert_int_equal(target(page + 512, &level), ~0UL);
		assert_int_equal(level, 1);
		/* An address of the upper half, like Margay's own. */
		*pt_make(&pt, 0xffff800000000000UL >> PAGE_SHIFT, 2) = PTE_P | PTE_PS;
		assert_int_equal(target((0xffff800000000000UL >> PAGE_SHIFT) + 77, &level), 77);
		assert_int_equal(level, 2);
		/* The walker does not take a table for a leaf. */
		assert_false(pt_is_leaf(*pt_make(&pt, page, 1), 1));
	}
}

static void test_split(void **state)
{
	const u64 rights = PTE_P | PTE_W | PTE_NX;
	unsigned level;

	(void)state;
	start(&formats[1]);
	*pt_make(&pt, 1UL << 18, 2) = 0x40000UL << PAGE_SHIFT | rights | PTE_PS;
	*pt_make(&pt, (1UL << 18) + 0x2345, 0) = 0;
	assert_int_equal(splits[2], 1);
	assert_int_equal(splits[1], 1);
	for (u64 i = 0; i < 1UL << 18; i += i >= 0x2200 && i < 0x2600 ? 1 : 97) {
		u64 page = (1UL << 18) + i, at = target(page, &level);

		if (i == 0x2345)
			continue;
		assert_int_equal(at, 0x40000 + i);
		assert_int_equal(level, i / 512 == 0x2345 / 512 ? 0 : 1);
		assert_int_equal(*pt_find(&pt, page, &level) & ~PTE_ADDR,
				 rights | (level ? PTE_PS : PTE_G));
	}
	assert_int_equal(target((1UL << 18) + 0x2345, &level), ~0UL);
}

static void test_no_memory(void **state)
{
	unsigned level;

	(void)state;
	for (unsigned left = 0; left < 2; left++) {
		start(&formats[1]);
		*pt_make(&pt, 0, 2) = PTE_P | PTE_PS;
		limit = used + left;
		assert_null(pt_make(&pt, 5, 0));
		/* At most one of the two splits succeeds, and the mapping does not change. */
		assert_int_equal(splits[2], left);
		assert_int_equal(splits[1], 0);
		for (u64 page = 0; page < 1UL << 18; page += 101)
			assert_int_equal(target(page, &level), page);
		assert_null(pt_make(&pt, 1UL << 30, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
