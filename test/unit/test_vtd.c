/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d against a model of a unit: its registers, its queue, and caches of all kinds, which keep
 * what they saw until they are told otherwise.
 * unit-sources: iommu/vtd.c iommu/irq.c iommu/commands.c arch/x86/mm/page_table.c common/boot/memmap.c test/unit/arena.c
 */
#include "arena.h"
#include "irqs.h"

#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/percpu.h>
#include <x86/features.h>

#include "../../iommu/iommu_priv.h"

static struct cpu cpu;
struct cpu *host_cpu = &cpu;
struct x86_features x86;
bool iommu_remapping;

#define TE BIT(31)
#define RTPS BIT(30)
#define QIES BIT(26)
#define IRES BIT(25)
#define IRTPS BIT(24)
#define CFIS BIT(23)
#define FAULTS 0x220
#define CAP_QEMU 0xd2008c222f0606UL
#define ECAP_QEMU 0xf00f4aUL
#define CACHED 64U

static struct model {
	u64 cap, ecap, rtaddr, root, iqa, iqh, irta, irqs;
	u32 gsts, fsts, fectl, pmen;
	struct {
		u64 lo, hi;
	} faults[4];
	struct {
		bool valid;
		u16 sid;
		u64 lo, hi;
	} contexts[CACHED];
	struct {
		bool valid;
		u16 did;
		u64 page, entry;
	} iotlb[CACHED];
	struct {
		bool valid;
		u64 lo, hi;
	} irtes[CACHED];
	bool hangs, sticks;	/* the queue, or all commands */
	unsigned waits, drains;
} m;

static struct iommu u;
static const struct pci_function *behind;
static u64 tsc;

u64 rdtsc(void)
{
	return tsc += 1000;
}
u64 arch_tsc_hz(void)
{
	return 1000000;
}
void cpu_relax(void)
{
}

static u8 heap[1 << 16];
static size_t heap_used;

void *kzalloc(size_t size)
{
	void *p = heap + heap_used;

	heap_used += ALIGN_UP(size, 16UL);
	assert_true(heap_used <= sizeof(heap));
	return memset(p, 0, size);
}

void kfree(void *p) { (void)p; }

void *iommu_new_table(struct page_table *pt)
{
	(void)pt;
	return alloc_page();
}

const struct pci_function *iommu_pci_bridge(u32 sbdf)
{
	(void)sbdf;
	return behind;
}

struct iommu *iommu_unit_of(u32 sbdf)
{
	(void)sbdf;
	return &u;
}

void iommu_died(struct iommu *unit) { unit->dead = true; }

const struct iommu_ops *iommu_driver = &vtd_ops;

/* --- The model --- */

static void run_queue(u64 tail)
{
	const u64 *q = phys_to_virt(m.iqa & PAGE_MASK);

	assert_true(m.gsts & QIES);
	for (; !m.hangs && m.iqh != tail; m.iqh = (m.iqh + 16) % PAGE_SIZE) {
		u64 lo = q[m.iqh / 8], hi = q[m.iqh / 8 + 1];

		switch (lo & 15) {
		case 1:
			assert_int_equal(lo, 0x11);
			memset(m.contexts, 0, sizeof(m.contexts));
			break;
		case 2:
			m.drains += (lo >> 6 & 3) == 3;
			for (unsigned i = 0; i < CACHED; i++)
				if ((lo >> 4 & 3) == 1 || m.iotlb[i].did == (lo >> 16 & 0xffff))
					m.iotlb[i].valid = false;
			break;
		case 4:
			if (!(lo & 16))
				memset(m.irtes, 0, sizeof(m.irtes));
			else
				m.irtes[(lo >> 32 & 0xffff) % CACHED].valid = false;
			break;
		case 5:
			assert_int_equal(lo & 0xffffffff, 0x25);
			*(u32 *)phys_to_virt(hi) = (u32)(lo >> 32);
			m.waits++;
			break;
		default:
			fail_msg("descriptor %lx", (unsigned long)lo);
		}
	}
}

