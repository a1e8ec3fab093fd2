/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-Vi against a model of the unit: it executes the commands, walks the tables, keeps what it read
 * until a command discards it, and logs events (48882 rev. 3, chapter 2).
 * unit-sources: iommu/amdvi.c iommu/irq.c iommu/commands.c arch/x86/mm/page_table.c
 */
#include "host.h"
#include "irqs.h"

#include "../../iommu/iommu_priv.h"

#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/pci.h>

#define PAGES 1600
static u64 arena[PAGES][512] __attribute__((aligned(4096)));
u8 *host_directmap = (u8 *)arena;
static unsigned used, page_limit;

bool iommu_remapping;

void *alloc_pages(unsigned n, unsigned node)
{
	void *p = arena[used];

	(void)node;
	if (used + n > page_limit)
		return NULL;
	used += n;
	return memset(p, 0, n * PAGE_SIZE);
}

void *kzalloc(size_t size)
{
	assert_true(size <= PAGE_SIZE);
	return alloc_pages(1, NODE_ANY);
}

void kfree(void *p) { (void)p; }

void *iommu_new_table(struct page_table *pt)
{
	(void)pt;
	return alloc_page();
}

static u64 ticks;

u64 rdtsc(void)
{
	return ticks += 10000;
}

void cpu_relax(void)
{
}

u64 arch_tsc_hz(void)
{
	return 1000000000;
}

/* --- The model --- */

enum { BLOCKED = -1 };
#define ENABLED (model->regs[0x18 / 8])
#define CACHED 64

static struct model {
	u64 regs[0x4000 / 8];
	struct {
		bool valid;
		u64 q[4];
	} dte[65536];
	struct {
		bool valid;
		u16 domain;
		u64 page, entry;
		unsigned level;
	} tlb[CACHED];
	struct {
		bool valid;
		u16 id;
		unsigned index;
		u64 low, high;
	} irte[CACHED];
	unsigned tlb_next, irte_next, commands;
	bool stuck, gone, late_events;
} models[2], *model = models;
static struct iommu *const units = (struct iommu *)arena[1];	/* the model writes there */
const struct iommu_ops *iommu_driver = &amdvi_ops;

struct iommu *iommu_unit_of(u32 sbdf)
{
	(void)sbdf;
	return units;
}

const struct pci_function *iommu_pci_bridge(u32 sbdf)
{
	(void)sbdf;
	return NULL;
}

struct iommu_range *iommu_ranges;

u32 iommu_source_of(u32 sbdf)
{
	return sbdf >= 0x300 && sbdf <= 0x307 ? 0x1f0 : sbdf;
}

void iommu_died(struct iommu *u) { u->dead = true; }

static void (*probe)(void);	/* after each write to a register */

static void log_event(u64 code, u16 id, u64 flags, u64 address)
{
	u64 base = model->regs[0x10 / 8], size = 16UL << (base >> 56 & 15);
	u64 tail = model->regs[0x2018 / 8];
	u64 *e = phys_to_virt((base & PTE_ADDR) + tail);

	if (!(ENABLED & 4) || (model->regs[0x2020 / 8] & 1))
		return;
	if ((tail + 16) % size == model->regs[0x2010 / 8]) {
		model->regs[0x2020 / 8] |= 1;
		return;
	}
	e[0] = model->late_events ? 0 : code << 60 | flags << 48 | id;
	e[1] = address;
	model->regs[0x2018 / 8] = (tail + 16) % size;
}

static const u64 *dte_read(u16 id)
{
	u64 base = model->regs[0];

	if (id >= ((base & 511) + 1) * 128)
		return NULL;
	if (!model->dte[id].valid) {
		memcpy(model->dte[id].q, phys_to_virt((base & PTE_ADDR) + 32UL * id), 32);
		model->dte[id].valid = true;
	}
	return model->dte[id].q;
}

/* Finds the leaf of a page, as the hardware walks: levels are named by the entries. */
static bool walk(const u64 *q, u64 page, u64 *entry, unsigned *level)
{
	u64 *t = phys_to_virt(q[0] & PTE_ADDR);

	for (*level = q[0] >> 9 & 7; *level;) {
		*entry = t[page >> 9 * (*level - 1) & 511];
		if (!(*entry & 1))
			return false;
		if (!(*entry >> 9 & 7))
			return true;
		assert_int_equal(*entry >> 9 & 7, *level - 1);
		*level = *entry >> 9 & 7;
		t = phys_to_virt(*entry & PTE_ADDR);
	}
	return false;
}

