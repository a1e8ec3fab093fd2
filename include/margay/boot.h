/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader told us, in one form whatever the protocol. Filled once on the boot CPU
 * before any allocator exists; the strings and the RSDP copy point into the loader's memory, which
 * must be kept (or copied) as long as they are used.
 */
#ifndef MARGAY_BOOT_H
#define MARGAY_BOOT_H

#include <margay/types.h>

#define BOOT_MAX_MODULES 64

/* Values are those of E820 (ACPI 15.2); whatever is not listed is a hole. */
enum mem_type {
	MEM_RAM = 1,
	MEM_RESERVED = 2,
	MEM_ACPI = 3,
	MEM_NVS = 4,
	MEM_UNUSABLE = 5,
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
	const char *bad;  /* why it must not be used (already reported), or NULL */
};

struct boot_info {
	const char *cmdline; /* never NULL */
	const void *rsdp; /* the loader's copy, or NULL */
	size_t rsdp_size;
	struct mem_range *mem; /* sorted, disjoint, merged; until the first guest starts */
	unsigned int nr_mem;
	struct boot_module mods[BOOT_MAX_MODULES];
	unsigned int nr_mods;
};

/*
 * Read a multiboot2 information structure of which `limit` bytes are mapped. Unusable modules
 * stay in the list with `bad` set. -EINVAL: the structure itself is broken, or has no memory map that can
 * be used.
 */
int mb2_parse(const void *info, size_t limit, struct boot_info *bi);

/* Mark as bad every module that overlaps the range, which belongs to `what`. */
void boot_protect(struct boot_info *bi, paddr_t base, u64 size, const char *what);

/*
 * Sort `in` (n entries, may overlap; where they do, the less usable type wins) into disjoint merged
 * ranges in `out`. Returns their number; what does not fit in `max` is dropped and reported.
 */
unsigned int mem_sanitise(const struct mem_range *in, unsigned int n, struct mem_range *out,
			  unsigned int max);

/* Is [base, base + size) within one range of RAM? */
bool mem_is_ram(const struct mem_range *r, unsigned int n, paddr_t base, u64 size);

#endif
