/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages and holes of the guest's memory map. Nothing is ever given back. */
#ifndef GUEST_ALLOC_H
#define GUEST_ALLOC_H

#include "hypercall.h"

#define MAX_MAP_ENTRIES	128

/* As XENMEM_memory_map gives it. */
struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

extern unsigned int memory_map_entries;
extern struct hvm_memmap_table_entry memory_map[MAX_MAP_ENTRIES];

/* Take the memory map; the functions below need it. */
void memory_map_init(void);

/* n zeroed, contiguous pages of RAM under 4 GiB; fails the scenario when there are none. */
void *page_alloc(unsigned int n);

/* A RAM page under 640 KiB, for real-mode code. */
void *low_page(void);

/* The address of n contiguous pages where the memory map has nothing: for mappings. */
uintptr_t hole_alloc(unsigned int n);

/* Sum of the RAM entries of the memory map, in bytes. */
uint64_t ram_bytes(void);

/* Is [start, end) all free of RAM and of anything else in the map? */
bool is_hole(uint64_t start, uint64_t end);

#endif
