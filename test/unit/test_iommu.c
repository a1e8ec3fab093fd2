/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core of DMA fencing with a real p2m and a driver that records: which unit covers a function,
 * what functions reach while their domain's map changes, interrupts, faults, units that stop
 * answering.
 * unit-sources: iommu/iommu.c iommu/tables.c iommu/irq.c iommu/faults.c iommu/firmware.c iommu/dmar.c iommu/ivrs.c
 * unit-sources: arch/x86/guest/p2m.c arch/x86/guest/dirty_log.c arch/x86/mm/page_table.c drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c
 * unit-sources: drivers/acpi/serial.c drivers/acpi/mcfg.c arch/x86/mm/mtrr.c common/on_demand.c common/boot/memmap.c test/unit/arena.c
 */
#include "arena.h"
#include "irqs.h"

#include <margay/boot_state.h>
#include <margay/domain_parts.h>
#include <margay/pci.h>
#include <margay/timer.h>
#include <margay/vcpu.h>
#include <x86/features.h>
#include <x86/hvm.h>

#include "../../iommu/iommu_priv.h"

extern const struct domain_part iommu_part;

static struct cpu cpu;
struct cpu *host_cpu = &cpu, *housekeeping_cpu = &cpu;
static struct domain d, other;
struct domain *domain_slots[POLICY_MAX_DOMAINS];
struct acpi_info boot_acpi;
struct boot_info boot_info;
struct x86_features x86;

void vpci_follow(struct pci_function *f, bool now)
{
	(void)now;
	(void)f;
}

void domain_put(struct domain *dom)
{
	dom->refs--;
}
void arch_cpu_kick(struct cpu *c)
{
	(void)c;
}
void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}
void cpu_relax(void)
{
}
u64 arch_tsc_hz(void)
{
	return 1000000;
}
void iommu_write(struct iommu *u, u32 reg, unsigned size, u64 val)
{
	(void)u, (void)reg, (void)size, (void)val;
}

#define LEAF (PTE_P | PTE_U)
static const struct hvm_ops nested = {
	.leaf = {
		[P2M_RAM] = LEAF | PTE_W,
		[P2M_SHARED] = LEAF | PTE_W,
		[P2M_SHARED_RO] = LEAF,
		[P2M_GRANT_RW] = LEAF | PTE_W,
		[P2M_GRANT_RO] = LEAF,
		[P2M_FOREIGN] = LEAF | PTE_W,
		[P2M_MMIO] = LEAF | PTE_W,
	},
};
const struct hvm_ops *hvm = &nested;

static unsigned objects;

void *kzalloc(size_t size)
{
	objects++;
	return calloc(1, size);
}

void kfree(void *p)
{
	objects -= !!p;
	free(p);
}

/* --- Time --- */

static stime_t time_now;
static struct timer *armed;

stime_t now(void) { return time_now; }
void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }

void timer_set(struct timer *t, stime_t expires)
{
	t->expires = expires;
	armed = t;
}

/* Lets the armed timer fire at its time, n times. */
static void poll_faults(unsigned n)
{
	while (n--) {
		if (armed) {
			time_now = max(time_now, armed->expires);
			armed->fn(armed);
		}
		assert_true(cpu.work & CPU_WORK_ERRORS);
		cpu.work = 0;
		iommu_report_faults();
		assert_non_null(armed);
	}
}

/* --- PCI: 00:02.0 a conventional bridge to bus 5, 00:03.0 an Express port to buses 6 and 7 --- */

#define F(bus, dev, fn) PCI_SBDF(0, bus, (dev) << 3 | (fn))
static struct pci_function functions[] = {
	{ .sbdf = F(0, 1, 0), .express_type = 0xff },
	{ .sbdf = F(0, 2, 0), .header = 1, .express_type = 0xff, .secondary = 5, .subordinate = 5 },
	{ .sbdf = F(0, 3, 0), .header = 1, .express_type = 4, .secondary = 6, .subordinate = 7 },
	{ .sbdf = F(5, 0, 0), .express_type = 0xff, .bridge = &functions[1] },
	{ .sbdf = F(5, 1, 0), .express_type = 0xff, .bridge = &functions[1] },
	{ .sbdf = F(6, 0, 0), .express_type = 0, .bridge = &functions[2] },
	{ .sbdf = F(7, 0, 0), .express_type = 0, .bridge = &functions[2] },
};
static u32 commands[ARRAY_SIZE(functions)];
struct list pci_functions;
struct spinlock pci_lock = SPINLOCK_INIT(LOCK_DEVICES);

struct pci_function *pci_find(u32 sbdf)
{
	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++)
		if (functions[i].sbdf == sbdf)
			return &functions[i];
	return NULL;
}

u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	struct pci_function *f = pci_find(sbdf);

	if (!f)
		return ~0U >> (32 - 8 * size);
	return reg == 4 ? commands[f - functions] : reg == 0x19 ? f->secondary : f->subordinate;
}

void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 val)
{
	struct pci_function *f = pci_find(sbdf);

	assert_int_equal(reg, 4);
	assert_int_equal(size, 2);
	if (f)
		commands[f - functions] = val;
}

static bool is_master(u32 sbdf)
{
	return commands[pci_find(sbdf) - functions] & 4;
}

