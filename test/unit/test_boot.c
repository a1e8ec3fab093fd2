/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multiboot2 information and memory maps: well-formed input, and every kind of malformed input.
 * unit-sources: arch/x86/boot/multiboot2.c common/boot/memmap.c arch/x86/mm/mtrr.c
 */
#include "host.h"

#include <margay/mm.h>
#include <margay/boot.h>
#include <margay/errno.h>
#include <margay/lib.h>

static struct {
	u8 b[32768];
	u32 len;
} mbi;

static struct boot_info bi;

static void put(const void *p, u32 n)
{
	assert_true(mbi.len + n <= sizeof(mbi.b));
	if (n)
		memcpy(mbi.b + mbi.len, p, n);
	mbi.len += n;
}

static void put32(u32 v)
{
	put(&v, 4);
}

static void put64(u64 v)
{
	put(&v, 8);
}

static void tag(u32 type, const void *body, u32 n)
{
	put32(type);
	put32(8 + n);
	put(body, n);
	while (mbi.len % 8)
		put("\377", 1);
}

static void start(void)
{
	memset(&mbi, 0, sizeof(mbi));
	put64(0);
	host_log_clear();
}

/* Parses a copy of the exact size, so that ASan detects any overrun. */
static u8 *copy;

static int finish_raw(u32 total)
{
	memcpy(mbi.b, &total, 4);
	free(copy);
	copy = malloc(mbi.len);
	memcpy(copy, mbi.b, mbi.len);
	return mb2_parse(copy, mbi.len, &bi);
}

static int finish(void)
{
	tag(0, NULL, 0);
	return finish_raw(mbi.len);
}

static void module(u32 from, u32 to, const char *args)
{
	u8 body[256];

	memcpy(body, &from, 4);
	memcpy(body + 4, &to, 4);
	strcpy((char *)body + 8, args);
	tag(3, body, 8 + strlen(args) + 1);
}

static void mmap_of(const struct mem_range *r, unsigned int n)
{
	u32 at = mbi.len;

	put32(6);
	put32(16 + 24 * n);
	put32(24);
	put32(0);
	for (; n; n--, r++) {
		put64(r->base);
		put64(r->size);
		put32(r->type);
		put32(0);
	}
	assert_int_equal((mbi.len - at) % 8, 0);
}

static const struct mem_range pc_map[] = {
	{ 0, 0x9fc00, MEM_RAM },
	{ 0x9fc00, 0x400, MEM_RESERVED },
	{ 0xf0000, 0x10000, MEM_RESERVED },
	{ 0x100000, 0x3fee0000, MEM_RAM },
	{ 0x3ffe0000, 0x20000, MEM_RESERVED },
};

static void standard_map(void)
{
	mmap_of(pc_map, ARRAY_SIZE(pc_map));
}

static void assert_range(unsigned int i, u64 base, u64 size, u32 type)
{
	assert_true(i < bi.nr_mem);
	if (bi.mem[i].base != base || bi.mem[i].size != size || bi.mem[i].type != type)
		fail_msg("range %u is %#lx size %#lx type %u", i, bi.mem[i].base, bi.mem[i].size,
			 bi.mem[i].type);
}

static void test_whole(void **state)
{
	u8 v1[20] = "RSD PTR 1", v2[36] = "RSD PTR 2";

	(void)state;
	start();
	tag(1, "com1=115200 loglevel=debug", 27);
	tag(2, "GRUB 2.06", 10); /* ignored */
	tag(15, v2, sizeof(v2));
	tag(14, v1, sizeof(v1));
	module(0x1000000, 0x1234567, "guest name=a");
	standard_map();
	module(0x2000000, 0x2000001, "");
	tag(99, "unknown", 8);
	assert_int_equal(finish(), 0);
	assert_silent();
	assert_string_equal(bi.cmdline, "com1=115200 loglevel=debug");
	assert_int_equal(bi.rsdp_size, 36);
	assert_int_equal(((const u8 *)bi.rsdp)[8], '2');
	assert_int_equal(bi.nr_mods, 2);
	assert_int_equal(bi.mods[0].start, 0x1000000);
	assert_int_equal(bi.mods[0].size, 0x234567);
	assert_string_equal(bi.mods[0].args, "guest name=a");
	assert_null(bi.mods[0].bad);
	assert_string_equal(bi.mods[1].args, "");
	assert_int_equal(bi.mods[1].size, 1);
	assert_int_equal(bi.nr_mem, 5);
	assert_range(0, 0, 0x9fc00, MEM_RAM);
	assert_range(4, 0x3ffe0000, 0x20000, MEM_RESERVED);
}

static void test_minimal(void **state)
{
	(void)state;
	start();
	standard_map();
	assert_int_equal(finish(), 0);
	assert_string_equal(bi.cmdline, "");
	assert_null(bi.rsdp);
	assert_int_equal(bi.nr_mods, 0);

	/* The end tag may be missing. */
	start();
	standard_map();
	assert_int_equal(finish_raw(mbi.len), 0);
	assert_int_equal(bi.nr_mem, 5);
}

