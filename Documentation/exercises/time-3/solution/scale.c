/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: find the multiplier and the shift by which a guest turns ticks of its TSC into nanoseconds:
 * ns = (shift < 0 ? ticks >> -shift : ticks << shift) * mul >> 32.
 */
#include <stdint.h>

/* hz is from 1 MHz to 100 GHz. The result is exact to one part in 10^9: use all 32 bits of the multiplier. */
static void scale_of(uint64_t hz, uint32_t *mul, int8_t *shift)
{
	uint64_t ns = 1000000000;

	*shift = 0;
	while (ns < hz) {		/* ns / hz below 1 ... */
		ns <<= 1;
		--*shift;
	}
	while (ns >= 2 * hz) {
		hz <<= 1;
		++*shift;
	}
	if (ns >= hz) {			/* ... but not below a half */
		hz <<= 1;
		++*shift;
	}
	*mul = (uint32_t)((((unsigned __int128)ns << 32) + hz / 2) / hz);
}