static void command(u32 val)
{
	u32 changes = (val ^ (m.gsts & 0x96800000)) & 0x96800000;

	/* 11.4.4: one at a time. */
	assert_true(__builtin_popcount(changes | (val & 0x41000000)) <= 1);
	if (m.sticks)
		return;
	if (changes & QIES)
		m.iqh = 0;
	if (val & RTPS)
		m.root = m.rtaddr;
	if (val & IRTPS)
		m.irqs = m.irta;
	m.gsts = (m.gsts & 0x41000000) | val;
}

u64 iommu_read(struct iommu *unit, u32 reg, unsigned size)
{
	assert_ptr_equal(unit, &u);
	if (reg >= FAULTS && reg < FAULTS + sizeof(m.faults)) {
		const u64 *at = (const u64 *)m.faults + (reg - FAULTS) / 8;

		assert_int_equal(size, 8);
		return *at;
	}
	switch (reg) {
	case 0x08: return m.cap;
	case 0x10: return m.ecap;
	case 0x1c: return m.gsts;
	case 0x34:
		assert_int_equal(size, 4);
		m.fsts &= ~2U;
		for (unsigned i = 0; i < ARRAY_SIZE(m.faults); i++)
			m.fsts |= m.faults[i].hi >> 63 ? 2 : 0;
		return m.fsts;
	case 0x64: return m.pmen;
	}
	fail_msg("read of %x", reg);
	return 0;
}

void iommu_write(struct iommu *unit, u32 reg, unsigned size, u64 val)
{
	assert_ptr_equal(unit, &u);
	assert_int_equal(size, reg == 0x20 || reg == 0x88 || reg == 0x90 || reg == 0xb8 ? 8 : 4);
	if (reg >= FAULTS && reg < FAULTS + sizeof(m.faults)) {
		assert_int_equal(reg % 16, 12);
		assert_int_equal(val, 1U << 31);
		m.faults[(reg - FAULTS) / 16].hi &= ~BIT(63);
		return;
	}
	switch (reg) {
	case 0x18:
		command((u32)val);
		return;
	case 0x20:
		m.rtaddr = val;
		return;
	case 0x34:
		m.fsts &= ~(u32)val;
		return;
	case 0x38:
		m.fectl = (u32)val;
		return;
	case 0x64:
		m.pmen = (u32)val;
		return;
	case 0x88:
		if (m.gsts & QIES)
			run_queue(val);
		return;
	case 0x90:
		assert_false(m.gsts & QIES);
		m.iqa = val;
		return;
	case 0xb8:
		m.irta = val;
		return;
	}
	fail_msg("write to %x", reg);
}

static u8 record_fault(u16 sid, u64 address, bool write, u8 reason)
{
	for (unsigned i = 0; i < ARRAY_SIZE(m.faults); i++)
		if (!(m.faults[i].hi >> 63)) {
			m.faults[i].lo = address;
			/* Bits 55:40 are not to be relied upon. */
			m.faults[i].hi = BIT(63) | (write ? 0 : BIT(62)) | 0xffffUL << 40 |
					 (u64)reason << 32 | sid;
			return reason;
		}
	m.fsts |= 1;
	return reason;
}