/* --- Two units --- */

#define UNITS 2
static struct record {
	struct {
		u32 sbdf;
		const struct iommu_domain *domain;
	} attached[32];
	unsigned nr, flushes;
	struct iommu_fault faults[128];
	unsigned nr_faults;
} records[UNITS];
static u8 start_level[UNITS];
static bool start_fails[UNITS], hangs;
static void (*on_flush)(void);

static struct record *of(struct iommu *u)
{
	assert_true(spin_is_locked(&u->lock));
	if (hangs && !u->dead)
		iommu_died(u);
	return &records[u->index];
}

static const char *fake_start(struct iommu *u)
{
	u->max_level = start_level[u->index];
	u->remaps = iommu_remapping;
	return start_fails[u->index] ? "it is old" : NULL;
}

static int fake_attach(struct iommu *u, u32 sbdf, const struct iommu_domain *id)
{
	struct record *r = of(u);

	for (unsigned i = 0; i < r->nr; i++)
		if (r->attached[i].sbdf == sbdf && id) {
			assert_ptr_equal(r->attached[i].domain, id);
			return 0;
		} else if (r->attached[i].sbdf == sbdf) {
			r->attached[i] = r->attached[--r->nr];
			return 0;
		}
	if (id) {
		assert_true(id->units & 1UL << u->index);
		r->attached[r->nr].sbdf = sbdf;
		r->attached[r->nr++].domain = id;
	}
	return 0;
}

static void fake_flush(struct iommu *u, const struct iommu_domain *id)
{
	struct record *r = of(u);
	unsigned n = 0;

	r->flushes++;
	for (unsigned i = 0; i < r->nr; i++)
		n += r->attached[i].domain == id;
	assert_true(n);
	if (on_flush)
		on_flush();
}

static struct iommu_irqs *fake_irqs(struct iommu *u, u32 sbdf)
{
	(void)sbdf;
	of(u);
	return u->irqs ? u->irqs : iommu_new_irqs(u, 0, 512, 8);
}

static u8 written_vector;
static void fake_irq_write(struct iommu *u, const struct iommu_irq *i)
{
	written_vector = i->vector;
	of(u);
}

static void fake_irq_message(const struct iommu_irq *i, u64 *address, u32 *data)
{
	*address = 0xabc;
	*data = i->index;
}

static u64 fake_irq_rte(const struct iommu_irq *i) { return 1UL << 48 | i->vector; }

static bool fake_fault(struct iommu *u, struct iommu_fault *f)
{
	struct record *r = of(u);

	if (!r->nr_faults)
		return false;
	*f = r->faults[--r->nr_faults];
	return true;
}

static u64 wrote;
static bool check_lock;
static void fake_written(const u64 *at, unsigned n)
{
	(void)at;
	wrote += n;
	/* Readers are units; writers hold the lock, but for new tables. */
	assert_true(!check_lock || spin_is_locked(&d.p2m.lock));
}

static const char *const reasons[6] = { [5] = "no" };

#define MAY_READ BIT(0)
#define MAY_WRITE BIT(5)
#define FAKE                                                                                  \
	{                                                                                     \
		.name = "a unit", .regs_size = 4096, .start = fake_start, .attach = fake_attach, \
		.flush = fake_flush, .irqs = fake_irqs, .irq_write = fake_irq_write,             \
		.irq_message = fake_irq_message, .irq_rte = fake_irq_rte, .fault = fake_fault,   \
		.reasons = reasons, .nr_reasons = 6, .leaf_read = MAY_READ,                      \
		.leaf_write = MAY_WRITE,                                                         \
		.format = { .table = PTE_P,                                                   \
			    .new_table = iommu_new_table,                                     \
			    .written = fake_written },                                        \
	}
const struct iommu_ops vtd_ops = FAKE, amdvi_ops = FAKE;

void *map_mmio(paddr_t pa, size_t size)
{
	assert_int_equal(size, 4096);
	return pa ? &records : NULL;
}

static bool is_attached(unsigned unit, u32 sbdf, const void *domain)
{
	for (unsigned i = 0; i < records[unit].nr; i++)
		if (records[unit].attached[i].sbdf == sbdf)
			return records[unit].attached[i].domain == domain;
	return !domain;
}

/* --- The machine --- */

static u8 dmar[1024];

static void add(const void *bytes, unsigned n)
{
	memcpy(dmar + boot_acpi.iommus_size, bytes, n);
	boot_acpi.iommus_size += n;
}

/* A path of functions, from a root bus. */
static void add_scope(u8 type, u8 id, u8 bus, const u8 *path, u8 n)
{
	add((u8[]){ type, 6 + n, 0, 0, id, bus }, 6);
	add(path, n);
}

static void add_unit(bool all, u64 base, u8 scopes)
{
	add((u8[]){ 0, 0, 16 + scopes, 0, all, 0, 0, 0 }, 8);
	add(&base, 8);
}

static void add_region(u64 base, u64 size, u8 dev)
{
	u64 limit = base + size - 1;

	add((u8[]){ 1, 0, 32, 0, 0, 0, 0, 0 }, 8);
	add(&base, 8);
	add(&limit, 8);
	add_scope(1, 0, 0, (u8[]){ dev, 0 }, 2);
}

