/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot loader information, independent of the protocol. Filled once on the boot CPU before any
 * allocator exists. The strings and the RSDP copy point into the loader's memory, which must stay
 * reserved while they are used.
 */
#pragma once

#include <margay/types.h>

#define BOOT_MAX_MODULES 128

/* E820 values (ACPI 15.2). Memory that is not listed is a hole. */
enum mem_type {
	MEM_RAM = 1,
	MEM_RESERVED = 2,
	MEM_ACPI = 3,
	MEM_NVS = 4,
	MEM_UNUSABLE = 5,
	MEM_UNCACHED = 0x100,	/* RAM that the MTRRs do not make write-back */
};

struct mem_range {
	paddr_t base;
	u64 size;
	u32 type;
};

struct boot_module {
	paddr_t start;
	u64 size;
	const char *args; /* never NULL */
	const char *bad;  /* why it is unusable (already reported), or NULL */
};

/* The loader's screen. type 0: none that Margay can use. */
struct boot_screen {
	enum { SCREEN_NONE, SCREEN_RGB, SCREEN_TEXT } type;
	paddr_t base;
	u32 pitch, width, height; /* bytes a line; pixels, or characters of SCREEN_TEXT */
	u8 pixel; /* bytes */
};

struct boot_info {
	const char *cmdline; /* never NULL */
	const void *rsdp; /* the loader's copy, or NULL */
	size_t rsdp_size;
	struct mem_range *mem; /* sorted, disjoint, merged */
	unsigned int nr_mem;
	paddr_t ram_end; /* above the last byte of RAM */
	struct boot_module mods[BOOT_MAX_MODULES];
	unsigned int nr_mods;
	struct boot_screen screen;
};

/*
 * Parses a multiboot2 information structure of which `limit` bytes are mapped. Unusable modules
 * stay in the list with `bad` set. -EINVAL: the structure is broken, or has no usable memory map.
 */
int mb2_parse(const void *info, size_t limit, struct boot_info *bi);

/* Marks every module bad that overlaps the range, which belongs to `what`. */
void boot_protect(struct boot_info *bi, paddr_t base, u64 size, const char *what);

/*
 * Sorts `in` (n entries, possibly overlapping) into disjoint merged ranges in `out`. Where ranges
 * overlap, the less usable type wins. Returns the number of ranges; reports and drops those beyond
 * `max`.
 */
unsigned int mem_sanitise(const struct mem_range *in, unsigned int n, struct mem_range *out,
			  unsigned int max);

/* Returns whether [base, base + size) lies within one range of RAM. */
bool mem_is_ram(const struct mem_range *r, unsigned int n, paddr_t base, u64 size);
/* Returns whether any of it is RAM. */
bool mem_has_ram(const struct mem_range *r, unsigned int n, paddr_t base, u64 size);