/* A device's access. Returns the machine address, or BLOCKED. */
static s64 dma(u16 id, u64 address, bool write)
{
	u64 need = write ? 1UL << 62 : 1UL << 61, entry = 0;
	const u64 *q = dte_read(id);
	unsigned level = 1, i;

	if (!(ENABLED & 1) || (q && !(q[0] & 1)))
		return (s64)address;
	if (!q) {
		log_event(1, id, 0, address);
		return BLOCKED;
	}
	assert_int_equal(q[0] & 2, 2);
	if (!(q[0] >> 9 & 7) || !(q[0] & need)) {
		log_event(2, id, write << 5, address);
		return q[0] & need ? (s64)address : BLOCKED;
	}
	for (i = 0; i < CACHED; i++)
		if (model->tlb[i].valid && model->tlb[i].domain == (u16)q[1] &&
		    model->tlb[i].page == address >> 12)
			break;
	if (i < CACHED) {
		entry = model->tlb[i].entry;
		level = model->tlb[i].level;
	} else if (!walk(q, address >> 12, &entry, &level)) {
		log_event(2, id, write << 5, address);
		return BLOCKED;
	} else {
		i = model->tlb_next++ % CACHED;
		model->tlb[i].valid = true;
		model->tlb[i].domain = (u16)q[1];
		model->tlb[i].page = address >> 12;
		model->tlb[i].entry = entry;
		model->tlb[i].level = level;
	}
	if (!(entry & need)) {
		log_event(2, id, write << 5 | 1 << 4, address);
		return BLOCKED;
	}
	/* Bits between the address and the page of a large leaf must be clear. */
	assert_int_equal(entry & PTE_ADDR & ((1UL << (12 + 9 * (level - 1))) - 1), 0);
	return (s64)((entry & PTE_ADDR) | (address & ((1UL << (12 + 9 * (level - 1))) - 1)));
}

/* A device's message. Returns the vector and the CPU << 8, or BLOCKED. */
static s64 message(u16 id, u32 data)
{
	const u64 *q = dte_read(id);
	unsigned index = data & 0x7ff, i;
	u64 low, high, *t;

	if (!q || (q[2] & 1 && (q[2] >> 60 & 3) != 2) ||
	    (q[2] & 1 && index >= 1U << (q[2] >> 1 & 15))) {
		log_event(2, id, 8, index);
		return BLOCKED;
	}
	if (!(q[2] & 1))
		return data;
	for (i = 0; i < CACHED; i++)
		if (model->irte[i].valid && model->irte[i].id == id &&
		    model->irte[i].index == index)
			break;
	if (i == CACHED) {
		i = model->irte_next++ % CACHED;
		t = phys_to_virt(q[2] & 0xfffffffffffc0);
		model->irte[i].valid = true;
		model->irte[i].id = id;
		model->irte[i].index = index;
		if (ENABLED & 1UL << 17) {
			model->irte[i].low = t[2 * index];
			model->irte[i].high = t[2 * index + 1];
		} else {
			model->irte[i].low = ((u32 *)t)[index] & 0xffff;
			model->irte[i].high = ((u32 *)t)[index] >> 16 & 0xff;
		}
	}
	low = model->irte[i].low;
	high = model->irte[i].high;
	if (!(low & 1)) {
		log_event(2, id, 8, index);
		return BLOCKED;
	}
	assert_int_equal(low & 0xfe, 0);
	return (s64)((high & 0xff) | (low >> 8 & 0xffffff) << 8 | high >> 56 << 32);
}

static void execute(const u64 *c)
{
	u64 kind = c[0] >> 60;
	u16 id = (u16)c[0];

	model->commands++;
	if (kind == 1)
		*(u64 *)phys_to_virt(c[0] & 0xffffffffffff8) = c[1];
	if (kind == 2 || kind == 8)
		for (unsigned i = 0; i < 65536; i++)
			model->dte[i].valid &= kind == 2 && i != id;
	if (kind == 3)
		assert_int_equal(c[1], 0x7ffffffffffff003);
	for (unsigned i = 0; i < CACHED; i++) {
		if (kind == 8 || (kind == 3 && model->tlb[i].domain == c[0] >> 32 << 48 >> 48))
			model->tlb[i].valid = false;
		if (kind == 8 || (kind == 5 && model->irte[i].id == id))
			model->irte[i].valid = false;
	}
}

