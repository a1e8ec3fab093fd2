/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stdint.h>

#define PRESENT 1UL		/* of a root and a context entry, each of two words */
#define READ 1UL		/* of the other tables' entries */
#define WRITE 2UL
#define LARGE (1UL << 7)
#define ADDR 0x000ffffffffff000UL

static bool translate(const uint64_t (*memory)[512], uint64_t nr, uint64_t root, uint16_t source,
		      uint64_t address, bool write, uint64_t *pa)
{
	uint64_t entry, size, need = write ? WRITE : READ, page = root / 4096;
	unsigned int levels;

	if (page >= nr)
		return false;
	entry = memory[page][source / 256 * 2];
	page = (entry & ADDR) / 4096;
	if (!(entry & PRESENT) || page >= nr)
		return false;
	entry = memory[page][source % 256 * 2];
	levels = (memory[page][source % 256 * 2 + 1] & 7) + 2;
	if (!(entry & PRESENT) || (levels != 3 && levels != 4) || address >> (12 + 9 * levels))
		return false;
	while (levels--) {
		page = (entry & ADDR) / 4096;
		if (page >= nr)
			return false;
		entry = memory[page][address >> (12 + 9 * levels) & 511];
		if (!(entry & need))
			return false;
		if (!levels || (levels < 3 && (entry & LARGE)))
			break;
	}
	size = 1UL << (12 + 9 * levels);
	*pa = (entry & ADDR & -size) | (address & (size - 1));
	return true;
}
