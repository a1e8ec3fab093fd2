/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static uint64_t memory[8][512];

static void expect(uint16_t source, uint64_t address, bool write, bool passes, uint64_t wanted)
{
	uint64_t pa = 0;
	bool got =
		translate((const uint64_t(*)[512])memory, 8, 0x1000, source, address, write, &pa);

	EXPECT(got == passes, "a %s of %#lx by %#x is %spassed", write ? "write" : "read", address,
	       source, passes ? "not " : "");
	EXPECT(!passes || pa == wanted, "%#lx of %#x is at %#lx, not at %#lx", address, source,
	       wanted, pa);
}

int main(void)
{
	memory[1][2 * 1] = 0x2000 | 1;			/* root: bus 1 */
	memory[1][2 * 2] = 0x99000 | 1;			/* bus 2: outside of memory */
	memory[1][2 * 3] = 0x2000;			/* bus 3: not present */
	memory[2][2 * 0x28] = 0x3000 | 1;		/* 01:05.0: four levels */
	memory[2][2 * 0x28 + 1] = 2 | 7 << 8;
	memory[2][2 * 0x29] = 0x4000 | 1;		/* 01:05.1: three levels */
	memory[2][2 * 0x29 + 1] = 1 | 7 << 8;
	memory[2][2 * 0x2a] = 0x4000 | 1;		/* 01:05.2: bad number of levels */
	memory[2][2 * 0x2a + 1] = 3;
	memory[2][2 * 0x2b] = 0x3000;			/* 01:05.3: not present */
	memory[2][2 * 0x2b + 1] = 2;
	memory[3][0] = 0x4000 | 3;
	memory[3][1] = 0x4000 | 1;			/* read-only below */
	memory[3][2] = 0x4000 | 0x80 | 3;		/* bit 7 means nothing here */
	memory[4][0] = 0x5000 | 3;
	memory[4][1] = 0x80000000 | 0x83;		/* 1 GiB */
	memory[4][2] = 0x99000 | 3;			/* outside of memory */
	memory[5][0] = 0x6000 | 3;
	memory[5][1] = 0x40200000 | 0x81;		/* 2 MiB, read-only */
	memory[6][3] = 0x12345000 | 3;
	memory[6][4] = 0x12346000 | 2;			/* write-only */
	memory[6][5] = 0x12347000 | 0x81;		/* bit 7 means nothing here */
	for (unsigned int fn = 0; fn < 2; fn++) {
		expect(0x128 + fn, 0x3abc, false, true, 0x12345abc);
		expect(0x128 + fn, 0x3abc, true, true, 0x12345abc);
		expect(0x128 + fn, 0x4000, false, false, 0);
		expect(0x128 + fn, 0x4000, true, true, 0x12346000);
		expect(0x128 + fn, 0x5fff, false, true, 0x12347fff);
		expect(0x128 + fn, 0x5fff, true, false, 0);
		expect(0x128 + fn, 0x6000, false, false, 0);
		expect(0x128 + fn, 0x212345, false, true, 0x40212345);
		expect(0x128 + fn, 0x212345, true, false, 0);
		expect(0x128 + fn, 0x7fffffff, true, true, 0xbfffffff);
		expect(0x128 + fn, 0x80000000, false, false, 0);
	}
	expect(0x128, 0x8000003000, false, true, 0x12345000);
	expect(0x128, 0x8000003000, true, false, 0);
	expect(0x128, 0x10000003000, false, true, 0x12345000);
	expect(0x128, 0x1000000003000, false, false, 0);	/* more than 48 bits */
	expect(0x129, 0x8000003000, false, false, 0);		/* more than 39 */
	expect(0x12a, 0x3000, false, false, 0);
	expect(0x12b, 0x3000, false, false, 0);
	expect(0x12c, 0x3000, false, false, 0);
	expect(0x028, 0x3000, false, false, 0);
	expect(0x228, 0x3000, false, false, 0);
	expect(0x328, 0x3000, false, false, 0);
	return 0;
}
