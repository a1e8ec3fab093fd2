/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own page tables: the image with the rights of its sections, all RAM in the direct map,
 * stacks with guard pages, uncached device registers. No page is both writable and executable
 * through any mapping. Built once on the boot CPU, and extended only there. SDM 3A 4.5.
 */
#include <margay/boot_state.h>
#include <margay/page_owner.h>
#include <margay/quiesce.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/mtrr.h>
#include <x86/page_table.h>
#include <x86/paging.h>
#include <x86/regs.h>

#define MMIO_BASE 0xffffc00000000000UL
#define STACK_BASE 0xffffc10000000000UL

_Static_assert(DIRECTMAP_BASE + DIRECTMAP_SIZE == MMIO_BASE, "no overlap");

extern u8 image_start[], text_end[], rodata_start[], rodata_end[], data_start[], image_end[];
extern u8 init_text_start[], init_text_end[], init_data_start[], init_data_end[];

static u64 mmio_next = MMIO_BASE, stack_next = STACK_BASE;

static void *host_new_table(struct page_table *pt __unused)
{
	return early_or_alloc_page();
}

static const struct pt_format host_format = { .table = PTE_P | PTE_W | PTE_A,
					      .new_table = host_new_table };
static struct page_table host = { .format = &host_format };

/* Maps with the largest pages that fit, at most of max_level (0: 4K). Keeps existing mappings. */
static int map_range(u64 va, paddr_t pa, u64 size, u64 rights, unsigned max_level)
{
	unsigned l = 0;
	u64 *e = NULL;

	while (size) {
		unsigned level = max_level;
		u64 page, step;

		/* The next entry of a lowest table needs no walk. */
		if (e && !l && va & ((PAGE_SIZE << 9) - 1))
			e++;
		else
			e = pt_find(&host, va >> PAGE_SHIFT, &l);
		while (level && (((va | pa) & ((PAGE_SIZE << 9 * level) - 1)) ||
				 size < PAGE_SIZE << 9 * level))
			level--;
		if (!pt_present(*e)) {
			if (l > level) {
				e = pt_make(&host, va >> PAGE_SHIFT, level);
				if (!e)
					return -ENOMEM;
				l = level;
			}
			*e = pa | rights | (l ? PTE_PS : 0);
		}
		page = PAGE_SIZE << 9 * l;
		step = min(page - (va & (page - 1)), size);
		va += step;
		pa += step;
		size -= step;
	}
	return 0;
}

static u64 *find_pte(u64 va)
{
	unsigned level;
	u64 *e = pt_find(&host, va >> PAGE_SHIFT, &level);

	return level ? NULL : e;
}

static void __init map_or_die(u64 va, paddr_t pa, u64 size, u64 rights, unsigned level)
{
	if (map_range(va, pa, size, rights, level))
		panic("no memory for Margay's page tables\n");
}

static void __init map_section(const u8 *from, const u8 *to, u64 rights)
{
	u64 off = (u64)from - (u64)image_start, size = ALIGN_UP((u64)(to - from), PAGE_SIZE);

	map_or_die((u64)from, image_paddr + off, size, rights, 0);
	/*
	 * Map the same pages in the direct map: never executable, and writable only where the image
	 * is.
	 */
	map_or_die(DIRECTMAP_BASE + image_paddr + off, image_paddr + off, size, rights | PTE_NX, 0);
}

/* A large page has one memory type: each part of one type is mapped alone. SDM 3A 12.11.9. */
static void __init map_direct(paddr_t base, paddr_t end)
{
	for (u64 len; base < end; base += len) {
		u64 uncached = PTE_PCD | PTE_PWT;

		len = end - base;
		if (mtrr_type(&mtrrs, base, &len) == MEMTYPE_WB)
			uncached = 0;
		map_or_die(DIRECTMAP_BASE + base, base, len, RIGHTS_RW | uncached,
			   x86.page1g ? 2 : 1);
	}
}

void __init paging_init(const struct boot_info *bi)
{
	host.root = early_or_alloc_page();
	map_section(image_start, text_end, RIGHTS_RX);
	map_section(rodata_start, rodata_end, RIGHTS_RO);
	map_section(data_start, image_end, RIGHTS_RW);

	map_direct(0, 1 << 20);
	for (unsigned i = 0; i < bi->nr_mem; i++) {
		const struct mem_range *r = &bi->mem[i];

		if (r->type == MEM_RAM || r->type == MEM_ACPI || r->type == MEM_NVS ||
		    r->type == MEM_UNCACHED)
			map_direct(ALIGN_DOWN(r->base, PAGE_SIZE),
				   ALIGN_UP(r->base + r->size, PAGE_SIZE));
	}
	paging_load_cpu();
}

