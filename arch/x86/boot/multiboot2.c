/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the multiboot2 information (multiboot2 specification, section 3.6) into struct boot_info.
 * The loader's lengths are not trusted: every tag is checked against the structure.
 */
#include <margay/boot.h>
#include <margay/bytes.h>
#include <margay/errno.h>
#include <margay/mm.h>
#include <x86/mtrr.h>

enum mb2_tag {
	MB2_TAG_END = 0,
	MB2_TAG_CMDLINE = 1,
	MB2_TAG_MODULE = 3,
	MB2_TAG_MMAP = 6,
	MB2_TAG_FRAMEBUFFER = 8,
	MB2_TAG_ACPI_OLD = 14,
	MB2_TAG_ACPI_NEW = 15,
};

#define MB2_INFO_HEADER 8	/* total size, reserved */
#define MB2_TAG_HEADER 8	/* type, size */
#define MB2_MMAP_HEADER 16	/* tag header, entry size, version */
#define MB2_MMAP_ENTRY 24	/* base, length, type, reserved */
#define MB2_MODULE_HEADER 16	/* tag header, start, end */
#define SCREEN_TOP (1UL << 51)
#define MB2_SCREEN_SIZE 32	/* without the colours */
#define RSDP_V1_SIZE 20

#define MAX_MAP 1024

/* The loader's map, and the sorted map without overlaps: n ranges become at most 2 * n - 1. */
static struct mem_range raw_map[MAX_MAP] __initdata;
static struct mem_range sorted_map[2 * MAX_MAP] __initdata;
static unsigned int nr_raw __initdata;

static int __init read_map(const u8 *tag, u32 size)
{
	u32 step = size < MB2_MMAP_HEADER ? 0 : get_u32(tag + 8);

	if (step < MB2_MMAP_ENTRY) {
		pr_err("multiboot2: memory map: entry size %u is wrong\n", step);
		return -EINVAL;
	}
	for (u32 at = MB2_MMAP_HEADER; size - at >= step; at += step) {
		u64 base = get_u64(tag + at), len = get_u64(tag + at + 8);
		u32 type = get_u32(tag + at + 16);
		u64 most = DIRECTMAP_SIZE - min(base, DIRECTMAP_SIZE);

		if (len > most && type == MEM_RAM)
			pr_warn("memory map: RAM from 0x%lx on is too high: not used\n",
				base + most);
		if (!len || base >= DIRECTMAP_SIZE)
			continue;
		/* A dropped entry could be a reservation inside RAM. */
		if (nr_raw == MAX_MAP) {
			pr_err("multiboot2: memory map: more than %u entries\n", MAX_MAP);
			return -EINVAL;
		}
		raw_map[nr_raw++] = (struct mem_range){ base, min(len, most), type };
	}
	return 0;
}

/* Returns the string at the end of a tag, or NULL if it is not terminated within the tag. */
static const char *__init tag_string(const u8 *tag, u32 size, u32 offset)
{
	return memchr(tag + offset, 0, size - offset) ? (const char *)tag + offset : NULL;
}

static void __init add_module(struct boot_info *bi, const u8 *tag, u32 size)
{
	struct boot_module *m = &bi->mods[bi->nr_mods];
	const char *args;
	u32 start, end;

	if (size <= MB2_MODULE_HEADER) {
		pr_err("multiboot2: module %u: tag of %u bytes is too short, ignored\n",
		       bi->nr_mods + 1, size);
		return;
	}
	args = tag_string(tag, size, MB2_MODULE_HEADER);
	if (bi->nr_mods == BOOT_MAX_MODULES) {
		pr_err("multiboot2: more than %u modules, (%.*s) ignored\n", BOOT_MAX_MODULES, 32,
		       args ? args : "");
		return;
	}
	start = get_u32(tag + 8);
	end = get_u32(tag + 12);
	*m = (struct boot_module){.start = start, .args = args ? args : ""};
	if (!args)
		m->bad = "its string is not terminated";
	else if (end <= start)
		m->bad = end == start ? "is empty" : "ends before it starts";
	else
		m->size = end - start;
	if (m->bad)
		pr_err("module %u (%.*s) at %#x-%#x\n  %s, not used\n", bi->nr_mods + 1, 32,
		       m->args, start, end, m->bad);
	bi->nr_mods++;
}

static void __init check_modules(struct boot_info *bi)
{
	for (unsigned i = 0; i < bi->nr_mods; i++) {
		struct boot_module *m = &bi->mods[i];

		if (m->bad || mem_is_ram(bi->mem, bi->nr_mem, m->start, m->size))
			continue;
		m->bad = "is not in RAM";
		pr_err("module %u (%.*s) at %#lx-%#lx\n  is not in RAM, not used\n", i + 1, 32,
		       m->args, m->start, m->start + m->size);
	}
	/* If two modules overlap, one has overwritten the other: reject both. */
	for (unsigned i = 0; i < bi->nr_mods; i++) {
		for (unsigned j = i + 1; j < bi->nr_mods; j++) {
			struct boot_module *a = &bi->mods[i], *b = &bi->mods[j];

			if (!a->size || !b->size || a->start >= b->start + b->size ||
			    b->start >= a->start + a->size)
				continue;
			pr_err("modules %u (%.*s) and %u (%.*s)\n  overlap, neither is used\n",
			       i + 1, 20, a->args, j + 1, 20, b->args);
			a->bad = b->bad = "overlaps another module";
		}
	}
}