/* Unit 0 has 00:01.0, the bridge to bus 5 and the IO-APIC; unit 1 the rest of segment 0. */
static void build_machine(void)
{
	memset(dmar, 0, sizeof(dmar));
	memcpy(dmar, "DMAR", 4);
	dmar[37] = 1;
	boot_acpi.iommus = dmar;
	boot_acpi.iommus_size = 48;
	add_unit(false, 0xfed90000, 24);
	add_scope(1, 0, 0, (u8[]){ 1, 0 }, 2);
	add_scope(2, 0, 0, (u8[]){ 2, 0 }, 2);
	add_scope(3, 2, 0xf0, (u8[]){ 31, 7 }, 2);
	add_unit(true, 0xfed91000, 0);
	boot_acpi.ioapics[0].id = 2;
	boot_acpi.nr_ioapics = 1;
}

static struct iommu *unit(unsigned n) { return n ? unit(n - 1)->next : iommu_units; }

static void forget_units(void)
{
	struct iommu_region *region;
	struct iommu_range *r;
	struct iommu *u;

	while ((u = iommu_units)) {
		iommu_units = u->next;
		free_page(u->commands);
		if (u->irqs)
			free_pages(u->irqs->entries, 1);
		kfree(u->irqs);
		kfree(u);
	}
	while ((r = iommu_ranges)) {
		iommu_ranges = r->next;
		kfree(r);
	}
	while ((region = iommu_regions)) {
		iommu_regions = region->next;
		kfree(region);
	}
}

static int setup(void **state)
{
	(void)state;
	boot_acpi = (struct acpi_info){ 0 };
	memset(records, 0, sizeof(records));
	iommu_driver = NULL;
	list_init(&pci_functions);
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		commands[i] = 7;
		functions[i].dma = NULL;
		functions[i].faults.run = functions[i].faults.cut = 0;
		functions[i].faults.poll = 0;
		list_add_tail(&functions[i].link, &pci_functions);
	}
	start_level[0] = start_level[1] = 2;
	start_fails[0] = start_fails[1] = hangs = false;
	on_flush = NULL;
	armed = NULL;
	d = (struct domain){ .id = 1, .slot = 0, .max_pages = 16384 };
	other = (struct domain){ .id = 2, .slot = 1, .max_pages = 16384 };
	host_log_clear();
	build_machine();
	arena_mark();
	assert_int_equal(p2m_part.create(&d), 0);
	assert_int_equal(p2m_part.create(&other), 0);
	return 0;
}

static u64 counted[4];

static void count(void *to, const char *group, const char *name, u32 sub, u64 value)
{
	static const char *const names[] = { "iommu-mapped", "reported", "suppressed", "cut-off" };

	(void)to;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i])) {
			assert_string_equal(group, i ? "iommu" : "memory");
			counted[i] = !i || sub ? value : counted[i];
			return;
		}
	assert_string_equal(name, "iommu-tables");
	counted[1] = value;
}

static u64 pages_of(const u64 *t, unsigned level, u64 *tables)
{
	u64 n = 0;

	++*tables;
	for (unsigned i = 0; i < 512; i++)
		if (pt_present(t[i]))
			n += pt_is_leaf(t[i], level) ? 1UL << 9 * level :
						       pages_of(pt_table(t[i]), level - 1, tables);
	return n;
}

/* The counters are what a walk of the tables finds. */
static void check_counters(const struct domain *dom)
{
	const struct iommu_domain *id = dom->iommu;
	u64 tables = 0, pages = id ? pages_of(id->pt.root, 3, &tables) : 0;

	iommu_counters_of_domain(dom, count, NULL);
	assert_int_equal(counted[0], pages << PAGE_SHIFT);
	assert_int_equal(counted[1], tables << PAGE_SHIFT);
}

static void assert_counts(u64 reported, u64 suppressed, u64 cut_off)
{
	iommu_counters_of_machine(count, NULL);	/* of unit 1 */
	assert_int_equal(counted[1], reported);
	assert_int_equal(counted[2], suppressed);
	assert_int_equal(counted[3], cut_off);
}

static void destroy(struct domain *dom)
{
	unsigned steps = 0;

	check_counters(dom);

	while (iommu_part.destroy(dom) == -ERESTART)
		assert_true(++steps < 1000);
	assert_int_equal(iommu_part.destroy(dom), 0);
	while (p2m_part.destroy(dom) == -ERESTART)
		;
	iommu_part.free(dom);
	dom->iommu = NULL;
	assert_int_equal(dom->meta_pages, 0);
	assert_int_equal(dom->tot_pages, 0);
}

static int teardown(void **state)
{
	(void)state;
	destroy(&d);
	destroy(&other);
	forget_units();
	arena_check();
	assert_int_equal(objects, 0);
	assert_lines_fit();
	return 0;
}

static int attach(struct domain *dom, u32 sbdf)
{
	unsigned steps = 0;
	int rc;

	while ((rc = iommu_attach(dom, pci_find(sbdf))) == -ERESTART)
		assert_true(++steps < 1000);
	return rc;
}

static mfn_t ram(unsigned order)
{
	mfn_t mfn;

	assert_int_equal(dom_alloc(&d, order, &mfn), 0);
	return mfn;
}