void paging_load_cpu(void)
{
	write_cr3(virt_to_phys(host.root));
}

/*
 * Maps a table for the ACPI parser: firmware also keeps tables in memory that it reports as
 * reserved.
 */
const void *acpi_map_table(paddr_t pa, size_t len)
{
	paddr_t base = ALIGN_DOWN(pa, PAGE_SIZE);

	if (pa + len < pa || pa + len > 1UL << x86.phys_bits)
		return NULL;
	if (map_range(DIRECTMAP_BASE + base, base, ALIGN_UP(pa + len - base, PAGE_SIZE), RIGHTS_RO,
		      0))
		return NULL;
	return phys_to_virt(pa);
}

void *map_mmio(paddr_t pa, size_t size)
{
	paddr_t base = ALIGN_DOWN(pa, PAGE_SIZE);
	u64 va = mmio_next, len = ALIGN_UP(pa + size - base, PAGE_SIZE);
	const char *bad = pa + size > 1UL << x86.phys_bits ? "above the CPU's addresses" : NULL;

	if (mem_has_ram(boot_info.mem, boot_info.nr_mem, pa, size))
		bad = "in RAM";
	if (bad) {
		pr_err("device registers at %#lx-%#lx are %s: ignored\n", pa, pa + size, bad);
		return NULL;
	}
	if (len >= CHUNK_SIZE)	/* large pages */
		va = ALIGN_UP(va, CHUNK_SIZE) + (base & (CHUNK_SIZE - 1));
	if (map_range(va, base, len, RIGHTS_RW | PTE_PCD | PTE_PWT, 1))
		return NULL;
	mmio_next = va + len + PAGE_SIZE;
	return (void *)(va + (pa - base));
}

void *map_stack(unsigned pages)
{
	u64 va = stack_next + PAGE_SIZE;

	for (unsigned i = 0; i < pages; i++) {
		void *p = alloc_page();

		if (!p || map_range(va + i * PAGE_SIZE, virt_to_phys(p), PAGE_SIZE, RIGHTS_RW, 0))
			panic("no memory for a stack\n");
	}
	stack_next = va + pages * PAGE_SIZE;
	return (void *)stack_next;
}

enum stack_area stack_area(u64 va)
{
	const u64 *pte = va >= STACK_BASE && va < stack_next ? find_pte(va) : NULL;

	return !pte ? STACK_NONE : *pte & PTE_P ? STACK_PAGE : STACK_GUARD;
}

void arch_flush_translations(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~CR4_PGE);
	write_cr4(cr4);
}

int map_pages(u64 va, paddr_t pa, u64 size, u64 rights)
{
	return map_range(va, pa, size, rights, 0);
}

void unmap_pages(u64 va, u64 size)
{
	for (; size; size -= PAGE_SIZE, va += PAGE_SIZE) {
		u64 *pte = find_pte(va);

		if (pte)
			*pte = 0;
	}
}

int protect_direct(paddr_t pa, u64 size, bool readonly)
{
	for (; size; size -= PAGE_SIZE, pa += PAGE_SIZE) {
		u64 *pte = pt_make(&host, (DIRECTMAP_BASE + pa) >> PAGE_SHIFT, 0);

		if (!pte)
			return -ENOMEM;
		*pte = pa | (readonly ? RIGHTS_RO : RIGHTS_RW);
	}
	return 0;
}

static void unmap_init(const u8 *from, const u8 *to)
{
	unmap_pages((u64)from, (u64)(to - from));
	BUG_ON(protect_direct(image_paddr + (u64)(from - image_start), (u64)(to - from), false));
}

static void free_init(const u8 *from, const u8 *to)
{
	free_pages(phys_to_virt(image_paddr + (u64)(from - image_start)),
		   (unsigned)((u64)(to - from) >> PAGE_SHIFT));
}

void paging_end_init(void)
{
	u64 period;

	unmap_init(init_text_start, init_text_end);
	unmap_init(init_data_start, init_data_end);
	period = quiesce_start();
	/* This is the only wait for a grace period: no guest runs yet. */
	atomic_and(&this_cpu()->work, ~(u32)CPU_WORK_QUIESCE);
	quiesce_here();
	while (!quiesce_over(period))
		cpu_relax();
	free_init(init_text_start, init_text_end);
	free_init(init_data_start, init_data_end);
}
