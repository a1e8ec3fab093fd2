/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot-time allocator and the set-up of the owner table. Ranges that boot code allocated or
 * reserved stay out of the free memory. Runs on the boot CPU.
 */

#include "page_priv.h"

#define MAX_BOOT_RESERVED 160

static __initdata struct boot_reserved {
	paddr_t base, end;
	u16 owner;
} boot_reserved[MAX_BOOT_RESERVED];
static __initdata unsigned nr_boot_reserved;
static __initdata const struct boot_info *boot;
static __initdata paddr_t image_end, image_chunk_end;

static void __init add_boot_reserved(paddr_t base, paddr_t end, u16 owner)
{
	if (nr_boot_reserved == MAX_BOOT_RESERVED)
		panic("too many boot modules and reserved ranges\n");
	boot_reserved[nr_boot_reserved++] = (struct boot_reserved){ ALIGN_DOWN(base, PAGE_SIZE),
								    ALIGN_UP(end, PAGE_SIZE),
								    owner };
}

void __init early_reserve(paddr_t base, u64 size)
{
	add_boot_reserved(base, base + size, OWNER_NONE);
}

void __init early_init(const struct boot_info *bi, paddr_t image, u64 image_size)
{
	boot = bi;
	/* Leave memory below 1 MiB alone: firmware data and the trampoline live there. */
	add_boot_reserved(0, 1 << 20, OWNER_NONE);
	add_boot_reserved(image, image + image_size, OWNER_MARGAY);
	image_end = image + image_size;
	image_chunk_end = image + CHUNK_SIZE;
}

static const struct boot_reserved *__init boot_reserved_overlap(paddr_t base, paddr_t end)
{
	for (unsigned i = 0; i < nr_boot_reserved; i++)
		if (boot_reserved[i].base < end && boot_reserved[i].end > base)
			return &boot_reserved[i];
	return NULL;
}

bool __init early_claim(paddr_t base, u64 size)
{
	if (!mem_is_ram(boot->mem, boot->nr_mem, base, size) ||
	    boot_reserved_overlap(base, base + size))
		return false;
	early_reserve(base, size);
	return true;
}

/* Returns the highest unreserved range of `size` bytes in [base, end); 0 when there is none. */
static paddr_t __init highest_free(paddr_t base, paddr_t end, u64 size)
{
	while (end >= base + size) {
		paddr_t at = ALIGN_DOWN(end - size, PAGE_SIZE);
		const struct boot_reserved *k = at >= base ? boot_reserved_overlap(at, at + size) :
							     NULL;

		if (at < base)
			break;
		if (!k)
			return at;
		end = k->base;
	}
	return 0;
}

/* Allocates from the image's own chunk if possible, else the highest free RAM below 4 GiB. */
void *__init early_alloc(u64 size)
{
	struct boot_reserved *last = &boot_reserved[nr_boot_reserved - 1];
	paddr_t at;

	size = ALIGN_UP(size, PAGE_SIZE);
	at = highest_free(image_end, image_chunk_end, size);
	if (at && !mem_is_ram(boot->mem, boot->nr_mem, at, size))
		at = 0;
	for (unsigned i = boot->nr_mem; i-- > 0 && !at;) {
		const struct mem_range *r = &boot->mem[i];

		if (r->type == MEM_RAM && r->base < 1UL << 32)
			at = highest_free(r->base, min(r->base + r->size, 1UL << 32), size);
	}
	if (!at)
		panic("no %lu KiB of memory below 4 GiB for Margay's tables\n", size >> 10);
	/* Grow the last entry where possible: the table stays short. */
	if (last->base == at + size && last->owner == OWNER_MARGAY)
		last->base = at;
	else
		add_boot_reserved(at, at + size, OWNER_MARGAY);
	return memset(phys_to_virt(at), 0, size);
}

void *early_or_alloc_page(void)
{
	return chunks ? alloc_page() : early_alloc(PAGE_SIZE);
}

static u8 __init node_of(const struct acpi_info *acpi, paddr_t pa)
{
	for (unsigned i = 0; i < acpi->nr_mem; i++)
		if (pa >= acpi->mem[i].base && pa - acpi->mem[i].base < acpi->mem[i].size)
			return acpi->mem[i].node;
	return 0;
}