/* Walks like a unit. Returns the entry, with the exact page in place of the address. */
static u64 device_entry(const struct page_table *pt, gfn_t gfn, unsigned *level)
{
	u64 *at, e = pt_walk(pt, gfn, level, &at);

	return e & PTE_P ? e + ((gfn & ((1UL << 9 * *level) - 1)) << PAGE_SHIFT) : 0;
}

/* A device reaches what the p2m maps as memory. */
static void assert_same(gfn_t gfn)
{
	const struct iommu_domain *id = d.iommu;
	struct p2m_entry e = p2m_lookup(&d, gfn);
	unsigned level;
	u64 bits = device_entry(&id->pt, gfn, &level), want = 0;

	if (e.type == P2M_RAM || e.type == P2M_GRANT_RW || e.type == P2M_FOREIGN)
		want = e.mfn << PAGE_SHIFT | MAY_READ | MAY_WRITE;
	else if (e.type == P2M_GRANT_RO)
		want = e.mfn << PAGE_SHIFT | MAY_READ;
	if ((bits & ~PTE_PS) != want)
		fail_msg("gfn %lx: %lx, not %lx", (unsigned long)gfn, (unsigned long)bits,
			 (unsigned long)want);
}

/* --- Tests --- */

static void test_coverage(void **state)
{
	(void)state;
	/* A second unit's path: 00:03.0, then 6:00.0; and one that leads nowhere. */
	boot_acpi.iommus_size -= 16;
	add_unit(false, 4096, 20);
	add_scope(1, 0, 0, (u8[]){ 3, 0, 0, 0 }, 4);
	add_scope(1, 0, 0, (u8[]){ 1, 0, 1, 0 }, 4);
	assert_false(iommu_present());
	iommu_init();
	assert_true(iommu_present());
	assert_logged("its path leads to no bus");
	assert_int_equal(host_logged("DMA blocked, 1G pages, interrupts remapped"), 2);
	assert_ptr_equal(iommu_unit_of(F(0, 1, 0)), unit(0));
	assert_ptr_equal(iommu_unit_of(F(0, 2, 0)), unit(0));
	assert_ptr_equal(iommu_unit_of(F(5, 31, 7)), unit(0));
	assert_ptr_equal(iommu_unit_of(F(6, 0, 0)), unit(1));
	assert_false(iommu_covers(F(7, 0, 0)));
	assert_false(iommu_covers(F(0, 3, 0)));
	assert_false(iommu_covers(PCI_SBDF(1, 5, 0)));
	assert_int_equal(attach(&d, F(7, 0, 0)), -ENODEV);
	/* A virtual function is the unit's that has its physical one. */
	pci_find(F(7, 0, 0))->physfn = pci_find(F(6, 0, 0));
	assert_ptr_equal(iommu_unit_of(F(7, 0, 0)), unit(1));
	assert_int_equal(attach(&d, F(7, 0, 0)), 0);
	assert_ptr_equal(pci_find(F(7, 0, 0))->dma, d.iommu);
	iommu_detach(pci_find(F(7, 0, 0)));
	pci_find(F(7, 0, 0))->physfn = NULL;
}

static void test_no_unit(void **state)
{
	struct iommu_irq i;
	u64 address;
	u32 data;

	(void)state;
	start_fails[0] = start_fails[1] = true;
	iommu_init();
	assert_false(iommu_present());
	assert_int_equal(host_logged("blocks no DMA: it is old"), 2);
	assert_int_equal(attach(&d, F(0, 1, 0)), -ENODEV);
	assert_int_equal(iommu_irq_alloc(&i, F(0, 1, 0)), 0);
	iommu_irq_route(&i, 3, 0x41, false);
	iommu_irq_message(&i, &address, &data);
	assert_int_equal(address, 0xfee03000);
	assert_int_equal(data, 0x41);
	iommu_irq_route(&i, 3, 0x41, true);
	assert_int_equal(iommu_irq_rte(&i), 3UL << 56 | 0x8041);
	i.nmi = true;
	iommu_irq_route(&i, 3, 0, false);
	assert_int_equal(iommu_irq_rte(&i), 3UL << 56 | 0x400);
	iommu_irq_free(&i);
	iommu_start_polling();
	assert_int_equal(cpu.work, 0);
}

/* One unit of two: the functions of the other stay uncovered, though the first is for all. */
static void test_half(void **state)
{
	(void)state;
	start_fails[0] = true;
	iommu_init();
	assert_true(iommu_present());
	assert_false(iommu_covers(F(0, 1, 0)));
	assert_true(iommu_covers(F(6, 0, 0)));
	assert_false(iommu_isolates(F(0, 1, 0)));
	assert_true(iommu_isolates(F(6, 0, 0)));
	/* It fences DMA alone: a guest's device could send any interrupt to any CPU. */
	unit(1)->remaps = false;
	assert_true(iommu_covers(F(6, 0, 0)));
	assert_false(iommu_isolates(F(6, 0, 0)));
}

