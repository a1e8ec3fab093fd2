/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generated microcode files: the search finds the newest matching update, whatever surrounds it.
 * unit-sources: arch/x86/cpu/microcode_file.c
 */
#include "host.h"

#include <margay/bytes.h>
#include <x86/microcode.h>

#define SIGNATURE 0x306d4U
#define OTHER 0x506e3U

static u8 file[16384];
static size_t end;

static void put(u32 v)
{
	memcpy(file + end, &v, 4);
	end += 4;
}

/* Sets the word at `sum` so that the words from `from` to the end add up to 0. */
static void fix_sum(size_t from, size_t sum)
{
	u32 total = 0;

	memset(file + sum, 0, 4);
	for (size_t i = from; i < end; i += 4)
		total += get_u32(file + i);
	total = -total;
	memcpy(file + sum, &total, 4);
}

/* Appends an Intel update with 16 bytes of data; `more` adds a table with one more signature. */
static void intel(u32 signature, u32 platforms, u32 revision, u32 more)
{
	size_t start = end, table;
	const u32 header[12] = { 1, revision, 0x01012020, signature, 0, 1, platforms, 16,
				 48 + 16 + (more ? 32 : 0) };

	for (unsigned i = 0; i < ARRAY_SIZE(header); i++)
		put(header[i]);
	for (u32 i = 0; i < 4; i++)
		put(0x11111111 * i);
	fix_sum(start, start + 16);
	if (!more)
		return;
	table = end;
	for (unsigned i = 0; i < 8; i++)
		put(i == 0 ? 1 : i == 5 ? more : i == 6 ? 2 : 0);
	fix_sum(table, table + 4);
}

static bool find(bool amd, u32 revision, struct ucode_update *u)
{
	const struct ucode_cpu cpu = { amd, SIGNATURE, 2, revision };

	return ucode_find(file, end, &cpu, u);
}

static void expect(bool amd, u32 revision, u32 want)
{
	struct ucode_update u;
	bool found = find(amd, revision, &u);

	assert_int_equal(found, want != 0);
	if (found) {
		assert_int_equal(u.revision, want);
		assert_true(u.data >= file && u.data < file + end);
	}
}

static void test_intel(void **state)
{
	(void)state;
	end = 0;
	expect(false, 1, 0);
	intel(OTHER, 2, 99, 0);
	expect(false, 1, 0);
	intel(SIGNATURE, 2, 5, 0);
	intel(SIGNATURE, 1, 77, 0);	/* another platform */
	intel(SIGNATURE, 3, 7, 0);
	intel(SIGNATURE, 2, 6, 0);
	expect(false, 1, 7);
	expect(false, 6, 7);
	expect(false, 7, 0);		/* not the same revision, and never an older one */
	intel(OTHER, 2, 9, SIGNATURE);
	expect(false, 7, 9);
	/* A wrong checksum, of the data or of the table. */
	file[end - 40]++;
	expect(false, 7, 0);
	file[end - 40]--;
	file[end - 8]++;
	expect(false, 7, 0);
}

static void test_intel_cut(void **state)
{
	struct ucode_update u;
	size_t whole;

	(void)state;
	end = 0;
	intel(SIGNATURE, 2, 5, 0);
	intel(OTHER, 2, 9, SIGNATURE);
	whole = end;
	for (end = 0; end < whole; end++)
		assert_int_equal(find(false, 1, &u), end >= 64);
}

static void amd_table(u32 signature, u32 id)
{
	const u32 words[] = { 0x00414d44, 0, 32, signature, 0, 0, id, 0, 0, 0, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		put(words[i]);
}

static void amd(u32 id, u32 revision)
{
	put(1);
	put(64 + 32);
	for (unsigned i = 0; i < 24; i++)
		put(i == 1 ? revision : i == 6 ? id : 0);
}

static void test_amd(void **state)
{
	struct ucode_update u;

	(void)state;
	end = 0;
	amd_table(OTHER, 0x8012);
	amd(0x8012, 50);
	expect(true, 1, 0);
	amd_table(SIGNATURE, 0x8012);	/* a second container after the first */
	amd(0x8011, 60);
	amd(0x8012, 8);
	amd(0x8012, 7);
	expect(true, 1, 8);
	expect(true, 8, 0);
	expect(false, 1, 0);
	assert_true(find(true, 1, &u));
	assert_int_equal(get_u32(u.data + 4), 8);	/* the header is included */
	for (size_t whole = end; end; end--)
		expect(true, 1, end >= whole - 104 ? 8 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel),
		cmocka_unit_test(test_intel_cut),
		cmocka_unit_test(test_amd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
