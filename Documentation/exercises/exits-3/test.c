/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

/* Lengths as an assembler makes them, in the words of the manuals' tables. */
static unsigned right(unsigned mod, unsigned rm, unsigned base)
{
	static const unsigned displacement[] = { 0, 1, 4, 0 };
	unsigned len = 1 + displacement[mod];

	if (mod != 3 && rm == 4)
		len += base == 5 && mod == 0 ? 5 : 1;
	if (mod == 0 && rm == 5)
		len += 4;
	return len;
}

int main(void)
{
	for (unsigned modrm = 0; modrm < 256; modrm++)
		for (unsigned sib = 0; sib < 256; sib++) {
			bool has_sib = modrm >> 6 != 3 && (modrm & 7) == 4;
			uint8_t *p = malloc(1 + has_sib);
			unsigned got, wanted = right(modrm >> 6, modrm & 7, sib & 7);

			p[0] = (uint8_t)modrm;
			if (has_sib)
				p[1] = (uint8_t)sib;
			got = modrm_length(p);
			EXPECT(got == wanted, "ModRM %#x, SIB %#x: %u bytes, not %u", modrm, sib,
			       wanted, got);
			free(p);
		}
	return 0;
}
