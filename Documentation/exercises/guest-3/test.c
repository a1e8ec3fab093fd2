/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static const struct memmap_entry map[] = {
	{ 0, 0x9f000, 1, 0 }, { 0x9f000, 0x1000, 2, 0 }, { 0x100000, 0x1ff00000, 1, 0 },
	{ 0xfee00000, 0x1000, 2, 0 }, { 1UL << 32, 1UL << 30, 1, 0 }, { ~0UL << 12, 0x2000, 1, 0 },
};

static void expect(uint64_t limit, uint64_t wanted)
{
	uint64_t got = ram_below(map, 6, limit);

	EXPECT(got == wanted, "below %#lx there are %#lx bytes, not %#lx", limit, wanted, got);
}

int main(void)
{
	expect(0, 0);
	expect(0x1000, 0x1000);
	expect(0x100000, 0x9f000);
	expect(0x200000, 0x19f000);
	expect(1UL << 32, 0x9f000 + 0x1ff00000);
	expect((1UL << 32) + 5, 0x9f000 + 0x1ff00000 + 5);
	expect(1UL << 40, 0x9f000 + 0x1ff00000 + (1UL << 30));
	expect(~0UL, 0x9f000 + 0x1ff00000 + (1UL << 30) + 0xfff);
	EXPECT(ram_below(map, 0, ~0UL) == 0, "a map without entries has no RAM");
	return 0;
}