u64 iommu_read(struct iommu *u, u32 reg, unsigned size)
{
	assert_int_equal(size, 8);
	return models[u->index].gone ? ~0UL : models[u->index].regs[reg / 8];
}

void iommu_write(struct iommu *u, u32 reg, unsigned size, u64 val)
{
	struct model *before = model;

	model = &models[u->index];
	assert_int_equal(size, 8);
	if (reg == 0x08 || reg == 0x2000)	/* not while it runs */
		assert_int_equal(ENABLED & 1UL << 12, 0);
	if (reg == 0x10 || reg == 0x2018)
		assert_int_equal(ENABLED & 4, 0);
	if (reg == 0x2020)
		val = model->regs[reg / 8] & ~val;
	model->regs[reg / 8] = val;
	if (reg == 0x18)
		model->regs[0x2020 / 8] = (model->regs[0x2020 / 8] & 7) | (val & 4) << 1 |
					  (val >> 12 & 1) << 4;
	while (reg == 0x2008 && !model->stuck && model->regs[0x2000 / 8] != val) {
		u64 head = model->regs[0x2000 / 8];

		execute(phys_to_virt((model->regs[0x08 / 8] & PTE_ADDR) + head));
		model->regs[0x2000 / 8] = (head + 16) % 4096;
	}
	if (probe)
		probe();
	model = before;
}

/* --- The tests --- */

static struct iommu_range ranges[] = {
	{ .next = &ranges[1], .last = 0x1ff },
	{ .next = &ranges[2], .first = 0x300, .last = 0x307, .alias = 0x1f0 },
	{ .next = &ranges[3], .kind = RANGE_IOAPIC, .flags = 0x50, .first = 0xa0, .last = 0xa0 },
	{ .kind = RANGE_OTHER, .flags = 0x82, .first = 0xa1, .last = 0xa1 },
};

static void own_ranges(struct iommu *u)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i].unit = u;
}

static int start(void **state)
{
	(void)state;
	host_log_clear();
	memset(models, 0, sizeof(models));
	model = models;
	used = 2;
	page_limit = PAGES;
	probe = NULL;
	iommu_remapping = true;
	iommu_ranges = ranges;
	own_ranges(&units[0]);
	for (unsigned i = 0; i < 2; i++) {
		models[i].regs[0x30 / 8] = 0x29d3;
		units[i] = (struct iommu){ .ops = &amdvi_ops, .base = 0xfed80000, .sbdf = 8,
					   .flags = 0x3f, .index = i,
					   .in_use = true, .commands = alloc_page() };
		spin_init(&units[i].lock, LOCK_IOMMU);
	}
	return 0;
}

static void tables(struct iommu_domain *d, u16 id)
{
	*d = (struct iommu_domain){ .id = id, .pt.format = &amdvi_ops.format };
	d->pt.root = alloc_page();
}

static void map(struct iommu_domain *d, u64 page, unsigned level, u64 to, bool write)
{
	u64 leaf = to << 12 | amdvi_ops.leaf_read | (write ? amdvi_ops.leaf_write : 0);

	*pt_make(&d->pt, page, level) = leaf | (level ? PTE_PS : 0);
}

static void assert_blocked(void)
{
	for (unsigned id = 0; id < 0x400; id++) {
		assert_int_equal(dma((u16)id, 0x1000, false), BLOCKED);
		assert_int_equal(dma((u16)id, 0x1000, true), BLOCKED);
		assert_int_equal(message((u16)id, 0x30), BLOCKED);
	}
}

static void test_start(void **state)
{
	(void)state;
	assert_null(amdvi_ops.start(&units[0]));
	assert_true(units[0].remaps);
	assert_int_equal(units[0].max_level, 2);
	assert_int_equal(model->regs[0] & 511, 0x380 / 128 - 1);
	/* Enabled: commands, events, 1 s, coherent; what IVHD asks for */
	assert_int_equal(ENABLED, 0x1485UL | 1 << 1 | 1 << 8 | 1 << 9 | 1 << 11);
	assert_blocked();
	/* What firmware says of an IO-APIC and an HPET, and NMIs of the former. */
	assert_int_equal(dte_read(0xa0)[2], 1 | 1UL << 62 | 1UL << 58);
	assert_int_equal(dte_read(0xa0)[1], 1UL << 40);
	assert_int_equal(dte_read(0xa1)[2], 1 | 1UL << 63 | 1UL << 57);
	assert_silent();

	/* Everything, and a second unit with another range; without remapping messages pass. */
	start(NULL);
	iommu_remapping = false;
	units[0].all = true;
	assert_null(amdvi_ops.start(&units[0]));
	own_ranges(&units[1]);
	assert_null(amdvi_ops.start(&units[1]));
	assert_false(units[0].remaps);
	assert_int_equal(models[0].regs[0] & 511, 511);
	assert_int_equal(models[1].regs[0] & 511, 6);
	assert_int_equal(message(8, 0x4030), 0x4030);
	assert_int_equal(dma(0xffff, 0x1000, false), BLOCKED);
}

