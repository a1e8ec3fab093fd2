/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of memory ranges: overlaps, gaps, and punched holes.
 * unit-sources: common/boot/memmap.c
 */
#include "host.h"

#include <margay/boot.h>
#include <margay/lib.h>

#define MAP_MAX 192

static struct mem_range map[MAP_MAX];
static unsigned int nr;

static void assert_range(unsigned int i, u64 base, u64 size, u32 type)
{
	assert_true(i < nr);
	if (map[i].base != base || map[i].size != size || map[i].type != type)
		fail_msg("range %u is %#lx size %#lx type %u", i, map[i].base, map[i].size,
			 map[i].type);
}

static void sanitise(const struct mem_range *in, unsigned int n)
{
	nr = mem_sanitise(in, n, map, MAP_MAX);
}

static void test_sanitise(void **state)
{
	static const struct mem_range overlaps[] = {
		{ 0x3000, 0x1000, MEM_RAM },	{ 0x0000, 0x2000, MEM_RAM },
		{ 0x1000, 0x1800, MEM_RESERVED }, { 0x2000, 0x1000, MEM_RAM },
		{ 0x3800, 0x100, MEM_NVS },	{ 0x5000, 0x1000, 77 },
		{ 0x5800, 0x1000, MEM_RAM },	{ 0x9000, 0, MEM_RAM },
	};
	static const struct mem_range top[] = { { ~0UL - 0xfff, 0x2000, MEM_RAM } };

	(void)state;
	sanitise(overlaps, ARRAY_SIZE(overlaps));
	assert_int_equal(nr, 7);
	assert_range(0, 0, 0x1000, MEM_RAM);
	assert_range(1, 0x1000, 0x1800, MEM_RESERVED);
	assert_range(2, 0x2800, 0x1000, MEM_RAM);
	assert_range(3, 0x3800, 0x100, MEM_NVS);
	assert_range(4, 0x3900, 0x700, MEM_RAM);
	assert_range(5, 0x5000, 0x1000, 77);
	assert_range(6, 0x6000, 0x800, MEM_RAM);
	sanitise(top, 1);
	assert_int_equal(nr, 1);
	assert_range(0, ~0UL - 0xfff, 0xfff, MEM_RAM);
	sanitise(NULL, 0);
	assert_int_equal(nr, 0);
}

/* Compares random maps with a page-by-page model. */
static void test_sanitise_random(void **state)
{
	static const u32 rank[] = { 0, 1, 4, 2, 3, 5 };
	struct mem_range in[24];
	unsigned int round, i, p;

	(void)state;
	srand(1);
	for (round = 0; round < 2000; round++) {
		u8 model[64] = { 0 }, got[64] = { 0 };

		for (i = 0; i < ARRAY_SIZE(in); i++) {
			in[i] = (struct mem_range){ rand() % 60, rand() % 8, 1 + rand() % 5 };
			for (p = in[i].base; p < in[i].base + in[i].size && p < 64; p++)
				if (rank[in[i].type] > rank[model[p]])
					model[p] = in[i].type;
			if (in[i].base + in[i].size > 64)
				in[i].size = 64 - in[i].base;
		}
		sanitise(in, ARRAY_SIZE(in));
		for (i = 0; i < nr; i++) {
			const struct mem_range *r = &map[i];

			assert_true(r->size);
			if (i) {
				assert_true(r->base >= r[-1].base + r[-1].size);
				assert_true(r->base > r[-1].base + r[-1].size ||
					    r->type != r[-1].type);
			}
			memset(got + r->base, r->type, r->size);
		}
		assert_memory_equal(model, got, sizeof(model));
	}
}

static void test_is_ram(void **state)
{
	static const struct mem_range r[] = {
		{ 0, 0x9fc00, MEM_RAM },
		{ 0x9fc00, 0x400, MEM_RESERVED },
		{ 0x100000, 0x3fee0000, MEM_RAM },
	};

	(void)state;
	assert_true(mem_is_ram(r, 3, 0x100000, 0x3fee0000));
	assert_false(mem_is_ram(r, 3, 0x100000, 0x3fee0001));
	assert_false(mem_is_ram(r, 3, 0x9fc00, 1));
	assert_false(mem_is_ram(r, 3, 0x100000, ~0UL));
	assert_false(mem_is_ram(r, 3, ~0UL, 2));
	assert_true(mem_is_ram(r, 3, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sanitise),
		cmocka_unit_test(test_sanitise_random),
		cmocka_unit_test(test_is_ram),
	};

	return cmocka_run_group_tests_name("memmap", tests, NULL, NULL);
}