/* Multiboot2 3.6.12. White is all ones in every format of direct colour. */
static void __init read_screen(struct boot_screen *s, const u8 *tag, u32 size)
{
	u32 pitch, width, height, bits, type;

	if (size < MB2_SCREEN_SIZE) {
		pr_err("multiboot2: screen: tag of %u bytes is too short, ignored\n", size);
		return;
	}
	pitch = get_u32(tag + 16);
	width = get_u32(tag + 20);
	height = get_u32(tag + 24);
	bits = tag[28];
	type = tag[29];
	if ((type != SCREEN_RGB && type != SCREEN_TEXT) || bits < 15 || bits > 32 || !width ||
	    !height || width > 32768 || height > 32768 || pitch < width * ((bits + 7) / 8) ||
	    pitch > 1U << 20 || get_u64(tag + 8) >= SCREEN_TOP) {
		pr_warn("multiboot2: screen of type %u, %ux%u, %u bits: not used\n", type, width,
			height, bits);
		return;
	}
	*s = (struct boot_screen){ type,  get_u64(tag + 8), pitch,
				   width, height,           (u8)((bits + 7) / 8) };
}

static int __init one_tag(struct boot_info *bi, const u8 *tag, u32 size)
{
	u32 type = get_u32(tag);
	const char *s;

	switch (type) {
	case MB2_TAG_CMDLINE:
		s = tag_string(tag, size, MB2_TAG_HEADER);
		if (s)
			bi->cmdline = s;
		else
			pr_err("multiboot2: command line is not terminated, ignored\n");
		break;
	case MB2_TAG_MODULE: add_module(bi, tag, size); break;
	case MB2_TAG_MMAP: return read_map(tag, size);
	case MB2_TAG_FRAMEBUFFER: read_screen(&bi->screen, tag, size); break;
	case MB2_TAG_ACPI_OLD:
	case MB2_TAG_ACPI_NEW:
		/* The new RSDP wins, whatever the order of the tags. */
		if (size - MB2_TAG_HEADER < RSDP_V1_SIZE) {
			pr_err("multiboot2: RSDP of %u bytes is too short, ignored\n",
			       size - MB2_TAG_HEADER);
		} else if (type == MB2_TAG_ACPI_NEW || !bi->rsdp) {
			bi->rsdp = tag + MB2_TAG_HEADER;
			bi->rsdp_size = size - MB2_TAG_HEADER;
		}
		break;
	}
	return 0;
}

int __init mb2_parse(const void *info, size_t limit, struct boot_info *bi)
{
	const u8 *base = info;
	u32 total, at, size;
	u64 step;

	memset(bi, 0, sizeof(*bi));
	bi->cmdline = "";
	nr_raw = 0;

	total = limit < MB2_INFO_HEADER ? 0 : get_u32(base);
	if (total < MB2_INFO_HEADER || total > limit) {
		pr_err("multiboot2: information of %u bytes, at most %lu expected\n", total, limit);
		return -EINVAL;
	}
	for (at = MB2_INFO_HEADER; total - at >= MB2_TAG_HEADER; at += step) {
		size = get_u32(base + at + 4);
		if (size < MB2_TAG_HEADER || size > total - at) {
			pr_err("multiboot2: tag type %u at %u: size %u is wrong\n",
			       get_u32(base + at), at, size);
			return -EINVAL;
		}
		if (get_u32(base + at) == MB2_TAG_END)
			break;
		if (one_tag(bi, base + at, size))
			return -EINVAL;
		step = ALIGN_UP((u64)size, 8);
		if (step > total - at)
			break;
	}

	bi->mem = sorted_map;
	bi->nr_mem = mem_sanitise(raw_map, nr_raw, sorted_map, ARRAY_SIZE(sorted_map));
	size = mtrr_uncached_ram(bi->mem, bi->nr_mem, raw_map + nr_raw, MAX_MAP - nr_raw);
	if (size)
		bi->nr_mem =
			mem_sanitise(raw_map, nr_raw + size, sorted_map, ARRAY_SIZE(sorted_map));
	for (unsigned i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == MEM_RAM)
			bi->ram_end = bi->mem[i].base + bi->mem[i].size;
	if (!bi->nr_mem) {
		pr_err("multiboot2: no memory map\n");
		return -EINVAL;
	}
	check_modules(bi);
	return 0;
}