static void still_blocked(void)
{
	assert_int_equal(dma(8, 0x1000, true), BLOCKED);
	assert_int_equal(dma(8, 0x1000, false), BLOCKED);
}

/* Firmware left it on, with tables that block. */
static void test_start_enabled(void **state)
{
	u64 *t = alloc_pages(1, 0);

	(void)state;
	t[4 * 8] = 3;
	model->regs[0] = virt_to_phys(t);
	model->regs[0x18 / 8] = 0x1005;
	model->regs[0x20 / 8] = 3;
	model->regs[0x2000 / 8] = model->regs[0x2008 / 8] = 0x40;
	still_blocked();
	probe = still_blocked;
	assert_null(amdvi_ops.start(&units[0]));
	assert_int_equal(model->regs[0x20 / 8], 0);
	assert_blocked();
}

static void test_bad_unit(void **state)
{
	(void)state;
	model->gone = true;
	assert_string_equal(amdvi_ops.start(&units[0]), "it does not answer");
	start(NULL);
	model->regs[0x30 / 8] = 0;
	assert_string_equal(amdvi_ops.start(&units[0]), "it is too old");
	start(NULL);
	for (page_limit = 4; page_limit < 4 + 7 + 1; page_limit++) {
		used = 4;
		assert_string_equal(amdvi_ops.start(&units[0]), "no memory");
		assert_int_equal(ENABLED, 0);
	}
	start(NULL);
	model->stuck = true;
	assert_string_equal(amdvi_ops.start(&units[0]), "it executes no commands");
	assert_int_equal(ENABLED, 0);
}

static void test_pages(void **state)
{
	struct iommu_domain a, b;
	unsigned before;

	(void)state;
	assert_null(amdvi_ops.start(&units[0]));
	tables(&a, 2);
	tables(&b, 3);
	map(&a, 5, 0, 0x777, true);
	map(&a, 6, 0, 0x778, false);
	map(&a, 512, 1, 0x200, true);
	map(&a, 1 << 18, 2, 3 << 18, true);
	map(&a, 0x7ffffffff, 0, 0xffffffffff, true);
	map(&b, 5, 0, 0x999, true);
	/* A large leaf that is split is the same for the unit. */
	map(&a, 2 << 18, 2, 4 << 18, false);
	pt_make(&a.pt, (2 << 18) + 513, 0);

	still_blocked();
	assert_int_equal(amdvi_ops.attach(&units[0], 8, &a), 0);
	assert_int_equal(amdvi_ops.attach(&units[0], 0x1f0, &b), 0);
	assert_int_equal(dma(8, 0x5123, true), 0x777123);
	assert_int_equal(dma(8, 0x6123, false), 0x778123);
	assert_int_equal(dma(8, 0x6123, true), BLOCKED);
	assert_int_equal(dma(8, 0x7000, false), BLOCKED);
	assert_int_equal(dma(8, 0x3ff123, true), 0x3ff123);
	assert_int_equal(dma(8, 0x40000000 + 0x12345678, true), 0xc0000000 + 0x12345678);
	assert_int_equal(dma(8, 0x7ffffffff000, true), 0xffffffffff000);
	assert_int_equal(dma(8, 0x80000000 + 0x201123, false), 0x100000000 + 0x201123);
	assert_int_equal(dma(8, 0x80000000 + 0x1fffff, false), 0x100000000 + 0x1fffff);
	assert_int_equal(dma(8, 0x80000000 + 0x3fffffff, false), 0x100000000 + 0x3fffffff);
	assert_int_equal(dma(8, 0x80000000 + 0x201123, true), BLOCKED);
	assert_int_equal(dma(0x1f0, 0x5000, true), 0x999000);
	assert_int_equal(dma(9, 0x5000, true), BLOCKED);
	assert_int_equal(dma(0xa0, 0x5000, true), BLOCKED);

	/* The unit keeps a translation until the flush; that of another domain changes nothing. */
	*pt_make(&a.pt, 5, 0) = 0;
	amdvi_ops.flush(&units[0], &b);
	assert_int_equal(dma(8, 0x5000, true), 0x777000);
	amdvi_ops.flush(&units[0], &a);
	assert_int_equal(dma(8, 0x5000, true), BLOCKED);
	map(&a, 5, 0, 0x666, true);
	assert_int_equal(dma(8, 0x5000, true), 0x666000);

	/* An id of a domain that is gone becomes another's. */
	assert_int_equal(amdvi_ops.attach(&units[0], 8, NULL), 0);
	still_blocked();
	assert_int_equal(dma(8, 0x5000, true), BLOCKED);
	tables(&a, 2);
	map(&a, 5, 0, 0x555, true);
	assert_int_equal(amdvi_ops.attach(&units[0], 9, &a), 0);
	assert_int_equal(dma(9, 0x5000, true), 0x555000);
	assert_int_equal(dma(0x1f0, 0x5000, true), 0x999000);
	/* The system management bits of an IO-APIC's id stay. */
	assert_int_equal(amdvi_ops.attach(&units[0], 0xa0, &a), 0);
	assert_int_equal(dte_read(0xa0)[1], 1UL << 40 | 2);

	assert_int_equal(amdvi_ops.attach(&units[0], 0x400, &a), -ENOSPC);
	assert_int_equal(amdvi_ops.attach(&units[0], 0x400, NULL), 0);
	/* Many times around the ring */
	before = model->commands;
	for (unsigned i = 0; i < 1000; i++)
		amdvi_ops.flush(&units[0], &a);
	assert_int_equal(model->commands, before + 2000);
	assert_false(units[0].dead);
}