/* Does what the unit does with a request. Returns the reason of a fault, or 0 and the address. */
static u8 dma(u32 sbdf, u64 address, bool write, u64 *out)
{
	u16 sid = sbdf & 0xffff;
	const u64 *root, *ctx;
	unsigned slot = sid % CACHED, level;
	u64 *t, e;

	assert_true(m.gsts & TE);
	if (!m.contexts[slot].valid || m.contexts[slot].sid != sid) {
		root = (u64 *)phys_to_virt(m.root) + 2 * (sid >> 8);
		if (!(*root & 1))
			return record_fault(sid, address, write, 1);
		ctx = (u64 *)phys_to_virt(*root & PTE_ADDR) + 2 * (sid & 0xff);
		if (!(ctx[0] & 1))
			return record_fault(sid, address, write, 2);
		assert_int_equal(ctx[0] & 0xfff, 1);
		m.contexts[slot].valid = true;
		m.contexts[slot].sid = sid;
		m.contexts[slot].lo = ctx[0];
		m.contexts[slot].hi = ctx[1];
	}
	level = 1 + (m.contexts[slot].hi & 7);
	assert_true(m.cap >> (8 + (m.contexts[slot].hi & 7)) & 1);
	if (address >> (12 + 9 * (level + 1)))
		return record_fault(sid, address, write, 4);
	t = phys_to_virt(m.contexts[slot].lo & PTE_ADDR);
	slot = address >> PAGE_SHIFT & (CACHED - 1);
	e = m.iotlb[slot].entry;
	if (!m.iotlb[slot].valid || m.iotlb[slot].page != address >> PAGE_SHIFT ||
	    m.iotlb[slot].did != (m.contexts[sid % CACHED].hi >> 8 & 0xffff)) {
		for (;; level--) {
			e = t[address >> (12 + 9 * level) & 511];
			if (!(e & 3) || !level || (e & 0x80))
				break;
			t = phys_to_virt(e & PTE_ADDR);
		}
		assert_true(!level || !(e & 0x80) || m.cap >> (33 + level) & 1);
		if (e & 3) {
			assert_int_equal(e & 0x800UL, 0);
			e += address & ((1UL << (12 + 9 * level)) - 1) & PAGE_MASK;
			m.iotlb[slot].valid = true;
			m.iotlb[slot].page = address >> PAGE_SHIFT;
			m.iotlb[slot].did = m.contexts[sid % CACHED].hi >> 8 & 0xffff;
			m.iotlb[slot].entry = e;
		}
	}
	if (!(e & (write ? 2 : 1)))
		return record_fault(sid, address, write, write ? 5 : 6);
	*out = (e & PTE_ADDR) | (address & ~PAGE_MASK);
	return 0;
}

static u64 posted;

/* Remaps an interrupt. Returns the reason of a fault, or 0. */
static u8 interrupt(u32 sbdf, unsigned index, u32 *dest, u64 *entry)
{
	u64 lo, hi;
	u16 sid = sbdf & 0xffff;
	bool ok;

	assert_true(m.gsts & IRES);
	assert_true(index < 2U << (m.irqs & 15));
	if (!m.irtes[index % CACHED].valid) {
		const u64 *e = (u64 *)phys_to_virt(m.irqs & PTE_ADDR) + 2 * index;

		if (!(e[0] & 1))
			return record_fault(sid, (u64)index << 48, true, 0x22);
		m.irtes[index % CACHED].lo = e[0];
		m.irtes[index % CACHED].hi = e[1];
		m.irtes[index % CACHED].valid = true;
	}
	lo = m.irtes[index % CACHED].lo;
	hi = m.irtes[index % CACHED].hi;
	ok = (hi >> 18 & 3) == 1 ? sid == (hi & 0xffff) && !(hi >> 16 & 3) :
	     (hi >> 18 & 3) == 2 ? sid >> 8 >= (hi >> 8 & 0xff) && sid >> 8 <= (hi & 0xff) :
				   false;
	if (!ok)
		return record_fault(sid, (u64)index << 48, true, 0x26);
	/* Posted (9.11): reserved bits are 0, and the address of the descriptor is in two parts. */
	posted = lo >> 15 & 1 ? (lo >> 38 << 6 & 0xffffffff) | hi >> 32 << 32 : 0;
	if (posted)
		assert_int_equal(lo & 0x3fff0030feUL, 0);
	else
		assert_int_equal(hi >> 20, 0);
	*dest = (u32)(m.irqs >> 11 & 1 ? lo >> 32 : lo >> 40 & 0xff);
	*entry = lo & 0xffffffff;
	return 0;
}