static void test_attach(void **state)
{
	(void)state;
	iommu_init();
	assert_int_equal(p2m_map(&d, 512, ram(9), 9, P2M_RAM), 0);
	assert_int_equal(attach(&d, F(6, 0, 0)), 0);
	assert_true(is_attached(1, F(6, 0, 0), d.iommu));
	assert_int_equal(attach(&d, F(6, 0, 0)), 0);
	assert_int_equal(attach(&other, F(6, 0, 0)), -EBUSY);
	assert_same(512 + 7);
	assert_same(0);
	/* Only units with functions of the domain are flushed. */
	assert_int_equal(p2m_unmap(&d, 512, ~0U), 0);
	assert_int_equal(records[1].flushes, 1);
	assert_int_equal(records[0].flushes, 0);
	assert_same(512);
	assert_same(513);
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	assert_int_equal(p2m_unmap(&d, 513, ~0U), 0);
	assert_int_equal(records[0].flushes, 1);
	iommu_detach(pci_find(F(6, 0, 0)));
	iommu_detach(pci_find(F(6, 0, 0)));
	assert_true(is_attached(1, F(6, 0, 0), NULL));
	assert_int_equal(p2m_unmap(&d, 514, ~0U), 0);
	assert_int_equal(records[1].flushes, 2);
	assert_int_equal(records[0].flushes, 2);
	/* The next owner. */
	assert_int_equal(attach(&other, F(6, 0, 0)), 0);
	assert_true(is_attached(1, F(6, 0, 0), other.iommu));
	iommu_detach(pci_find(F(6, 0, 0)));
	iommu_detach(pci_find(F(0, 1, 0)));
	assert_int_equal(records[0].nr + records[1].nr, 0);
}

/* Behind a bridge to conventional PCI, functions share the bridge's ids. */
static void test_bridge(void **state)
{
	(void)state;
	iommu_init();
	assert_ptr_equal(iommu_pci_bridge(F(5, 1, 0)), &functions[1]);
	assert_null(iommu_pci_bridge(F(6, 0, 0)));
	assert_int_equal(attach(&d, F(5, 1, 0)), 0);
	assert_int_equal(attach(&d, F(5, 0, 0)), 0);
	assert_int_equal(records[0].nr, 3);
	assert_int_equal(attach(&other, F(5, 0, 0)), -EBUSY);
	iommu_detach(pci_find(F(5, 1, 0)));
	assert_true(is_attached(0, F(5, 1, 0), NULL));
	assert_true(is_attached(0, F(0, 2, 0), d.iommu));
	/* What shares the bridge cannot be another domain's, and a failed call leaves nothing. */
	assert_int_equal(attach(&other, F(5, 1, 0)), -EBUSY);
	assert_int_equal(records[0].nr, 2);
	iommu_detach(pci_find(F(5, 0, 0)));
	assert_int_equal(records[0].nr, 0);
	/* An alias of IVRS. */
	iommu_add_range(&(struct iommu_range){
		.unit = unit(0), .first = F(0, 1, 0), .last = F(0, 1, 0), .alias = F(0, 20, 4) });
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	assert_true(is_attached(0, F(0, 20, 4), d.iommu));
	iommu_detach(pci_find(F(0, 1, 0)));
	assert_int_equal(records[0].nr, 0);
}

/* The tables are made in steps while the map changes. */
static void test_steps(void **state)
{
	unsigned steps = 0;
	int rc;

	(void)state;
	iommu_init();
	for (gfn_t g = 0; g < 1400; g++)
		assert_int_equal(p2m_map(&d, g, ram(0), 0, P2M_RAM), 0);
	while ((rc = iommu_attach(&d, pci_find(F(0, 1, 0)))) == -ERESTART) {
		assert_true(is_attached(0, F(0, 1, 0), NULL));
		assert_int_equal(p2m_unmap(&d, steps, ~0U), 0);
		assert_int_equal(p2m_unmap(&d, 1399 - steps, ~0U), 0);
		assert_int_equal(p2m_map(&d, 1500 + steps, ram(0), 0, P2M_RAM), 0);
		steps++;
	}
	assert_int_equal(rc, 0);
	assert_true(steps >= 5 && steps < 16);
	for (gfn_t g = 0; g < 2048; g++)
		assert_same(g);
	assert_true(wrote > 1400);
	iommu_detach(pci_find(F(0, 1, 0)));
}

static void test_sizes(void **state)
{
	const mfn_t big = 4UL << 18;
	const struct iommu_domain *id;
	unsigned level;

	(void)state;
	/* Unit 1 has no leaves of 1G: nobody's tables have. */
	start_level[1] = 1;
	iommu_init();
	assert_int_equal(p2m_map(&d, 1UL << 18, big, 18, P2M_GRANT_RW), 0);
	assert_int_equal(p2m_map(&d, 2UL << 18, big, 18, P2M_MMIO), 0);
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	id = d.iommu;
	device_entry(&id->pt, 1UL << 18, &level);
	assert_int_equal(level, 1);
	for (gfn_t g = 1UL << 18; g < 3UL << 18; g += 511)
		assert_same(g);
	assert_int_equal(p2m_map(&d, 3UL << 18, big, 18, P2M_GRANT_RO), 0);
	assert_int_equal(p2m_unmap(&d, (3UL << 18) + 12345, ~0U), 0);
	for (gfn_t g = 3UL << 18; g < 4UL << 18; g++)
		assert_same(g);
	iommu_detach(pci_find(F(0, 1, 0)));
}

