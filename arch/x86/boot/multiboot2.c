/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the multiboot2 information (multiboot2 specification, section 3.6) into struct boot_info.
 * The loader is not trusted to get lengths right: every tag is checked against the structure.
 */
#include <margay/boot.h>
#include <margay/bytes.h>
#include <margay/errno.h>
#include <margay/printk.h>

enum mb2_tag {
	MB2_TAG_END = 0,
	MB2_TAG_CMDLINE = 1,
	MB2_TAG_LOADER = 2,
	MB2_TAG_MODULE = 3,
	MB2_TAG_MMAP = 6,
	MB2_TAG_EFI64 = 12,
	MB2_TAG_ACPI_OLD = 14,
	MB2_TAG_ACPI_NEW = 15,
	MB2_TAG_EFI_MMAP = 17,
	MB2_TAG_EFI_BS = 18,
	MB2_TAG_EFI64_IH = 20,
};

#define MB2_INFO_HEADER 8	/* total size, reserved */
#define MB2_TAG_HEADER 8	/* type, size */
#define MB2_MMAP_HEADER 16	/* tag header, entry size, version; the EFI map has the same */
#define MB2_MMAP_ENTRY 24	/* base, length, type, reserved */
#define MB2_MODULE_HEADER 16	/* tag header, start, end */
#define EFI_MEMORY_DESC 40	/* UEFI 7.2: type, pad, physical, virtual, pages, attributes */
#define RSDP_V1_SIZE 20

#define PADDR_TOP (1UL << 52)	/* no x86 CPU addresses more */

struct mb2_tags {
	const u8 *mmap, *efi_mmap;
};

/* The map as the loader gave it. */
static struct mem_range raw_map[BOOT_MAX_MEM] __initdata;
static unsigned int nr_raw __initdata;

/*
 * When the list is full, the smallest RAM goes: losing RAM is harmless, losing a reservation that
 * lies in RAM is not.
 */
static void __init add_range(u64 base, u64 size, u32 type)
{
	struct mem_range *last = nr_raw ? &raw_map[nr_raw - 1] : NULL, *least = NULL, new;

	if (!size || base >= PADDR_TOP)
		return;
	size = min(size, PADDR_TOP - base);
	new = (struct mem_range){ base, size, type };

	if (last && last->type == type && last->base + last->size == base) {
		last->size += size;
		return;
	}
	if (nr_raw < BOOT_MAX_MEM) {
		raw_map[nr_raw++] = new;
		return;
	}
	for (unsigned int i = 0; i < nr_raw; i++) {
		if (raw_map[i].type == MEM_RAM && (!least || raw_map[i].size < least->size))
			least = &raw_map[i];
	}
	if (least && (type != MEM_RAM || size > least->size)) {
		new = *least;
		*least = (struct mem_range){ base, size, type };
	}
	pr_warn("memory map: too many entries, %#lx-%#lx ignored\n", new.base, new.base + new.size);
}

static u32 __init efi_mem_type(u32 efi_type)
{
	switch (efi_type) {
	case 1: /* EfiLoaderCode */
	case 2: /* EfiLoaderData */
	case 3: /* EfiBootServicesCode */
	case 4: /* EfiBootServicesData */
	case 7: /* EfiConventionalMemory */
		return MEM_RAM;
	case 8:
		return MEM_UNUSABLE; /* EfiUnusableMemory */
	case 9:
		return MEM_ACPI; /* EfiACPIReclaimMemory */
	case 10:
		return MEM_NVS; /* EfiACPIMemoryNVS */
	default:
		return MEM_RESERVED;
	}
}

static int __init read_map(const u8 *tag, bool efi)
{
	u32 size = tag ? get_u32(tag + 4) : 0, step = size < MB2_MMAP_HEADER ? 0 : get_u32(tag + 8);

	if (step < (efi ? EFI_MEMORY_DESC : MB2_MMAP_ENTRY)) {
		if (tag)
			pr_err("multiboot2: %smemory map: entry size %u is wrong\n",
			       efi ? "EFI " : "", step);
		return -EINVAL;
	}
	for (u32 at = MB2_MMAP_HEADER; size - at >= step; at += step) {
		const u8 *e = tag + at;

		if (efi)
			add_range(get_u64(e + 8),
				  min(get_u64(e + 24), PADDR_TOP / PAGE_SIZE) * PAGE_SIZE,
				  efi_mem_type(get_u32(e)));
		else
			add_range(get_u64(e), get_u64(e + 8), get_u32(e + 16));
	}
	return 0;
}