/* --- Tests --- */

static int setup(void **state)
{
	(void)state;
	m = (struct model){ .cap = CAP_QEMU | 3UL << 40, .ecap = ECAP_QEMU };
	u = (struct iommu){ .ops = &vtd_ops, .base = 0xfed90000, .segment = 1, .in_use = true };
	iommu_remapping = true;
	x86.x2apic = false;
	behind = NULL;
	heap_used = 16;
	u.commands = alloc_page();
	spin_init(&u.lock, LOCK_IOMMU);
	host_log_clear();
	return 0;
}

static void start(void)
{
	assert_null(vtd_ops.start(&u));
	assert_silent();
	assert_int_equal(m.gsts & (TE | RTPS | QIES), TE | RTPS | QIES);
	assert_true(m.fectl >> 31);
}

static struct iommu_domain *tables(u16 id)
{
	struct iommu_domain *d = kzalloc(sizeof(*d));

	d->id = id;
	d->pt.format = &vtd_ops.format;
	d->pt.root = alloc_page();
	assert_non_null(pt_make(&d->pt, 0, 2));
	return d;
}

static void map(struct iommu_domain *d, gfn_t gfn, unsigned level, u64 entry)
{
	*pt_make(&d->pt, gfn, level) = entry | (level ? PTE_PS : 0);
}

static void test_start(void **state)
{
	u64 address;

	(void)state;
	start();
	assert_true(u.remaps);
	assert_int_equal(u.max_level, 2);
	assert_int_equal(m.gsts & (IRES | IRTPS | CFIS), IRES | IRTPS);
	assert_int_equal(dma(5, 0x1000, false, &address), 1);
	setup(NULL);
	m.cap &= ~(3UL << 34);
	start();
	assert_int_equal(u.max_level, 0);
	setup(NULL);
	m.cap &= ~(1UL << 35);
	start();
	assert_int_equal(u.max_level, 1);
}

/* Firmware had it on: translation never goes off. */
static void test_left_on(void **state)
{
	(void)state;
	m.gsts = TE | RTPS | QIES | IRES | IRTPS | CFIS;
	m.iqa = virt_to_phys(alloc_page());
	m.cap |= 3 << 5;
	m.pmen = 1U << 31;
	start();
	assert_int_equal(m.gsts & (IRES | CFIS), IRES);
	assert_int_equal(m.pmen, 0);
}

static void assert_refused(const char *why)
{
	assert_string_equal(vtd_ops.start(&u), why);
	assert_int_equal(m.gsts, 0);
	setup(NULL);
}

static void test_refused(void **state)
{
	(void)state;
	m.cap = ~0UL;
	assert_refused("it does not answer");
	m.ecap &= ~2UL;
	assert_refused("it has no queue of invalidations");
	m.cap |= 1 << 7;
	assert_refused("it is an emulated one in caching mode");
	m.cap |= 1 << 4;
	assert_refused("it needs flushes of a write buffer");
	m.cap &= ~(6UL << 8);
	assert_refused("it has no tables of 3 or 4 levels");
	m.sticks = true;
	assert_string_equal(vtd_ops.start(&u), "it does not answer");
	setup(NULL);
	/* What firmware left on is off then. */
	m.hangs = true;
	m.gsts = TE;
	assert_string_equal(vtd_ops.start(&u), "it does not answer");
	assert_false(m.gsts & TE);
	setup(NULL);
	/* Interrupts as before, by choice or for want of ability. */
	m.ecap &= ~8UL;
	start();
	assert_false(u.remaps);
	setup(NULL);
	iommu_remapping = false;
	start();
	assert_false(u.remaps || m.gsts & IRES);
}

