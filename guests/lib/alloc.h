/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocates pages and holes of the guest's memory map. Nothing is ever freed. */
#ifndef GUEST_ALLOC_H
#define GUEST_ALLOC_H

#include "hypercall.h"

#define MAX_MAP_ENTRIES	128

/* The format of XENMEM_memory_map. */
struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

extern unsigned int memory_map_entries;
extern struct hvm_memmap_table_entry memory_map[MAX_MAP_ENTRIES];

/* Reads the memory map. Must be called before the functions below. */
void memory_map_init(void);

/* Returns n zeroed, contiguous pages of RAM below 4 GiB. Fails the scenario if there are none. */
void *page_alloc(unsigned int n);

/* Returns a RAM page below 640 KiB, for real-mode code. */
void *low_page(void);

/* Returns the address of n contiguous pages without any entry in the memory map, for mappings. */
uintptr_t hole_alloc(unsigned int n);

/* Returns the sum of the RAM entries of the memory map, in bytes. */
uint64_t ram_bytes(void);

/* Returns whether [start, end) overlaps no entry of the memory map. */
bool is_hole(uint64_t start, uint64_t end);

#endif