/* The string that ends a tag, if it is terminated within it; else NULL. */
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
		       bi->nr_mods, size);
		return;
	}
	args = tag_string(tag, size, MB2_MODULE_HEADER);
	if (bi->nr_mods == BOOT_MAX_MODULES) {
		pr_err("multiboot2: more than %u modules, (%s) ignored\n", BOOT_MAX_MODULES,
		       args ? args : "");
		return;
	}
	start = get_u32(tag + 8);
	end = get_u32(tag + 12);
	*m = (struct boot_module){.start = start, .args = args ? args : ""};
	if (!args)
		m->bad = "its string does not end";
	else if (end <= start)
		m->bad = end == start ? "is empty" : "ends before it starts";
	else
		m->size = end - start;
	if (m->bad)
		pr_err("module %u (%s) at %#x-%#x %s, not used\n", bi->nr_mods, m->args, start, end,
		       m->bad);
	bi->nr_mods++;
}

static void __init check_modules(struct boot_info *bi)
{
	struct boot_module *a, *b, *end = bi->mods + bi->nr_mods;

	for (a = bi->mods; a < end; a++) {
		if (a->bad || mem_is_ram(bi->mem, bi->nr_mem, a->start, a->size))
			continue;
		a->bad = "is not in RAM";
		pr_err("module %lu (%s) at %#lx-%#lx is not in RAM, not used\n",
		       (unsigned long)(a - bi->mods), a->args, a->start, a->start + a->size);
	}
	/* Of two that overlap, one has overwritten the other: trust neither. */
	for (a = bi->mods; a < end; a++) {
		for (b = a + 1; b < end; b++) {
			if (!a->size || !b->size || a->start >= b->start + b->size ||
			    b->start >= a->start + a->size)
				continue;
			pr_err("modules %lu (%s) and %lu (%s) overlap, neither is used\n",
			       (unsigned long)(a - bi->mods), a->args,
			       (unsigned long)(b - bi->mods), b->args);
			a->bad = b->bad = "overlaps another module";
		}
	}
}

static void __init one_tag(struct boot_info *bi, struct mb2_tags *tags, const u8 *tag, u32 size)
{
	u32 type = get_u32(tag);
	const char *s;

	switch (type) {
	case MB2_TAG_CMDLINE:
	case MB2_TAG_LOADER:
		s = tag_string(tag, size, MB2_TAG_HEADER);
		if (!s)
			pr_err("multiboot2: %s does not end, ignored\n",
			       type == MB2_TAG_CMDLINE ? "command line" : "loader name");
		else if (type == MB2_TAG_CMDLINE)
			bi->cmdline = s;
		else
			bi->loader = s;
		break;
	case MB2_TAG_MODULE:
		add_module(bi, tag, size);
		break;
	case MB2_TAG_MMAP:
		tags->mmap = tag;
		break;
	case MB2_TAG_EFI_MMAP:
		tags->efi_mmap = tag;
		bi->efi = true;
		break;
	case MB2_TAG_EFI64:
	case MB2_TAG_EFI_BS:
	case MB2_TAG_EFI64_IH:
		bi->efi = true;
		break;
	case MB2_TAG_ACPI_OLD:
	case MB2_TAG_ACPI_NEW:
		/* The new one wins, wherever it stands. */
		if (size - MB2_TAG_HEADER < RSDP_V1_SIZE) {
			pr_err("multiboot2: RSDP of %u bytes is too short, ignored\n",
			       size - MB2_TAG_HEADER);
		} else if (type == MB2_TAG_ACPI_NEW || !bi->rsdp_copy) {
			bi->rsdp_copy = tag + MB2_TAG_HEADER;
			bi->rsdp_copy_size = size - MB2_TAG_HEADER;
		}
		break;
	}
}

int __init mb2_parse(const void *info, size_t limit, struct boot_info *bi)
{
	const u8 *base = info;
	struct mb2_tags tags = { 0 };
	u32 total, at, size;
	u64 step;

	memset(bi, 0, sizeof(*bi));
	bi->cmdline = bi->loader = "";
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
		one_tag(bi, &tags, base + at, size);
		step = ALIGN_UP((u64)size, 8);
		if (step > total - at)
			break;
	}

	if (!read_map(tags.mmap, false) || !read_map(tags.efi_mmap, true))
		bi->nr_mem = mem_sanitise(raw_map, nr_raw, bi->mem, BOOT_MAX_MEM);
	if (!bi->nr_mem) {
		pr_err("multiboot2: no memory map\n");
		return -EINVAL;
	}
	check_modules(bi);
	return 0;
}