static void test_large(void **state)
{
	const struct iommu_domain *id;
	unsigned level;

	(void)state;
	iommu_init();
	assert_int_equal(p2m_map(&d, 1UL << 18, 4UL << 18, 18, P2M_GRANT_RW), 0);
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	id = d.iommu;
	device_entry(&id->pt, 1UL << 18, &level);
	assert_int_equal(level, 2);
	assert_int_equal(p2m_unmap(&d, (1UL << 18) + 777, ~0U), 0);
	for (gfn_t g = 1UL << 18; g < 2UL << 18; g++)
		assert_same(g);
	iommu_detach(pci_find(F(0, 1, 0)));
}

/* No leaves but 4K. */
static void test_small(void **state)
{
	(void)state;
	start_level[0] = 0;
	iommu_init();
	d.max_pages = 1UL << 20;
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	assert_int_equal(p2m_map(&d, 1UL << 18, 4UL << 18, 18, P2M_GRANT_RW), 0);
	for (gfn_t g = 1UL << 18; g < 2UL << 18; g += 7)
		assert_same(g);
	assert_int_equal(p2m_unmap(&d, (1UL << 18) + 1000, ~0U), 0);
	assert_same((1UL << 18) + 1000);
	iommu_detach(pci_find(F(0, 1, 0)));
}

/* Without memory for tables the map does not change, and a function is not attached. */
static void test_no_memory(void **state)
{
	mfn_t chunk = ram(9);

	(void)state;
	iommu_init();
	assert_int_equal(p2m_map(&d, 512, chunk, 9, P2M_RAM), 0);
	arena_take_all_but(1);
	assert_int_equal(attach(&d, F(0, 1, 0)), -ENOMEM);
	arena_give();
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	arena_take_all_but(1);
	assert_int_equal(p2m_unmap(&d, 513, ~0U), -ENOMEM);
	assert_same(513);
	assert_int_equal(p2m_lookup(&d, 513).type, P2M_RAM);
	arena_give();
	assert_int_equal(p2m_unmap(&d, 513, ~0U), 0);
	assert_same(513);
	iommu_detach(pci_find(F(0, 1, 0)));
}

#define GFNS 2048U
static void check_all(void)
{
	for (gfn_t g = 0; g < GFNS; g++)
		assert_same(g);
}

/* At each flush, before pages are released, devices reach what the map has. */
static void test_random(void **state)
{
	mfn_t lent;

	(void)state;
	iommu_init();
	domain_slots[1] = &other;
	assert_int_equal(dom_alloc(&other, 0, &lent), 0);
	for (unsigned n = 0; n < 6000; n++) {
		gfn_t gfn = arena_random() % GFNS;
		mfn_t mfn;

		if (n == 300)
			assert_int_equal(attach(&d, F(0, 1, 0)), 0);
		/* Checking all is slow. */
		on_flush = n > 300 && n % 64 == 0 ? check_all : NULL;
		switch (arena_random() % 5) {
		case 0:
			gfn &= ~511UL;
			if (!dom_alloc(&d, 9, &mfn) && p2m_map(&d, gfn, mfn, 9, P2M_RAM))
				dom_free(&d, mfn, 9);
			break;
		case 1:
			if (!dom_alloc(&d, 0, &mfn) && p2m_map(&d, gfn, mfn, 0, P2M_RAM))
				dom_free(&d, mfn, 0);
			break;
		case 2:
			p2m_map_over(&d, gfn, lent,
				     arena_random() % 2 ? P2M_GRANT_RW : P2M_GRANT_RO,
				     1U << P2M_RAM);
			break;
		case 3:
			p2m_unmap(&d, gfn, ~0U);
			break;
		default:
			p2m_unmap_pages(&d, gfn, 1 + arena_random() % P2M_BATCH, ~0U);
		}
	}
	check_all();
	assert_true(records[0].flushes > 1000);
	iommu_detach(pci_find(F(0, 1, 0)));
	for (gfn_t g = 0; g < GFNS; g++)
		p2m_unmap(&d, g, ~0U);
	dom_free(&other, lent, 0);
}