static void test_broken_sizes(void **state)
{
	u32 n;

	(void)state;
	start();
	assert_int_equal(finish_raw(7), -EINVAL);
	assert_logged("information of 7 bytes");
	start();
	assert_int_equal(finish_raw(0), -EINVAL);
	start();
	assert_int_equal(finish_raw(8), -EINVAL);
	assert_logged("no memory map");
	start();
	standard_map();
	assert_int_equal(finish_raw(mbi.len + 1), -EINVAL);
	assert_logged("at most");
	assert_int_equal(mb2_parse(copy, 0, &bi), -EINVAL);
	assert_int_equal(mb2_parse(copy, 7, &bi), -EINVAL);

	/* One tag is too short, one too long. */
	start();
	put32(1);
	put32(7);
	assert_int_equal(finish(), -EINVAL);
	assert_logged("tag type 1 at 8: size 7 is wrong");
	start();
	put32(3);
	put32(0xfffffff8);
	assert_int_equal(finish(), -EINVAL);
	assert_logged("tag type 3 at 8");

	/* Truncated at any length, the input parses or is refused, without an overrun. */
	for (n = 8; n < 8 + 16 + 24 * ARRAY_SIZE(pc_map); n++) {
		start();
		standard_map();
		mbi.len = n;
		assert_int_equal(finish_raw(n), -EINVAL);
	}
}

static void test_no_map(void **state)
{
	(void)state;
	start();
	assert_int_equal(finish(), -EINVAL);
	assert_logged("no memory map");

	start();
	mmap_of(NULL, 0);
	assert_int_equal(finish(), -EINVAL);

	/* Entries that are too small */
	start();
	tag(6, "\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(finish(), -EINVAL);
	assert_logged("entry size 8");
	start();
	tag(6, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(finish(), -EINVAL);
	start();
	tag(6, "", 0);
	assert_int_equal(finish(), -EINVAL);
}

static void test_modules(void **state)
{
	unsigned int i;

	(void)state;
	start();
	standard_map();
	module(0x1000000, 0x1000000, "empty");
	module(0x1000000, 0xfff000, "reverse");
	module(0x90000, 0xa0000, "hole");
	module(0x1000000, 0x1001000, "good");
	module(0x2000000, 0x2002000, "over1");
	module(0x2001fff, 0x2003000, "over2");
	module(0x2003000, 0x2004000, "adjacent");
	module(0xfffff000, 0xffffffff, "high");
	tag(3, "\0\0\0\1\0\20\0\1noend", 13);
	tag(3, "\0\0\0\1", 4);
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.nr_mods, 9);
	assert_string_equal(bi.mods[0].bad, "is empty");
	assert_string_equal(bi.mods[1].bad, "ends before it starts");
	assert_string_equal(bi.mods[2].bad, "is not in RAM");
	assert_null(bi.mods[3].bad);
	assert_string_equal(bi.mods[4].bad, "overlaps another module");
	assert_string_equal(bi.mods[5].bad, "overlaps another module");
	assert_null(bi.mods[6].bad);
	assert_string_equal(bi.mods[7].bad, "is not in RAM");
	assert_non_null(bi.mods[8].bad);
	assert_string_equal(bi.mods[8].args, "");
	assert_logged("modules 5 (over1) and 6 (over2)\n  overlap");
	assert_logged("module 3 (hole) at 0x90000-0xa0000\n  is not in RAM");
	assert_logged("tag of 12 bytes is too short");

	start();
	standard_map();
	for (i = 0; i < BOOT_MAX_MODULES + 2; i++)
		module(0x1000000 + i * 4096, 0x1001000 + i * 4096, i > 63 ? "surplus" : "m");
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.nr_mods, BOOT_MAX_MODULES);
	assert_int_equal(host_logged("(surplus) ignored"), 2);
}

static void test_protect(void **state)
{
	(void)state;
	start();
	standard_map();
	module(0x200000, 0x300000, "low");
	module(0x300000, 0x400000, "high");
	assert_int_equal(finish(), 0);
	boot_protect(&bi, 0x100000, 0x100000, "Margay");
	assert_null(bi.mods[0].bad);
	boot_protect(&bi, 0x100000, 0x100001, "Margay");
	assert_non_null(bi.mods[0].bad);
	assert_null(bi.mods[1].bad);
	assert_logged("(low) at 0x200000-0x300000\n  overlaps Margay");
}

static void test_strings(void **state)
{
	(void)state;
	start();
	standard_map();
	tag(1, "noend", 5);
	assert_int_equal(finish(), 0);
	assert_string_equal(bi.cmdline, "");
	assert_logged("command line is not terminated");
	start();
	standard_map();
	tag(1, "", 0);
	assert_int_equal(finish(), 0);
	assert_string_equal(bi.cmdline, "");
	assert_logged("command line is not terminated");
}

static void test_rsdp(void **state)
{
	u8 v1[20] = "RSD PTR ";

	(void)state;
	start();
	standard_map();
	tag(14, v1, 20);
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.rsdp_size, 20);
	start();
	standard_map();
	tag(14, v1, 19);
	assert_int_equal(finish(), 0);
	assert_null(bi.rsdp);
	assert_logged("RSDP of 19 bytes is too short");
}

