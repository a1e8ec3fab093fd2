/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: translate a device's address as VT-d does in legacy mode. VT-d 4.1: 9.1 (root entry), 9.3 (context entry),
 * 9.8 (second-stage entries), 3.7. Memory is an array of pages: the page at the physical address a is memory[a / 4096],
 * and there are nr of them.
 */
#include <stdbool.h>
#include <stdint.h>

#define PRESENT 1UL		/* of a root and a context entry, each of two words */
#define READ 1UL		/* of the other tables' entries */
#define WRITE 2UL
#define LARGE (1UL << 7)
#define ADDR 0x000ffffffffff000UL

/*
 * Translates the address of a request with the source id `source` (bus, device, function) by the root table at `root`.
 * A context entry's second word says in bits 2:0 how many levels its tables have: 1: three, 2: four; with others the
 * entry is bad. Returns false if the request is blocked, or if a table lies outside of memory.
 */
static bool translate(const uint64_t (*memory)[512], uint64_t nr, uint64_t root, uint16_t source,
		      uint64_t address, bool write, uint64_t *pa)
{
	(void)memory, (void)nr, (void)root, (void)source, (void)address, (void)write, (void)pa;
	return false;
}
