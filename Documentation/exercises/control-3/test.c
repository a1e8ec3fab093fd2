/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

#define PAGES (4UL << 18)	/* of the guest's address space */

static uint8_t owner[PAGES];	/* 0: nothing; else the order of the extent, plus 1 */
static uint64_t low, high, calls, taken[19];
static uint64_t refuse_from[19];	/* an order is refused from this many calls on */
static bool refused[19];

static void check_extent(uint64_t gfn, unsigned order)
{
	EXPECT(order == 18 || order == 9 || order == 0, "an extent of order %u", order);
	EXPECT(gfn % (1UL << order) == 0, "an extent of order %u at gfn %#lx", order, gfn);
	EXPECT(gfn >= low && gfn + (1UL << order) <= high,
	       "an extent of order %u at gfn %#lx is outside [%#lx, %#lx)", order, gfn, low, high);
}

bool populate_physmap(uint64_t gfn, unsigned order)
{
	check_extent(gfn, order);
	for (unsigned i = 0; i <= order; i++)
		EXPECT(!refused[i], "order %u is tried after a refusal of order %u", order, i);
	EXPECT(!owner[gfn] && !owner[gfn + (1UL << order) - 1], "gfn %#lx is populated twice", gfn);
	if (calls++ >= refuse_from[order]) {
		refused[order] = true;
		return false;
	}
	memset(owner + gfn, (int)order + 1, 1UL << order);
	taken[order]++;
	return true;
}

void decrease_reservation(uint64_t gfn, unsigned order)
{
	check_extent(gfn, order);
	EXPECT(owner[gfn] == order + 1, "an extent of order %u at gfn %#lx was not taken so", order,
	       gfn);
	memset(owner + gfn, 0, 1UL << order);
	taken[order]--;
}

static uint64_t populated(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		n += owner[i] != 0;
	return n;
}

static int run(uint64_t gfn, uint64_t pages, uint64_t giant, uint64_t large, uint64_t small)
{
	memset(owner, 0, sizeof(owner));
	memset(taken, 0, sizeof(taken));
	memset(refused, 0, sizeof(refused));
	refuse_from[18] = giant;
	refuse_from[9] = large;
	refuse_from[0] = small;
	low = gfn;
	high = gfn + pages;
	calls = 0;
	return populate(gfn, pages);
}

/* How many aligned blocks of an order lie in [from, to). */
static uint64_t blocks(uint64_t from, uint64_t to, unsigned order)
{
	from = (from + (1UL << order) - 1) >> order;
	to >>= order;
	return to > from ? to - from : 0;
}

int main(void)
{
	uint64_t all = ~0UL, giant, large;

	EXPECT(run(0, PAGES, all, all, all) == 0 && taken[18] == 4 && calls == 4,
	       "4 GiB are not four extents");
	EXPECT(run(0, 5 << 17, all, all, all) == 0 && taken[18] == 2 && taken[9] == 256 &&
		       !taken[0],
	       "2.5 GiB are not 2 and 256 extents");
	EXPECT(run(7, 0, all, all, all) == 0 && !calls, "a call for no page");
	for (int i = 0; i < 200; i++) {
		uint64_t gfn = chance() % (PAGES / 2), pages = chance() % (PAGES / 2);

		EXPECT(run(gfn, pages, all, all, all) == 0, "without a refusal it fails");
		EXPECT(populated() == pages, "%lu pages of %lu", populated(), pages);
		giant = blocks(low, high, 18);
		large = blocks(low, high, 9) - giant * 512;
		EXPECT(taken[18] == giant && taken[9] == large,
		       "[%#lx, %#lx): %lu and %lu large extents instead of %lu and %lu", low, high,
		       taken[18], taken[9], giant, large);
	}
	EXPECT(run(0, PAGES, 2, all, all) == 0 && taken[18] == 2 && taken[9] == 1024,
	       "after a refused GiB the rest is not in extents of 2 MiB");
	EXPECT(run(0, PAGES, 0, 0, all) == 0 && taken[0] == PAGES,
	       "no single pages when all else is refused");
	for (int i = 0; i < 100; i++) {
		uint64_t gfn = chance() % 5000, pages = 1 + chance() % (3 << 18),
			 room = chance() % 2000;
		int ret = run(gfn, pages, chance() % 4, chance() % 1000, room);

		EXPECT(ret == 0 || ret == -ENOMEM, "%d", ret);
		EXPECT((ret == -ENOMEM) == refused[0], "%d though a page was %srefused", ret,
		       refused[0] ? "" : "not ");
		EXPECT(populated() == (ret ? 0 : pages), "%d, and %lu pages of %lu stay", ret,
		       populated(), pages);
	}
	return 0;
}