/* Firmware's regions: before there is an owner, and for the domain with the devices, but no other. */
static void test_reserved(void **state)
{
	static struct mem_range ram_map[] = { { 0, ARENA_SIZE, MEM_RAM } };
	const paddr_t far = 1UL << 33;
	const struct iommu_domain *id;
	unsigned level;
	mfn_t chunk = ram(9);
	gfn_t clash = (far >> PAGE_SHIFT) + 512;

	(void)state;
	boot_info.mem = ram_map;
	boot_info.nr_mem = 1;
	add_region(far, 3UL << 20, 1);
	/* It would give Margay's image away. */
	add_region(ARENA_IMAGE, PAGE_SIZE, 1);
	/* One of its own for a function of the other unit. */
	add_region(2 * far, 8UL << 30, 3);
	iommu_init();
	assert_logged("reserved memory 0x200000-0x200fff ignored: it has RAM");
	assert_true(iommu_has_reserved(F(0, 1, 0)));
	assert_false(iommu_isolates(F(0, 1, 0)));
	assert_false(iommu_has_reserved(F(6, 0, 0)));
	assert_int_equal(records[0].nr, 1);
	id = records[0].attached[0].domain;
	assert_int_equal(device_entry(&id->pt, far >> PAGE_SHIFT, &level),
			 far | MAY_READ | MAY_WRITE | PTE_PS);
	assert_int_equal(level, 1);
	assert_int_equal(device_entry(&id->pt, ARENA_IMAGE >> PAGE_SHIFT, &level), 0);
	assert_int_equal(device_entry(&id->pt, (far >> PAGE_SHIFT) + 768, &level), 0);

	d.hardware = true;
	arena_take_all_but(4);
	assert_int_equal(attach(&d, F(0, 1, 0)), -ENOMEM);
	assert_null(d.iommu);
	arena_give();
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	assert_true(is_attached(0, F(0, 1, 0), d.iommu));
	id = d.iommu;
	assert_int_equal(device_entry(&id->pt, (far >> PAGE_SHIFT) + 767, &level),
			 (far + (767UL << PAGE_SHIFT)) | MAY_READ | MAY_WRITE);
	assert_int_equal(level, 0);
	/* The domain maps a chunk where small leaves are. */
	assert_int_equal(p2m_map(&d, clash, chunk, 9, P2M_RAM), 0);
	for (gfn_t g = clash; g < clash + 512; g++)
		assert_same(g);
	check_lock = true;
	/* Its CPUs may use the memory, too. */
	assert_int_equal(p2m_map(&d, (2 * far >> PAGE_SHIFT) + 1024, 1024, 9, P2M_MMIO), 0);
	assert_int_equal(device_entry(&id->pt, (2 * far >> PAGE_SHIFT) + 1024, &level),
			 (2 * far + (1024UL << PAGE_SHIFT)) | MAY_READ | MAY_WRITE | PTE_PS);
	check_lock = false;
	assert_int_equal(attach(&other, F(6, 0, 0)), 0);
	id = other.iommu;
	assert_int_equal(device_entry(&id->pt, far >> PAGE_SHIFT, &level), 0);
	iommu_detach(pci_find(F(6, 0, 0)));
	iommu_detach(pci_find(F(0, 1, 0)));
	assert_int_equal(records[0].nr, 0);
	/* The tables of firmware's domain stay for good. */
	destroy(&d);
	destroy(&other);
	forget_units();
	arena_mark();
	boot_info.nr_mem = 0;
}

/* A unit that no answer from 0xfed90000: its functions are stopped, and it is not used any more. */
static void test_dead(void **state)
{
	(void)state;
	iommu_init();
	assert_int_equal(attach(&d, F(0, 1, 0)), 0);
	assert_int_equal(attach(&d, F(6, 0, 0)), 0);
	assert_int_equal(p2m_map(&d, 5, ram(0), 0, P2M_RAM), 0);
	hangs = true;
	assert_int_equal(p2m_unmap(&d, 5, ~0U), 0);
	assert_int_equal(host_logged("its functions are stopped"), 2);
	assert_false(is_master(F(0, 1, 0)));
	assert_false(is_master(F(6, 0, 0)));
	assert_true(is_master(F(7, 0, 0)));
	assert_false(iommu_covers(F(0, 1, 0)));
	assert_int_equal(attach(&other, F(7, 0, 0)), -ENODEV);
	iommu_detach(pci_find(F(0, 1, 0)));
	iommu_detach(pci_find(F(6, 0, 0)));
}

static void test_irqs(void **state)
{
	static struct iommu_irq more[1024];
	struct iommu_irq i[4];
	u64 address;
	u32 data, sbdf;

	(void)state;
	iommu_init();
	assert_int_equal(iommu_ioapic_sbdf(2, &sbdf), 0);
	assert_int_equal(sbdf, F(0xf0, 31, 7));
	assert_int_equal(iommu_ioapic_sbdf(3, &sbdf), -ENODEV);
	assert_int_equal(iommu_irq_alloc(i, sbdf), 0);
	assert_int_equal(i[0].index, 0);
	assert_int_equal(alloc_irqs(i, 4, sbdf), 0);
	assert_ptr_equal(i[3].unit, unit(0));
	assert_int_equal(i[3].index, 4);
	iommu_irq_route(&i[1], 7, 0x31, true);
	assert_int_equal(written_vector, 0x31);
	assert_int_equal(iommu_irq_rte(&i[1]), 1UL << 48 | 0x31);
	iommu_irq_message(&i[1], &address, &data);
	assert_int_equal(address, 0xabc);
	assert_int_equal(data, 2);
	/* What is freed blocks, and is used again. */
	assert_int_equal(alloc_irqs(more, 1024, sbdf), -ENOSPC);
	assert_int_equal(more[506].index, 511);
	free_irqs(i, 4);
	assert_int_equal(written_vector, 0);
	assert_int_equal(alloc_irqs(i, 4, sbdf), 0);
	assert_int_equal(i[0].index, 1);
	arena_take_all_but(0);
	assert_int_equal(iommu_irq_alloc(i, F(6, 0, 0)), -ENOMEM);
	arena_give();
}

/* An IO-APIC without a source id: its interrupts could not be remapped. */
static void test_lost_ioapic(void **state)
{
	struct iommu_irq i;

	(void)state;
	boot_acpi.ioapics[boot_acpi.nr_ioapics++].id = 9;
	iommu_init();
	assert_logged("an IO-APIC has no source id");
	assert_int_equal(iommu_irq_alloc(&i, F(0, 1, 0)), 0);
	assert_null(i.unit);
}

