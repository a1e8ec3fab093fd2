/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: walk page tables as the processor does. SDM 3A 4.5. Memory is an array of pages: the page at the physical
 * address a is memory[a / 4096], and there are nr of them.
 */
#include <stdbool.h>
#include <stdint.h>

#define PTE_P 1UL
#define PTE_LARGE (1UL << 7)
#define PTE_ADDR 0x000ffffffffff000UL

/*
 * Translates the linear address va, which is canonical or not, by the tables whose root (CR3) is at `root`. Returns
 * false if it is not mapped, or if a table lies outside of memory; what it maps to may lie anywhere.
 */
static bool walk(const uint64_t (*memory)[512], uint64_t nr, uint64_t root, uint64_t va,
		 uint64_t *pa)
{
	if ((int64_t)(va << 16) >> 16 != (int64_t)va)
		return false;
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t entry, mask = (1UL << shift) - 1;

		if (root >> 12 >= nr)
			return false;
		entry = memory[root >> 12][va >> shift & 511];
		if (!(entry & PTE_P))
			return false;
		if (shift == 12 || (shift < 39 && entry & PTE_LARGE)) {
			*pa = (entry & PTE_ADDR & ~mask) | (va & mask);
			return true;
		}
		root = entry & PTE_ADDR;
	}
	return false;
}