static void test_dma(void **state)
{
	struct iommu_domain *a = tables(2), *b = tables(3);
	u64 address = 0;

	(void)state;
	start();
	map(a, 5, 0, 0x1234000 | 3);
	map(a, 6, 0, 0x1235000 | 1);
	map(a, 512, 1, 0x40000000 | 3);
	map(a, 7UL << 18, 2, 0x80000000 | 3);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), a), 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x5678, true, &address), 0);
	assert_int_equal(address, 0x1234678);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x6000, false, &address), 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x6000, true, &address), 5);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x7000, false, &address), 6);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x234567, true, &address), 0);
	assert_int_equal(address, 0x40034567);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), (7UL << 30) + 0x123456, true, &address), 0);
	assert_int_equal(address, 0x80123456);
	assert_int_equal(dma(PCI_SBDF(1, 2, 9), 0x5000, true, &address), 2);
	assert_int_equal(dma(PCI_SBDF(1, 3, 8), 0x5000, true, &address), 1);

	/* A page goes: a flush of its domain alone. */
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 9), b), 0);
	map(b, 5 + 16, 0, 0x2345000 | 3);
	assert_int_equal(dma(PCI_SBDF(1, 2, 9), 0x15000, true, &address), 0);
	map(b, 5 + 16, 0, 0);
	map(a, 5, 0, 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x5000, true, &address), 0);
	m.drains = 0;
	vtd_ops.flush(&u, a);
	assert_int_equal(m.drains, 1);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x5000, true, &address), 5);
	assert_int_equal(dma(PCI_SBDF(1, 2, 9), 0x15000, true, &address), 0);

	/* The function goes, with what caches have of it. */
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x6000, false, &address), 0);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), NULL), 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x6000, false, &address), 2);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), NULL), 0);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 99, 8), NULL), 0);
	map(a, 6, 0, 0);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), a), 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x6000, false, &address), 6);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), NULL), 0);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 2, 8), b), 0);
	assert_int_equal(dma(PCI_SBDF(1, 2, 8), 0x15000, false, &address), 0);
}

static void test_three_levels(void **state)
{
	struct iommu_domain *d = tables(2);
	u64 address;

	(void)state;
	m.cap &= ~(4UL << 8);
	start();
	map(d, 3, 0, 0x9000 | 3);
	map(d, 1UL << 27, 0, 0x9000 | 3);
	assert_int_equal(vtd_ops.attach(&u, 0, d), 0);
	assert_int_equal(dma(0, 0x3000, true, &address), 0);
	assert_int_equal(dma(0, 1UL << 39, true, &address), 4);
}

static void test_limits(void **state)
{
	struct iommu_domain *d = tables(256), *few = tables(16);
	size_t kept = heap_used;

	(void)state;
	m.cap = (m.cap & ~7UL) | 2;
	start();
	assert_int_equal(vtd_ops.attach(&u, 7, d), -ENOSPC);
	arena_take_all_but(0);
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 3, 0), few), -ENOMEM);
	arena_give();
	assert_int_equal(vtd_ops.attach(&u, PCI_SBDF(1, 3, 0), few), 0);
	setup(NULL);
	heap_used = kept;
	m.cap &= ~7UL;
	start();
	assert_int_equal(vtd_ops.attach(&u, 7, few), -ENOSPC);
}

/* The queue wraps around; a unit that stops is noticed once, and not waited for again. */
static void test_queue(void **state)
{
	struct iommu_domain *d = tables(2);
	u64 before;

	(void)state;
	start();
	for (unsigned i = 0; i < 1000; i++)
		vtd_ops.flush(&u, d);
	assert_true(m.waits >= 1000);
	assert_false(u.dead);
	m.hangs = true;
	before = tsc;
	vtd_ops.flush(&u, d);
	assert_true(u.dead);
	assert_true(tsc - before >= 100000 && tsc - before < 120000);
	before = tsc;
	vtd_ops.flush(&u, d);
	assert_int_equal(vtd_ops.attach(&u, 5, NULL), 0);
	assert_int_equal(tsc, before);
}

