/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: find the length of ModRM, SIB and displacement in 64-bit code, the hard part of an instruction decoder.
 * SDM volume 2, chapter 2; APM volume 3, chapter 1.
 */
#include <stdint.h>

/* Returns the length in bytes. p points to the ModRM byte, and a SIB byte may be read if there is one. */
static unsigned modrm_length(const uint8_t *p)
{
	(void)p;
	return 1;
}