static void test_timeout(void **state)
{
	struct iommu_domain a;
	u64 before;

	(void)state;
	assert_null(amdvi_ops.start(&units[0]));
	assert_null(amdvi_ops.start(&units[1]));
	tables(&a, 2);
	assert_int_equal(amdvi_ops.attach(&units[0], 8, &a), 0);
	model->stuck = true;
	before = ticks;
	amdvi_ops.attach(&units[0], 8, NULL);
	assert_true(units[0].dead);
	assert_in_range(ticks - before, 100000000, 100100000);
	amdvi_ops.flush(&units[0], &a);
	assert_in_range(ticks - before, 100000000, 100100000);
	amdvi_ops.attach(&units[1], 8, &a);
	assert_false(units[1].dead);
}

static void irqs(bool xt)
{
	struct iommu_irq i[2], j[2], io, many[32];
	u64 address;
	u32 data;

	model->regs[0x30 / 8] |= xt ? 4 : 0;
	assert_null(amdvi_ops.start(&units[0]));
	assert_int_equal(!!(ENABLED & 1UL << 50), xt);
	assert_int_equal(!!(ENABLED & 1UL << 17), xt);
	assert_int_equal(message(8, 0), BLOCKED);
	assert_int_equal(iommu_irq_alloc(i, 8), 0);
	iommu_irq_message(i, &address, &data);
	assert_int_equal(address, 0xfee00000);
	assert_int_equal(message(8, data), BLOCKED);
	iommu_irq_route(i, 3, 0x41, false);
	assert_int_equal(message(8, data), 0x341);
	assert_int_equal(message(8, data + 1), BLOCKED);
	assert_int_equal(message(8, 512), BLOCKED);
	assert_int_equal(message(9, data), BLOCKED);
	iommu_irq_route(i, 254, 0x42, false);
	assert_int_equal(message(8, data), 0xfe42);
	iommu_irq_route(i, 0x12345678, 0x42, false);
	assert_int_equal(message(8, data), xt ? 0x1234567842 : BLOCKED);
	assert_int_equal(host_logged("CPU 0x12345678 cannot have interrupts of devices"), !xt);
	iommu_irq_route(i, 1, 0, false);
	assert_int_equal(message(8, data), BLOCKED);

	assert_int_equal(alloc_irqs(many, 32, 8), 0);
	assert_int_equal(many[0].index, 1);
	iommu_irq_route(&many[31], 2, 0x50, false);
	assert_int_equal(message(8, 32), 0x250);
	free_irqs(many, 32);
	assert_int_equal(message(8, 32), BLOCKED);

	/* Functions behind a bridge send with its id: one table, apart from others. */
	assert_int_equal(alloc_irqs(i, 2, 0x300), 0);
	assert_int_equal(alloc_irqs(j, 2, 0x301), 0);
	assert_int_not_equal(i->index, j->index);
	iommu_irq_route(i, 1, 0x60, false);
	iommu_irq_route(j, 2, 0x61, false);
	assert_int_equal(message(0x1f0, i->index), 0x160);
	assert_int_equal(message(0x1f0, j->index), 0x261);
	assert_int_equal(message(0x300, i->index), BLOCKED);

	/* The IO-APIC's */
	assert_int_equal(iommu_irq_alloc(&io, 0xa0), 0);
	iommu_irq_route(&io, 5, 0x33, true);
	assert_int_equal(iommu_irq_rte(&io), 0x8000 | io.index);
	assert_int_equal(message(0xa0, iommu_irq_rte(&io) & 0x7ff), 0x533);
	io.nmi = true;
	iommu_irq_route(&io, 5, 0x33, true);
	assert_int_equal(message(0xa0, io.index), BLOCKED);
	assert_int_equal(iommu_irq_rte(&io), 5UL << 56 | 0x400);
	assert_true(dte_read(0xa0)[2] & 1UL << 58);
	assert_int_equal(dte_read(8)[2] & 0xc700000000000000, 0);

	assert_int_equal(iommu_irq_alloc(i, 0x500), -ENOMEM);
	page_limit = used;
	assert_int_equal(iommu_irq_alloc(i, 0x10), -ENOMEM);
	assert_false(units[0].dead);
}