static void test_irqs(void **state)
{
	const u32 sbdf = PCI_SBDF(1, 4, 3);
	struct iommu_irq i[8], other[2];
	u64 address, lo;
	u32 data, dest;

	(void)state;
	start();
	assert_int_equal(iommu_irq_alloc(other, 9), 0);
	assert_int_equal(alloc_irqs(i, 8, sbdf), 0);
	assert_int_equal(i[0].index, 1);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0x22);
	iommu_irq_route(&i[1], 6, 0x51, false);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0);
	assert_int_equal(dest, 6);
	assert_int_equal(lo, 0x51 << 16 | 1);
	assert_int_equal(interrupt(sbdf + 1, 2, &dest, &lo), 0x26);
	iommu_irq_message(&i[1], &address, &data);
	assert_int_equal(address, 0xfee00018);
	assert_int_equal(data, 2);

	/* Changes are effective at once. */
	iommu_irq_route(&i[1], 7, 0x51, true);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0);
	assert_int_equal(dest, 7);
	assert_int_equal(lo, 0x51 << 16 | 0x11);
	assert_int_equal(iommu_irq_rte(&i[1]), 2UL << 49 | 1UL << 48 | 0x8051);
	iommu_irq_route(&i[1], 7, 0, true);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0x22);
	i[1].nmi = true;
	iommu_irq_route(&i[1], 7, 0, false);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0);
	assert_int_equal(lo, 0x81);
	free_irqs(i, 8);
	assert_int_equal(interrupt(sbdf, 2, &dest, &lo), 0x22);

	/* Behind a bridge from PCI Express, to the buses 3 and 4: any id of these. */
	behind = &(const struct pci_function){ .sbdf = PCI_SBDF(1, 2, 8), .secondary = 3,
					       .express_type = PCI_EXP_TYPE_TO_PCI };
	assert_int_equal(alloc_irqs(i, 8, PCI_SBDF(1, 4, 16)), 0);
	assert_int_equal(i[0].index, 1);
	iommu_irq_route(&i[0], 1, 0x40, false);
	assert_int_equal(interrupt(PCI_SBDF(1, 3, 8), 1, &dest, &lo), 0);
	assert_int_equal(interrupt(PCI_SBDF(1, 4, 8), 1, &dest, &lo), 0);
	assert_int_equal(interrupt(PCI_SBDF(1, 2, 8), 1, &dest, &lo), 0x26);
	assert_int_equal(interrupt(PCI_SBDF(1, 5, 8), 1, &dest, &lo), 0x26);
	/* Behind an older bridge: the bridge's id alone, not those of its neighbours. */
	behind = &(const struct pci_function){ .sbdf = PCI_SBDF(1, 3, 8), .secondary = 4,
					       .express_type = PCI_EXP_TYPE_NONE };
	assert_int_equal(iommu_irq_alloc(other, PCI_SBDF(1, 4, 16)), 0);
	assert_int_equal(other[0].index, 9);
	iommu_irq_route(other, 1, 0x40, false);
	assert_int_equal(interrupt(PCI_SBDF(1, 3, 8), 9, &dest, &lo), 0);
	assert_int_equal(interrupt(PCI_SBDF(1, 3, 16), 9, &dest, &lo), 0x26);
	assert_int_equal(interrupt(PCI_SBDF(1, 4, 16), 9, &dest, &lo), 0x26);
}

static void test_x2apic(void **state)
{
	struct iommu_irq i;
	u64 lo;
	u32 dest;

	(void)state;
	x86.x2apic = true;
	m.ecap |= 16;
	start();
	assert_int_equal(iommu_irq_alloc(&i, 0), 0);
	iommu_irq_route(&i, 0x12345, 0x40, false);
	assert_int_equal(interrupt(0, 0, &dest, &lo), 0);
	assert_int_equal(dest, 0x12345);
}