static u16 __init boot_owner(paddr_t pa)
{
	const struct boot_reserved *k = boot_reserved_overlap(pa, pa + PAGE_SIZE);

	if (k)
		return k->owner;
	return mem_is_ram(boot->mem, boot->nr_mem, pa, PAGE_SIZE) ? OWNER_FREE : OWNER_NONE;
}

/* Sets up a chunk that is partly RAM or partly reserved. */
static void __init init_mixed(struct node *n, u64 c)
{
	paddr_t base = c << CHUNK_SHIFT;
	unsigned first_free = CHUNK_PAGES;
	struct split *s;

	for (unsigned i = CHUNK_PAGES; i-- > 0;) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner == OWNER_FREE)
			first_free = i;
		else if (owner == OWNER_MARGAY)
			margay_pages++;
		n->total_pages += owner != OWNER_NONE;
		/*
		 * A chunk with no free page stays whole. Margay owns it, so that it can free its
		 * pages there later.
		 */
		if (owner == OWNER_MARGAY)
			chunks[c].owner = OWNER_MARGAY;
	}
	if (first_free == CHUNK_PAGES)
		return;
	split_chunk(c, phys_to_virt(base + first_free * PAGE_SIZE));
	s = chunks[c].split;
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner != OWNER_FREE) {
			s->owner[i] = owner;
		} else if (i != first_free) {
			split_put(n, s, i, true);
		}
	}
}

/* Sets up chunks of one node and gigabyte, alike if possible. */
static void __init init_chunks(u64 c, u64 count, u32 g)
{
	paddr_t base = c << CHUNK_SHIFT, end = (c + count) << CHUNK_SHIFT;
	struct node *n = &nodes[groups[g].node];
	bool ram = mem_has_ram(boot->mem, boot->nr_mem, base, end - base);
	bool whole = ram && mem_is_ram(boot->mem, boot->nr_mem, base, end - base) &&
		     !boot_reserved_overlap(base, end);

	for (u64 i = 0; i < count; i++) {
		chunks[c + i] = (struct chunk){ .group = g & 0xffffff, .node = groups[g].node,
						 .owner = OWNER_NONE };
		if (!whole && ram && count > 1)
			init_chunks(c + i, 1, g);
		else if (!whole && ram)
			init_mixed(n, c);
	}
	if (whole) {
		chunks_put(n, c, count, CHUNK_PAGES);
		n->free_pages += count * CHUNK_PAGES;
		n->total_pages += count * CHUNK_PAGES;
	}
}

void __init owner_init(const struct boot_info *bi, const struct acpi_info *acpi)
{
	paddr_t max = 0;
	struct chunk *table;
	u64 count;
	u32 g = 0;

	for (unsigned i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == MEM_RAM)
			max = max(max, bi->mem[i].base + bi->mem[i].size);
	nr_chunks = (max + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	nr_nodes = max(acpi->nr_nodes, 1U);
	nodes = early_alloc(nr_nodes * sizeof(*nodes));
	groups = early_alloc((nr_chunks / GROUP_CHUNKS + 2 * acpi->nr_mem + 2) * sizeof(*groups));
	table = early_alloc(nr_chunks * sizeof(*table));
	chunks = table;
	for (unsigned i = 0; i < nr_nodes; i++) {
		spin_init(&nodes[i].lock, LOCK_OWNER);
		list_init(&nodes[i].clean);
		list_init(&nodes[i].dirty);
		for (unsigned o = 0; o < SPLIT_ORDERS; o++)
			list_init(&nodes[i].splits[o]);
	}
	/* By gigabytes, but by chunks where the node changes within one. */
	for (u64 c = 0; c < nr_chunks; c += count, g++) {
		u8 node = node_of(acpi, c << CHUNK_SHIFT);

		count = min(GROUP_CHUNKS - c % GROUP_CHUNKS, nr_chunks - c);
		while (count > 1 && node_of(acpi, (c + count - 1) << CHUNK_SHIFT) != node)
			count--;
		groups[g] = (struct group){ .first = ALIGN_DOWN(c, GROUP_CHUNKS), .node = node };
		list_init(&groups[g].clean_link);
		list_init(&groups[g].dirty_link);
		init_chunks(c, count, g);
	}
}
