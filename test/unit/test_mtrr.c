/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory types by MTRRs: tables as firmware sets them, overlaps, and random tables against a check
 * of each page by itself.
 * unit-sources: arch/x86/mm/mtrr.c
 */
#include "host.h"

#include <margay/lib.h>
#include <margay/mm.h>
#include <x86/mtrr.h>

#define ON (MTRR_DEF_ON | MTRR_DEF_FIXED)
#define MIB (1UL << 20)
#define GIB (1UL << 30)

static struct mtrrs m;

static void start(u64 def)
{
	memset(&m, 0, sizeof(m));
	m.nr_regs = MTRR_FIXED;
	m.def = def;
	m.phys_bits = 40;
}

static void range(u8 type, u64 base, u64 size)
{
	m.regs[m.nr_regs++] = base | type;
	m.regs[m.nr_regs++] = ((1UL << 40) - size) | MTRR_MASK_VALID;
}

static void check(paddr_t at, u64 len, u8 type, u64 part)
{
	u64 n = len;
	u8 t = mtrr_type(&m, at, &n);

	if (t != type || n != part)
		fail_msg("%#lx+%#lx: type %u for %#lx, not %u for %#lx", at, len, t, n, type, part);
}

static void test_default(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	check(0, 64 * GIB, MEMTYPE_WB, 64 * GIB);	/* the CPU has none */
	start(MEMTYPE_WB);
	range(MEMTYPE_WB, 0, GIB);
	check(0, GIB, MEMTYPE_UC, GIB);			/* off */
	start(ON | MEMTYPE_WB);
	check(MIB, GIB, MEMTYPE_WB, GIB);
	check((1UL << 46) - PAGE_SIZE, PAGE_SIZE, MEMTYPE_WB, PAGE_SIZE);
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, 2 * GIB);
	check(MIB, 3 * GIB, MEMTYPE_WB, 2 * GIB - MIB);
	check(2 * GIB, GIB, MEMTYPE_UC, GIB);
	m.regs[m.nr_regs - 1] &= ~MTRR_MASK_VALID;
	check(MIB, 3 * GIB, MEMTYPE_UC, 3 * GIB);
}

static void test_overlaps(void **state)
{
	(void)state;
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, 4 * GIB);
	range(MEMTYPE_UC, 3 * GIB, GIB);
	range(MEMTYPE_WT, GIB, 16 * MIB);
	range(MEMTYPE_WC, GIB + 8 * MIB, 8 * MIB);
	check(MIB, 4 * GIB, MEMTYPE_WB, GIB - MIB);
	check(GIB, GIB, MEMTYPE_WT, 8 * MIB);
	check(GIB + 8 * MIB, GIB, MEMTYPE_UC, 8 * MIB);	/* undefined: the safe type */
	check(GIB + 16 * MIB, 4 * GIB, MEMTYPE_WB, 2 * GIB - 16 * MIB);
	check(3 * GIB, 4 * GIB, MEMTYPE_UC, 4 * GIB);
	/* A range that cuts a large page. */
	start(ON | MEMTYPE_WB);
	range(MEMTYPE_UC, 33 * MIB, MIB);
	check(32 * MIB, 2 * MIB, MEMTYPE_WB, MIB);
	check(33 * MIB, 2 * MIB, MEMTYPE_UC, MIB);
	check(34 * MIB, 2 * MIB, MEMTYPE_WB, 2 * MIB);
	/* The order does not matter. */
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WT, GIB, GIB);
	range(MEMTYPE_WB, GIB, GIB);
	check(GIB, GIB, MEMTYPE_WT, GIB);
}

static void test_fixed(void **state)
{
	(void)state;
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, GIB);
	m.regs[0] = m.regs[1] = 0x0606060606060606;
	m.regs[3] = 0x0505050505050505;			/* 0xc0000 */
	m.regs[10] = 0x0606060600000000;		/* 0xf8000: its upper half is WB */
	check(0, GIB, MEMTYPE_WB, 0xa0000);
	check(0x9f000, GIB, MEMTYPE_WB, 0x1000);
	check(0xa0000, GIB, MEMTYPE_UC, 0x20000);
	check(0xc0000, GIB, MEMTYPE_WP, 0x8000);
	check(0xc8000, GIB, MEMTYPE_UC, 0xfc000 - 0xc8000);
	check(0xfc000, GIB, MEMTYPE_WB, GIB - 0xfc000 < GIB ? GIB - 0xfc000 : GIB);
	m.def &= ~MTRR_DEF_FIXED;
	check(0, GIB, MEMTYPE_WB, GIB);
}

/* AMD: RAM above 4 GiB is write-back without a range. */
static void test_top_mem2(void **state)
{
	(void)state;
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, 2 * GIB);
	m.wb_top = 6 * GIB;
	check(2 * GIB, 8 * GIB, MEMTYPE_UC, 2 * GIB);
	check(4 * GIB, 8 * GIB, MEMTYPE_WB, 2 * GIB);
	check(6 * GIB, 8 * GIB, MEMTYPE_UC, 8 * GIB);
	range(MEMTYPE_UC, 5 * GIB, GIB);
	check(4 * GIB, 8 * GIB, MEMTYPE_WB, GIB);
}

