/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: find the length of ModRM, SIB and displacement in 64-bit code, the hard part of an instruction decoder.
 * SDM volume 2, chapter 2; APM volume 3, chapter 1.
 */
#include <stdint.h>

/* Returns the length in bytes. p points to the ModRM byte, and a SIB byte may be read if there is one. */
static unsigned modrm_length(const uint8_t *p)
{
	unsigned mod = *p >> 6, rm = *p & 7, len = 1;

	if (mod == 3)
		return 1;
	if (rm == 4) {
		len++;
		if (!mod && (p[1] & 7) == 5)
			return len + 4;
	}
	if (mod == 2 || (!mod && rm == 5))
		return len + 4;
	return mod ? len + 1 : len;
}