static void test_posted(void **state)
{
	const u64 at[] = { 0xfedcba9876540UL << 6 & PTE_ADDR, 0xffffffc0UL, 1UL << 51 | 0x40 };
	struct iommu_irq i;
	u64 lo;
	u32 dest;

	(void)state;
	m.cap |= BIT(59);
	start();
	assert_int_equal(iommu_irq_alloc(&i, 7), 0);
	assert_true(iommu_irq_posts(&i));
	/* From one vCPU to another, to a CPU and back: each time at once. */
	for (unsigned n = 0; n < 8; n++) {
		i.posted = n % 4 < 3 ? at[n % 4] : 0;
		iommu_irq_route(&i, n, (u8)(0x50 + n), false);
		assert_int_equal(interrupt(7, 0, &dest, &lo), 0);
		assert_int_equal(posted, i.posted);
		assert_int_equal(lo & 0xffff7fff, (0x50 + n) << 16 | 1);
		if (!i.posted)
			assert_int_equal(dest, n);
		assert_int_equal(interrupt(8, 0, &dest, &lo), 0x26);
	}
	i.posted = at[0];
	iommu_irq_route(&i, 0, 0, false);
	assert_int_equal(interrupt(7, 0, &dest, &lo), 0x22);
}

/* A unit whose notifications would not have ids as the CPUs' APICs do does not post. */
static void test_posts(void **state)
{
	for (unsigned n = 0; n < 16; n++) {
		bool pi = n & 1, eim = n & 2, x2apic = n & 4, remapping = n & 8;

		setup(state);
		m.cap |= pi ? BIT(59) : 0;
		m.ecap |= eim ? 16 : 0;
		x86.x2apic = x2apic;
		iommu_remapping = remapping;
		start();
		assert_int_equal(u.posts, pi && remapping && (eim || !x2apic));
	}
}

static void test_faults(void **state)
{
	struct iommu_fault f;
	u64 address;
	u32 dest;

	(void)state;
	start();
	assert_false(vtd_ops.fault(&u, &f));
	dma(PCI_SBDF(1, 2, 8), 0x5678, true, &address);
	dma(PCI_SBDF(1, 2, 9), 0x9678, false, &address);
	interrupt(PCI_SBDF(1, 2, 9), 77, &dest, &address);
	assert_true(vtd_ops.fault(&u, &f));
	assert_int_equal(f.sbdf, PCI_SBDF(1, 2, 8));
	assert_int_equal(f.address, 0x5000);
	assert_true(f.write && !f.interrupt);
	assert_int_equal(f.reason, 1);
	assert_string_equal(vtd_ops.reasons[f.reason], "it has no owner");
	assert_true(vtd_ops.fault(&u, &f));
	assert_false(f.write);
	assert_int_equal(f.sbdf, PCI_SBDF(1, 2, 9));
	assert_true(vtd_ops.fault(&u, &f));
	assert_true(f.interrupt);
	assert_int_equal(f.address, 77);
	assert_false(vtd_ops.fault(&u, &f));
	for (unsigned i = 0; i < 9; i++)
		record_fault((u16)i, 0, true, (u8)(0x1f + i));
	for (unsigned i = 0; i < 4; i++) {
		assert_true(vtd_ops.fault(&u, &f));
	}
	assert_int_equal(m.fsts & 1, 1);
	assert_false(vtd_ops.fault(&u, &f));
	assert_int_equal(m.fsts & 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_start, setup),
		cmocka_unit_test_setup(test_left_on, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_dma, setup),
		cmocka_unit_test_setup(test_three_levels, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_queue, setup),
		cmocka_unit_test_setup(test_irqs, setup),
		cmocka_unit_test_setup(test_x2apic, setup),
		cmocka_unit_test_setup(test_posted, setup),
		cmocka_unit_test_setup(test_posts, setup),
		cmocka_unit_test_setup(test_faults, setup),
	};

	return cmocka_run_group_tests(tests, arena_setup, NULL);
}
