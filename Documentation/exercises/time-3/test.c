/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static void check(uint64_t hz)
{
	uint32_t mul = 0;
	int8_t shift = 0;
	unsigned __int128 ticks = (unsigned __int128)hz * 1000, ns, wrong;	/* 1000 s */

	scale_of(hz, &mul, &shift);
	EXPECT(shift > -32 && shift < 32, "%lu Hz: a shift by %d", hz, shift);
	ns = (shift < 0 ? ticks >> -shift : ticks << shift) * mul >> 32;
	wrong = ns > 1000000000000UL ? ns - 1000000000000UL : 1000000000000UL - ns;
	EXPECT(wrong <= 1100, "%lu Hz: after 1000 s the clock is wrong by %lu ns", hz,
	       (uint64_t)wrong);
}

int main(void)
{
	static const uint64_t rates[] = { 1000000,     1193182,    24000000,   999999999,
					  1000000001,  1999999999, 2000000001, 2100000000,
					  2300034000,  3999999999, 5700000000, 99999999999,
					  100000000000 };

	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		check(rates[i]);
	for (int round = 0; round < 100000; round++)
		check(1000000 + chance() % 99999000000UL);
	return 0;
}