/* A mask of 36 bits on a CPU with 40: the range repeats. */
static void test_short_mask(void **state)
{
	(void)state;
	start(ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, 4 * GIB);
	m.regs[MTRR_FIXED + 1] &= (1UL << 36) - 1;
	check(MIB, 1UL << 39, MEMTYPE_WB, 4 * GIB - MIB);
	check(4 * GIB, 1UL << 39, MEMTYPE_UC, 60 * GIB);
	check(64 * GIB, 1UL << 39, MEMTYPE_WB, 4 * GIB);
}

/* One page, written from the manual's words. */
static u8 page_type(paddr_t at)
{
	bool uc = false, wt = false, wb = false, other = false, any = false;
	unsigned found = 0;

	for (unsigned i = MTRR_FIXED; i < m.nr_regs; i += 2) {
		u64 mask = m.regs[i + 1] >> 12 << 12;

		if (!(m.regs[i + 1] & MTRR_MASK_VALID) || ((m.regs[i] ^ at) & mask) >> 12)
			continue;
		any = true;
		found |= 1U << (m.regs[i] & 7);
	}
	uc = found & 1;
	wt = found & 1 << MEMTYPE_WT;
	wb = found & 1 << MEMTYPE_WB;
	other = found & (1 << MEMTYPE_WC | 1 << MEMTYPE_WP);
	if (!any)
		return at >= 4 * GIB && at < m.wb_top ? MEMTYPE_WB : m.def & 7;
	if (uc || (other && (found & (found - 1))))
		return MEMTYPE_UC;
	if (other)
		return found & 1 << MEMTYPE_WC ? MEMTYPE_WC : MEMTYPE_WP;
	return wt ? MEMTYPE_WT : wb ? MEMTYPE_WB : MEMTYPE_UC;
}

static void test_random(void **state)
{
	static const u8 types[] = { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_WT, MEMTYPE_WP, MEMTYPE_WB };

	(void)state;
	srand(12);
	for (unsigned round = 0; round < 400; round++) {
		u64 base = round & 1 ? 4 * GIB - MIB : MIB, end = base + 2 * MIB, at, len;

		start(MTRR_DEF_ON | types[rand() % 5]);
		m.wb_top = rand() & 1 ? 4 * GIB + MIB / 2 : 0;
		for (int i = rand() % 6; i; i--) {
			u64 size = PAGE_SIZE << rand() % 10;

			range(types[rand() % 5],
			      base + (u64)(rand() % 512) * PAGE_SIZE / size * size, size);
			if (rand() % 8 == 0)		/* a hole in the mask */
				m.regs[m.nr_regs - 1] &= ~(PAGE_SIZE << rand() % 20);
		}
		for (at = base; at < end; at += len) {
			u8 type;

			len = end - at;
			type = mtrr_type(&m, at, &len);
			assert_true(len && !(len & (PAGE_SIZE - 1)) && len <= end - at);
			for (u64 p = at; p < at + len; p += PAGE_SIZE)
				assert_int_equal(page_type(p), type);
			if (at + len < end)
				assert_int_not_equal(page_type(at + len), type);
		}
	}
}

static void test_uncached_ram(void **state)
{
	const struct mem_range mem[] = { { 0, 0x9f000, MEM_RAM }, { MIB, GIB, MEM_RAM },
					 { 3 * GIB, GIB, MEM_RESERVED },
					 { 4 * GIB, GIB, MEM_RAM } };
	struct mem_range out[8];

	(void)state;
	start(MTRR_DEF_ON | MEMTYPE_UC);
	range(MEMTYPE_WB, 0, GIB);
	range(MEMTYPE_WT, 4 * GIB, GIB);
	mtrrs = m;
	host_log_clear();
	assert_int_equal(mtrr_uncached_ram(mem, 4, out, 8), 2);
	assert_int_equal(out[0].base, GIB);
	assert_int_equal(out[0].size, MIB);
	assert_int_equal(out[0].type, MEM_UNCACHED);
	assert_int_equal(out[1].base, 4 * GIB);
	assert_logged("RAM at 0x40000000-0x40100000 is UC in the MTRRs");
	assert_logged("RAM at 0x100000000-0x140000000 is WT in the MTRRs");
	assert_int_equal(mtrr_uncached_ram(mem, 4, out, 1), 1);
	mtrrs.nr_regs = 0;
	assert_int_equal(mtrr_uncached_ram(mem, 4, out, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),	     cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_fixed),	     cmocka_unit_test(test_top_mem2),
		cmocka_unit_test(test_short_mask),   cmocka_unit_test(test_random),
		cmocka_unit_test(test_uncached_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