static void test_too_many(void **state)
{
	static struct mem_range r[1025], cover[1024];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = (struct mem_range){ i * 0x10000UL, 0x8000, i % 2 ? MEM_NVS : MEM_RAM };
	/*
	 * The parser keeps all that it can read, even if one range covers all and cuts out the
	 * holes.
	 */
	start();
	mmap_of(r, 1024);
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.nr_mem, 1024);
	assert_range(1022, 1022 * 0x10000UL, 0x8000, MEM_RAM);
	for (i = 0; i < 1023; i++)
		cover[i] = (struct mem_range){ i * 0x10000UL, 0x8000, MEM_NVS };
	cover[1023] = (struct mem_range){ 0, 1UL << 40, MEM_RAM };
	start();
	mmap_of(cover, 1024);
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.nr_mem, 2 * 1023);
	assert_false(host_logged("no room for"));

	/*
	 * More entries than the parser can read: one left out might have reserved part of the RAM.
	 */
	start();
	mmap_of(r, 1025);
	assert_int_equal(finish(), -EINVAL);
	assert_logged("more than 1024 entries");

	/*
	 * Empty entries and those beyond the direct map are ignored; entries across its end are
	 * cut.
	 */
	for (i = 0; i < 500; i++) {
		r[i].size = 0;
		r[500 + i].base = DIRECTMAP_SIZE + i;
	}
	r[1024] = (struct mem_range){ DIRECTMAP_SIZE - 0x1000, ~0UL, MEM_RESERVED };
	start();
	mmap_of(r, 1025);
	assert_int_equal(finish(), 0);
	assert_int_equal(bi.nr_mem, 25);
	assert_logged("RAM from 0x400000000000 on is too high");
	assert_range(24, DIRECTMAP_SIZE - 0x1000, 0x1000, MEM_RESERVED);
}

static void screen(u64 base, u32 pitch, u32 width, u32 height, u8 bits, u8 type, u32 len)
{
	u8 body[24] = { 0 };

	start();
	standard_map();
	memcpy(body, &base, 8);
	memcpy(body + 8, &pitch, 4);
	memcpy(body + 12, &width, 4);
	memcpy(body + 16, &height, 4);
	body[20] = bits;
	body[21] = type;
	tag(8, body, len);
	assert_int_equal(finish(), 0);
}

static void test_screen(void **state)
{
	static const struct {
		u64 base;
		u32 pitch, width, height;
		u8 bits, type;
	} bad[] = {
		{ 1UL << 51, 4096, 1024, 768, 32, 1 },
		{ ~0UL, 4096, 1024, 768, 32, 1 },
		{ 1UL << 32, 4095, 1024, 768, 32, 1 },
		{ 1UL << 32, 0, 1024, 768, 32, 1 },
		{ 1UL << 32, ~0U, 1024, 768, 32, 1 },
		{ 1UL << 32, (1U << 20) + 1, 1024, 768, 32, 1 },
		{ 1UL << 32, 4096, 1U << 30, 768, 32, 1 },
		{ 1UL << 32, 4096, 1024, ~0U, 32, 1 },
		{ 1UL << 32, 4096, 0, 768, 32, 1 },
		{ 1UL << 32, 4096, 1024, 0, 32, 1 },
		{ 1UL << 32, 4096, 1024, 768, 33, 1 },
		{ 1UL << 32, 4096, 1024, 768, 8, 1 },
		{ 1UL << 32, 4096, 1024, 768, 0, 1 },
		{ 1UL << 32, 4096, 1024, 768, 32, 0 },
		{ 1UL << 32, 4096, 1024, 768, 32, 3 },
	};

	(void)state;
	screen(1UL << 32, 4096, 1024, 768, 32, 1, 24);
	assert_int_equal(bi.screen.type, SCREEN_RGB);
	assert_int_equal(bi.screen.base, 1UL << 32);
	assert_int_equal(bi.screen.pixel, 4);
	screen(0xe0000000, 2400, 800, 600, 24, 1, 24);
	assert_int_equal(bi.screen.pixel, 3);
	screen(0xb8000, 160, 80, 25, 16, 2, 24);
	assert_int_equal(bi.screen.type, SCREEN_TEXT);
	screen(0xb8000, 160, 80, 25, 16, 2, 23);
	assert_int_equal(bi.screen.type, SCREEN_NONE);
	assert_logged("screen: tag of 31 bytes is too short");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		screen(bad[i].base, bad[i].pitch, bad[i].width, bad[i].height, bad[i].bits,
		       bad[i].type, 24);
		assert_int_equal(bi.screen.type, SCREEN_NONE);
		assert_logged("not used");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	    cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_broken_sizes), cmocka_unit_test(test_no_map),
		cmocka_unit_test(test_modules),      cmocka_unit_test(test_protect),
		cmocka_unit_test(test_strings),      cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_too_many),     cmocka_unit_test(test_screen),
	};
	int failed = cmocka_run_group_tests_name("boot", tests, NULL, NULL);

	free(copy);
	return failed;
}