static void raise(u32 sbdf, unsigned n)
{
	while (n--)
		records[1].faults[records[1].nr_faults++] = (struct iommu_fault){
			.sbdf = sbdf, .address = 0x1000 * n, .write = n & 1, .reason = 5,
		};
}

static void test_faults(void **state)
{
	(void)state;
	iommu_init();
	assert_int_equal(attach(&d, F(6, 0, 0)), 0);
	iommu_start_polling();
	poll_faults(1);
	assert_int_equal(armed->expires - time_now, NS_PER_S);
	host_log_clear();
	raise(F(6, 0, 0), 2);
	poll_faults(1);
	assert_logged("iommu: 0000:06:00.0: write to 0x1000 blocked: no (5)");
	assert_logged("iommu: 0000:06:00.0: read of 0 blocked: no (5)");
	assert_counts(2, 0, 0);
	assert_int_equal(armed->expires - time_now, NS_PER_S / 100);
	poll_faults(101);
	assert_int_equal(armed->expires - time_now, NS_PER_S);

	/* At most ten lines a second; 64 faults are taken at once. */
	host_log_clear();
	raise(F(7, 0, 0), 100);
	poll_faults(1);
	assert_int_equal(records[1].nr_faults, 36);
	poll_faults(2);
	assert_int_equal(host_logged("blocked"), 10);
	assert_counts(12, 90, 0);
	time_now += NS_PER_S;
	raise(F(7, 0, 0), 1);
	poll_faults(1);
	assert_logged("iommu: 90 more faults");
	assert_true(is_master(F(7, 0, 0)));
	iommu_detach(pci_find(F(6, 0, 0)));
}

static void test_cut_off(void **state)
{
	u64 lines;

	(void)state;
	iommu_init();
	assert_int_equal(attach(&d, F(6, 0, 0)), 0);
	iommu_start_polling();
	for (unsigned i = 0; i < 99; i++) {
		raise(F(6, 0, 0), 3);
		poll_faults(1);
	}
	poll_faults(1);
	assert_true(is_master(F(6, 0, 0)));
	for (unsigned i = 0; i < 300; i++) {
		raise(F(6, 0, 0), 3);
		poll_faults(1);
	}
	assert_false(is_master(F(6, 0, 0)));
	assert_int_equal(host_logged("0000:06:00.0 has faults for ever: it is cut off"), 1);
	assert_true(is_attached(1, F(6, 0, 0), NULL));
	/* Later faults of it are no reason to hurry, nor to print. */
	host_log_clear();
	iommu_counters_of_machine(count, NULL);
	lines = counted[1];
	assert_true(lines >= 10 && lines < 99 * 3 + 299 && counted[3] == 1);
	raise(F(6, 0, 0), 3);
	poll_faults(1);
	assert_silent();
	assert_counts(lines, 399 * 3 + 3 - lines, 1);
	assert_int_equal(armed->expires - time_now, NS_PER_S);
	assert_true(is_master(F(7, 0, 0)));
	/* A new owner. */
	iommu_detach(pci_find(F(6, 0, 0)));
	assert_int_equal(attach(&other, F(6, 0, 0)), 0);
	raise(F(6, 0, 0), 1);
	poll_faults(1);
	assert_logged("0000:06:00.0: read of 0 blocked");
	/* A poll without a fault now and then does not help it; most without do. */
	for (unsigned i = 0; i < 1000; i++) {
		if (i % 3 == 0)
			raise(F(6, 0, 0), 1);
		poll_faults(1);
	}
	assert_int_equal(host_logged("0000:06:00.0 has faults for ever"), 0);
	for (unsigned i = 0; i < 310; i++) {
		if (i % 3)
			raise(F(6, 0, 0), 1);
		poll_faults(1);
	}
	assert_int_equal(host_logged("0000:06:00.0 has faults for ever"), 1);
	iommu_detach(pci_find(F(6, 0, 0)));
	/* Behind a bridge whose id it has: the bridge goes on, and serves the next owner. */
	commands[1] |= 4;
	for (unsigned i = 0; i < 2; i++) {
		struct domain *owner = i ? &other : &d;

		host_log_clear();
		commands[4] |= 4;
		assert_int_equal(attach(owner, F(5, 1, 0)), 0);
		assert_true(is_attached(0, F(0, 2, 0), owner->iommu));
		for (unsigned n = 0; n < 100; n++) {
			raise(F(0, 2, 0), 1);
			poll_faults(1);
		}
		assert_logged("0000:00:02.0 has faults for ever");
		assert_false(is_master(F(5, 1, 0)));
		assert_true(is_master(F(0, 2, 0)));
		iommu_detach(pci_find(F(5, 1, 0)));
	}
	/* One that nobody owns, too, and one that does not exist. */
	for (unsigned i = 0; i < 100; i++) {
		raise(F(7, 0, 0), 1);
		raise(F(0xf0, 31, 7), 1);
		poll_faults(1);
	}
	assert_false(is_master(F(7, 0, 0)));
	assert_logged("0000:f0:1f.7 has faults for ever");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_coverage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_unit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_ioapic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small, setup, teardown),
	};

	return cmocka_run_group_tests(tests, arena_setup, NULL);
}
