/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small objects: sizes, alignment, zeroed memory, no overlap, and release of all pages.
 * unit-sources: common/heap.c common/boot/memmap.c test/unit/arena.c
 */
#include "arena.h"

#define OBJECTS 600

static struct {
	u8 *p;
	size_t size;
	u8 fill;
} obj[OBJECTS];

static void fill(unsigned i, size_t size)
{
	obj[i].p = kzalloc(size);
	assert_non_null(obj[i].p);
	assert_int_equal((uintptr_t)(obj[i].p - host_directmap) % (size > 32 ? 64 : 32), 0);
	for (size_t b = 0; b < size; b++)
		assert_int_equal(obj[i].p[b], 0);
	obj[i].size = size;
	obj[i].fill = (u8)(arena_random() | 1);
	memset(obj[i].p, obj[i].fill, size);
}

static void drop(unsigned i)
{
	for (size_t b = 0; b < obj[i].size; b++)
		assert_int_equal(obj[i].p[b], obj[i].fill);
	kfree(obj[i].p);
	obj[i].p = NULL;
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 31, 32, 33, 64, 65, 127, 512, 1000, 1024, 1025, 2000,
					4032, 4033, 4096, 8192, 100000, (2UL << 20) - 64 };

	(void)state;
	kfree(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		fill(i, sizes[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		drop(i);
	assert_null(kzalloc((2UL << 20) - 63));
	assert_null(kzalloc(1UL << 40));
	assert_null(kzalloc(1UL << 45)); /* its page count does not fit in 32 bits */
	assert_null(kzalloc(~0UL));
	arena_check();
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 30000; n++) {
		unsigned i = arena_random() % OBJECTS, kind = arena_random() % 16;

		if (obj[i].p)
			drop(i);
		else
			fill(i, kind ? arena_random() % 600 : arena_random() % 9000);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		if (obj[i].p)
			drop(i);
	arena_check();
}

static void test_exhaustion(void **state)
{
	void *a, *b;

	(void)state;
	arena_take_all_but(0);
	assert_null(kzalloc(10));
	assert_null(kzalloc(5000));
	arena_give();
	arena_take_all_but(1);
	a = kzalloc(1024);
	b = kzalloc(1024);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(kzalloc(32));
	kfree(a);
	kfree(b);
	arena_give();
	arena_check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, arena_setup, NULL);
}
