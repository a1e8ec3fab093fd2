/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static uint64_t memory[6][512];

static void expect(uint64_t va, bool mapped, uint64_t wanted)
{
	uint64_t pa = 0;
	bool got = walk((const uint64_t(*)[512])memory, 6, 0x1000, va, &pa);

	EXPECT(got == mapped, "%#lx is %smapped", va, mapped ? "" : "not ");
	EXPECT(!mapped || pa == wanted, "%#lx is at %#lx, not at %#lx", va, wanted, pa);
}

int main(void)
{
	memory[1][0] = 0x2000 | 7;			/* PML4 */
	memory[1][511] = 0x2000 | 0x80 | 1UL << 63 | 7;	/* bit 7 means nothing here */
	memory[1][5] = 0x99000 | 7;			/* outside of memory */
	memory[1][6] = 0x3000;				/* not present */
	memory[2][0] = 0x3000 | 7;			/* PDPT */
	memory[2][3] = 0x80000000 | 0x87;		/* a page of 1 GiB */
	memory[2][4] = 0x80000000 | 0x1087;		/* its PAT bit is not an address */
	memory[3][0] = 0x4000 | 7;			/* PD */
	memory[3][1] = 0x40200000 | 0x87 | 1UL << 63;	/* a page of 2 MiB */
	memory[4][0] = 0x12345000 | 7;			/* PT */
	memory[4][7] = 0xfffffff000 | 0x87;		/* bit 7 is PAT here */
	expect(0x123, true, 0x12345123);
	expect(0x7abc, true, 0xfffffffabc);
	expect(0x1000, false, 0);
	expect(0x200000, true, 0x40200000);
	expect(0x3fffff, true, 0x403fffff);
	expect(0xc0000000, true, 0x80000000);
	expect(0xffffffff, true, 0xbfffffff);
	expect(0x100000005, true, 0x80000005);
	expect(5UL << 39, false, 0);
	expect(6UL << 39, false, 0);
	expect(0xffffff8000000123, true, 0x12345123);
	expect(0x0000ff8000000123, false, 0);		/* not canonical */
	expect(0x1000000000123, false, 0);
	return 0;
}
