/* SPDX-License-Identifier: BSD-2-Clause */
/* See alloc.h. Physical and virtual addresses are equal: the low 4 GiB are identity-mapped. */
#include "alloc.h"
#include "hypercall.h"
#include "string.h"
#include "test.h"

#define LOW_MEMORY_END	0xa0000ul
#define HOLE_LIMIT	0xe0000000ul	/* above: LAPIC, firmware, Xen's special pages */

extern uint8_t image_start[], image_end[];

unsigned int memory_map_entries;
struct hvm_memmap_table_entry memory_map[MAX_MAP_ENTRIES];

/*
 * A version 0 start info, such as that of Xen's initial domain, has no memory map. The hypercall
 * returns one in BIOS E820 format.
 */
void memory_map_init(void)
{
	const struct hvm_memmap_table_entry *given = (const void *)start_info->memmap_paddr;
	static struct e820_entry e820[MAX_MAP_ENTRIES];
	struct xen_memory_map arg = { .nr_entries = MAX_MAP_ENTRIES };

	if (start_info->version >= 1 && start_info->memmap_entries) {
		memory_map_entries = start_info->memmap_entries;
		CHECK(memory_map_entries <= MAX_MAP_ENTRIES, "%u memory map entries",
		      memory_map_entries);
		memcpy(memory_map, given, memory_map_entries * sizeof(*given));
		return;
	}
	set_xen_guest_handle(arg.buffer, e820);
	CHECK_RET(memory_op(XENMEM_memory_map, &arg), 0);
	memory_map_entries = arg.nr_entries;
	for (unsigned int i = 0; i < arg.nr_entries; i++)
		memory_map[i] = (struct hvm_memmap_table_entry){
			.addr = e820[i].addr, .size = e820[i].size, .type = e820[i].type,
		};
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a_end;
}

/* Returns whether the range overlaps the image or anything that the start info points to. */
static bool in_use(uint64_t a, uint64_t end)
{
	const struct hvm_modlist_entry *mod = (const void *)start_info->modlist_paddr;

	for (unsigned int i = 0; i < start_info->nr_modules; i++)
		if (overlap(a, end, mod[i].paddr, mod[i].size) ||
		    (mod[i].cmdline_paddr && overlap(a, end, mod[i].cmdline_paddr, PAGE_SIZE)))
			return true;
	return overlap(a, end, (uintptr_t)image_start, (uint64_t)(image_end - image_start)) ||
	       overlap(a, end, (uintptr_t)start_info, sizeof(*start_info)) ||
	       overlap(a, end, (uintptr_t)mod, start_info->nr_modules * sizeof(*mod)) ||
	       overlap(a, end, (uintptr_t)cmdline(), strlen(cmdline()) + 1) ||
	       (start_info->version >= 1 &&
		overlap(a, end, start_info->memmap_paddr,
			start_info->memmap_entries * sizeof(struct hvm_memmap_table_entry)));
}

static bool is_ram(uint64_t a, uint64_t end)
{
	for (unsigned int i = 0; i < memory_map_entries; i++) {
		const struct hvm_memmap_table_entry *e = &memory_map[i];

		if (e->type == XEN_HVM_MEMMAP_TYPE_RAM && a >= e->addr && end <= e->addr + e->size)
			return true;
	}
	return false;
}

bool is_hole(uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < memory_map_entries; i++)
		if (overlap(start, end, memory_map[i].addr, memory_map[i].size))
			return false;
	return true;
}

uint64_t ram_bytes(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < memory_map_entries; i++)
		if (memory_map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
			sum += memory_map[i].size;
	return sum;
}

void *page_alloc(unsigned int n)
{
	static uint64_t next;
	uint64_t end;

	if (!next)
		next = (uintptr_t)image_end;
	for (; next < HOLE_LIMIT; next += PAGE_SIZE) {
		end = next + n * PAGE_SIZE;
		if (!is_ram(next, end) || in_use(next, end))
			continue;
		next = end;
		return memset((void *)(end - n * PAGE_SIZE), 0, n * PAGE_SIZE);
	}
	fail("out of memory: no %u free pages", n);
}

void *low_page(void)
{
	for (uint64_t a = 0x8000; a < LOW_MEMORY_END; a += PAGE_SIZE)
		if (is_ram(a, a + PAGE_SIZE) && !in_use(a, a + PAGE_SIZE))
			return (void *)a;
	fail("no free RAM page under 640 KiB");
}

uintptr_t hole_alloc(unsigned int n)
{
	static uint64_t next;
	uint64_t end;

	if (!next)
		next = (uintptr_t)image_end;
	for (; next < HOLE_LIMIT; next += PAGE_SIZE) {
		end = next + n * PAGE_SIZE;
		if (!is_hole(next, end))
			continue;
		next = end;
		return end - n * PAGE_SIZE;
	}
	fail("no hole of %u pages in the memory map", n);
}
