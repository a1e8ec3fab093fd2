/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: string I/O with the most work per element: each walks four page tables, which lie with
 * the pages in different chunks of RAM, so that Margay looks each of them up. `make hold-times`
 * measures it in a debug build of Margay.
 */
#include "guest.h"

#define PRESENT_RW_USER 0x7ul
#define ELEMENTS 4096ul

static uint64_t *table(uintptr_t at)
{
	memset((void *)at, 0, PAGE_SIZE);
	return (uint64_t *)at;
}

int main(void)
{
	uintptr_t step = cmdline_number("step", 2) << 20, base = 16ul << 20;
	uint64_t *pml4 = (uint64_t *)read_cr3(), *l3, *l2, *l1, n = ELEMENTS;
	const char *start = (const char *)(255ul << 39), *p;

	memory_map_init();
	l3 = table(base);
	l2 = table(base + step);
	l1 = table(base + 2 * step);
	pml4[255] = (uintptr_t)l3 | PRESENT_RW_USER;
	l3[0] = (uintptr_t)l2 | PRESENT_RW_USER;
	l2[0] = (uintptr_t)l1 | PRESENT_RW_USER;
	for (unsigned int i = 0; i < 512; i++)
		l1[i] = (base + (3 + i % 2) * step) | PRESENT_RW_USER;
	p = start + 1;
	asm volatile("rep outsl" : "+S"(p), "+c"(n) : "d"(0x80) : "memory");
	CHECK(p == start + 1 + 4 * ELEMENTS && !n, "%p, %lu left", p, n);
	pass();
}