static void test_irqs(void **state)
{
	(void)state;
	irqs(false);
}

static void test_irqs_xt(void **state)
{
	(void)state;
	irqs(true);
}

static void test_faults(void **state)
{
	struct iommu *u = &units[0];
	struct iommu_domain a;
	struct iommu_fault f;
	unsigned n = 0;

	(void)state;
	u->segment = 2;
	assert_null(amdvi_ops.start(u));
	tables(&a, 2);
	map(&a, 5, 0, 0x777, false);
	amdvi_ops.attach(u, 8, &a);
	assert_false(amdvi_ops.fault(u, &f));
	dma(8, 0x5008, true);
	dma(8, 0x9000, false);
	message(8, 7);
	dma(0x3ff, 0x1000, true);
	log_event(5, 0, 0, 0x1230);
	log_event(12, 0x111, 0, 0);
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.sbdf, 0x20008);
	assert_int_equal(f.address, 0x5008);
	assert_true(f.write && !f.interrupt);
	assert_int_equal(f.reason, 2);
	assert_true(amdvi_ops.fault(u, &f));
	assert_true(!f.write && !f.interrupt);
	assert_true(amdvi_ops.fault(u, &f));
	assert_true(f.interrupt);
	assert_int_equal(f.address, 7);
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.sbdf, 0x203ff);
	assert_string_equal(amdvi_ops.reasons[f.reason], "bad device table entry");
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.sbdf, u->sbdf);
	assert_string_equal(amdvi_ops.reasons[f.reason], "bad command");
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.sbdf, 0x20111);
	assert_int_equal(f.reason, 12);
	assert_false(amdvi_ops.fault(u, &f));

	/* The tail is there before the entry. */
	model->late_events = true;
	dma(8, 0x9000, false);
	assert_false(amdvi_ops.fault(u, &f));
	*(u64 *)phys_to_virt((model->regs[0x10 / 8] & PTE_ADDR) + 6 * 16) = 2UL << 60 | 8;
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.address, 0x9000);
	model->late_events = false;

	/* A full log stops, and starts again when it has been read. */
	for (unsigned i = 0; i < 1000; i++)
		dma(8, 0x9000, false);
	while (amdvi_ops.fault(u, &f))
		n++;
	assert_int_equal(n, 255);
	assert_int_equal(model->regs[0x2020 / 8] & 1, 0);
	dma(8, 0xa000, false);
	assert_true(amdvi_ops.fault(u, &f));
	assert_int_equal(f.address, 0xa000);
	assert_false(amdvi_ops.fault(u, &f));
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_start, start),
		cmocka_unit_test_setup(test_start_enabled, start),
		cmocka_unit_test_setup(test_bad_unit, start),
		cmocka_unit_test_setup(test_pages, start),
		cmocka_unit_test_setup(test_timeout, start),
		cmocka_unit_test_setup(test_irqs, start),
		cmocka_unit_test_setup(test_irqs_xt, start),
		cmocka_unit_test_setup(test_faults, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
