/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-Vi: a unit's device table, interrupt tables, commands and event log (AMD I/O Virtualization
 * Technology, 48882 rev. 3). The core holds the unit's lock. Every entry of the device table is
 * valid from the start, and blocks: the unit would let requests with an invalid one pass.
 */
#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/pci.h>
#include <x86/apic.h>

#include "iommu_priv.h"

/* Registers, 3.4 */
enum { DEVTAB_BASE = 0x00, CMD_BASE = 0x08, EVENT_BASE = 0x10, CONTROL = 0x18 };
enum { EXCLUSION_BASE = 0x20, FEATURES = 0x30, CMD_HEAD = 0x2000, CMD_TAIL = 0x2008 };
enum { EVENT_HEAD = 0x2010, EVENT_TAIL = 0x2018, STATUS = 0x2020, REGS_SIZE = 0x80000 };
#define RING_LEN (8UL << 56)	/* of CMD_BASE and EVENT_BASE: a page */
#define RING_MASK 0xff0UL
/* Bits of FEATURES, CONTROL (entries of interrupt tables have 128 bits; and destinations 32), STATUS */
enum { FEATURE_XT = 2, FEATURE_INVALIDATE_ALL = 6, FEATURE_GA = 7 };
enum { CONTROL_ENABLE = 0, CONTROL_EVENTS = 2, CONTROL_COHERENT = 10, CONTROL_COMMANDS = 12 };
enum { CONTROL_GA = 17, CONTROL_XT = 50 };
enum { STATUS_OVERFLOW = 0, STATUS_EVENTS = 3, STATUS_COMMANDS = 4 };
#define CONTROL_TIMEOUT_1S (4UL << 5)
#define CONTROL_OF_IVHD(flags) (((flags) & 1) << 1 | ((flags) & 6) << 7 | ((flags) & 8) << 8)

/* A device table entry, 2.2.2.1. What changes while the unit uses it is in one word. */
struct dte {
	u64 pages;		/* DTE_* and the root of the page tables */
	u64 domain;		/* the domain's id; bits 41:40: system management */
	u64 irqs;		/* IRQS_* and the interrupt table */
	u64 reserved;
};
#define DTE_BLOCKED 3UL		/* V, TV; mode 0, neither reads nor writes */
#define DTE_4_LEVELS (4UL << 9)
#define PTE_NEXT_LEVEL BIT(9)
#define PTE_COHERENT BIT(60)
#define PTE_READ BIT(61)	/* this and the next also of a DTE */
#define PTE_WRITE BIT(62)
#define IRQS_BLOCKED 1UL	/* IV; IntCtl 0 */
#define IRQS_REMAPPED (9UL << 1 | 2UL << 60)	/* 512 entries; IntCtl 2 */
#define IRQS_PASS(data_setting) (((data_setting) & 0xc7UL) << 56)
#define IRQS_PASS_NMI BIT(58)
#define IRQ_ENTRIES 512U	/* with more, an index would set data bits that other types have */

/* Commands, 2.4 */
#define CMD_WAIT (1UL << 60 | 1)	/* stores its second word */
#define CMD_DEVTAB (2UL << 60)
#define CMD_PAGES(domain) (3UL << 60 | (u64)(domain) << 32)
#define ALL_PAGES 0x7ffffffffffff003UL	/* S, PDE */
#define CMD_IRQS (5UL << 60)
#define CMD_ALL (8UL << 60)

/* Events, 2.5 */
enum { EVENT_PAGE_FAULT = 2, EVENT_BAD_COMMAND = 5, EVENT_COMMAND_ERROR = 6 };
#define EVENT_INTERRUPT BIT(51)
#define EVENT_WRITE BIT(53)

/* Interrupt table entries, 2.2.5.2: u32, or with FEATURE_XT pairs. Those in use have a vector. */
#define IRTE_ENABLE 1UL

/* Returns a function's entry, or NULL if the table does not have it. */
static struct dte *dte_of(struct iommu *u, u32 sbdf)
{
	return (sbdf & 0xffff) < u->nr_ids ? (struct dte *)u->table + (sbdf & 0xffff) : NULL;
}

static int amdvi_attach(struct iommu *u, u32 sbdf, const struct iommu_domain *d)
{
	struct dte *e = dte_of(u, sbdf);
	u64 before, pages = DTE_BLOCKED;

	if (!e)
		return d ? -ENOSPC : 0;
	before = e->domain & 0xffff;
	if (d) {
		WRITE_ONCE(e->domain, (e->domain & ~0xffffUL) | d->id);
		pages |= virt_to_phys(d->pt.root) | DTE_4_LEVELS | PTE_READ | PTE_WRITE;
	}
	WRITE_ONCE(e->pages, pages);
	iommu_execute(u, CMD_DEVTAB | (sbdf & 0xffff), 0);
	if (!d) /* the id may become another domain's */
		iommu_execute(u, CMD_PAGES(before), ALL_PAGES);
	return 0;
}

static void amdvi_flush(struct iommu *u, const struct iommu_domain *d)
{
	iommu_execute(u, CMD_PAGES(d->id), ALL_PAGES);
}

/* --- Interrupts --- */

/* Each source has a table of its own. */
static struct iommu_irqs *amdvi_irqs(struct iommu *u, u32 sbdf)
{
	u32 source = iommu_source_of(sbdf);
	struct dte *e = dte_of(u, source);
	struct iommu_irqs *t;

	if (chain_find(t, u->irqs, t->source == source))
		return t;
	t = e ? iommu_new_irqs(u, source, IRQ_ENTRIES, sizeof(struct iommu_pair)) : NULL;
	if (!t)
		return NULL;
	WRITE_ONCE(e->irqs, e->irqs | IRQS_REMAPPED | virt_to_phys(t->entries));
	iommu_execute(u, CMD_DEVTAB | (source & 0xffff), 0);
	return t;
}

/* Replaces an entry at once, so that no message is lost. */
static void amdvi_irq_write(struct iommu *u, const struct iommu_irq *i)
{
	bool reaches = u->wide || i->apic_id < XAPIC_BROADCAST;
	u64 low = i->vector && !i->nmi && reaches ? IRTE_ENABLE : 0;

	if (!reaches)
		pr_err("iommu: CPU %#x cannot have interrupts of devices\n", i->apic_id);
	low |= (i->apic_id & 0xffffffUL) << 8;
	if (u->wide)
		iommu_store_pair((struct iommu_pair *)i->table->entries + i->index, low,
				 (u64)(i->apic_id >> 24) << 56 | i->vector);
	else
		WRITE_ONCE(((u32 *)i->table->entries)[i->index], (u32)low | i->vector << 16);
	iommu_execute(u, CMD_IRQS | (i->table->source & 0xffff), 0);
}

static void amdvi_irq_message(const struct iommu_irq *i, u64 *address, u32 *data)
{
	*address = MSI_ADDRESS;
	*data = i->index;
}

/* NMIs pass or not, and are not remapped. */
static u64 amdvi_irq_rte(const struct iommu_irq *i)
{
	if (i->nmi)
		return (u64)i->apic_id << 56 | NMI_DELIVERY;
	return i->index | (i->level ? RTE_LEVEL : 0);
}

/* --- Faults --- */

static const char *const amdvi_reasons[] = {
	[1] = "bad device table entry",
	[EVENT_PAGE_FAULT] = "not mapped, or not allowed",
	[3] = "error in the device table's memory",
	[4] = "error in a page table's memory",
	[EVENT_BAD_COMMAND] = "bad command",
	[EVENT_COMMAND_ERROR] = "error in the commands' memory",
	[7] = "no answer to an invalidation",
	[8] = "bad request",
};

/* The log stops when it is full. All of it has been read. */
static void restart_log(struct iommu *u)
{
	u64 control = iommu_read64(u, CONTROL);

	iommu_write64(u, CONTROL, control & ~BIT(CONTROL_EVENTS));
	if (!iommu_wait_for(!(iommu_read64(u, STATUS) & BIT(STATUS_EVENTS))))
		return;
	iommu_write64(u, EVENT_HEAD, 0);
	iommu_write64(u, EVENT_TAIL, 0);
	iommu_write64(u, STATUS, BIT(STATUS_OVERFLOW));
	iommu_write64(u, CONTROL, control | BIT(CONTROL_EVENTS));
}

static bool amdvi_fault(struct iommu *u, struct iommu_fault *f)
{
	u64 head = iommu_read64(u, EVENT_HEAD) & RING_MASK, *e, q0;

	if (iommu_read64(u, EVENT_TAIL) == head) {
		if (iommu_read64(u, STATUS) & BIT(STATUS_OVERFLOW))
			restart_log(u);
		return false;
	}
	/* The unit may write the tail before the entry. */
	e = phys_to_virt((iommu_read64(u, EVENT_BASE) & PTE_ADDR) + head);
	q0 = READ_ONCE(e[0]);
	if (!q0)
		return false;
	*f = (struct iommu_fault){ .sbdf = PCI_SBDF(u->segment, 0, q0 & 0xffff),
				   .address = READ_ONCE(e[1]),
				   .reason = q0 >> 60 };
	if (f->reason == EVENT_BAD_COMMAND || f->reason == EVENT_COMMAND_ERROR)
		f->sbdf = u->sbdf;
	if (f->reason == EVENT_PAGE_FAULT) {
		f->interrupt = q0 & EVENT_INTERRUPT;
		f->write = q0 & EVENT_WRITE;
	}
	WRITE_ONCE(e[1], 0);
	WRITE_ONCE(e[0], 0);
	iommu_write64(u, EVENT_HEAD, (head + 16) & RING_MASK);
	return true;
}

/* --- Start --- */

/* Makes the device table. All ids that the unit may see have an entry that blocks. */
static bool __init make_table(struct iommu *u)
{
	u32 last = u->all ? 0xffff : u->sbdf & 0xffff;
	const struct iommu_range *r;
	struct dte *e;

	for (r = iommu_ranges; r; r = r->next)
		if (r->unit == u)
			last = max(last, (r->alias > r->last ? r->alias : r->last) & 0xffff);
	u->nr_ids = ALIGN_UP(last + 1, (u32)(PAGE_SIZE / sizeof(struct dte)));
	u->table = e = alloc_pages(u->nr_ids * sizeof(struct dte) / PAGE_SIZE, NODE_ANY);
	for (u32 i = 0; e && i < u->nr_ids; i++)
		e[i] = (struct dte){ .pages = DTE_BLOCKED, .irqs = u->remaps ? IRQS_BLOCKED : 0 };
	/* Firmware says what an IO-APIC or HPET needs. Margay itself sends NMIs by an IO-APIC. */
	for (r = iommu_ranges; e && r; r = r->next)
		if (r->unit == u && r->kind != RANGE_FUNCTIONS) {
			e = dte_of(u, r->first);
			e->irqs |= IRQS_PASS(r->flags) |
				   (r->kind == RANGE_IOAPIC ? IRQS_PASS_NMI : 0);
			e->domain |= (r->flags & 0x30UL) << 36;
		}
	return e;
}

static const char *__init amdvi_start(struct iommu *u)
{
	u64 control = iommu_read64(u, CONTROL), features = iommu_read64(u, FEATURES);
	void *events = alloc_page();

	if (control == ~0UL)
		return "it does not answer";
	if (!(features & BIT(FEATURE_INVALIDATE_ALL)))
		return "it is too old";
	u->max_level = 2;
	u->remaps = iommu_remapping;
	u->wide = (features & BIT(FEATURE_XT)) && (features & BIT(FEATURE_GA));
	if (!events || !make_table(u))
		return "no memory";
	/* Tables of firmware's that block DMA do so until these replace them. */
	iommu_write64(u, CONTROL, control & ~(BIT(CONTROL_COMMANDS) | BIT(CONTROL_EVENTS)));
	iommu_wait_for(!(iommu_read64(u, STATUS) & (BIT(STATUS_COMMANDS) | BIT(STATUS_EVENTS))));
	iommu_write64(u, CMD_BASE, virt_to_phys(u->commands) | RING_LEN);
	u->wait[0] = CMD_WAIT | virt_to_phys(&u->done);
	u->wait[1] = 1;
	iommu_write64(u, EVENT_BASE, virt_to_phys(events) | RING_LEN);
	for (u32 reg = CMD_HEAD; reg <= EVENT_TAIL; reg += 8)
		iommu_write64(u, reg, 0);
	iommu_write64(u, EXCLUSION_BASE, 0);
	iommu_write64(u, DEVTAB_BASE,
		      virt_to_phys(u->table) | (u->nr_ids * sizeof(struct dte) / PAGE_SIZE - 1));
	iommu_write64(u, CONTROL,
		      BIT(CONTROL_ENABLE) | BIT(CONTROL_EVENTS) | CONTROL_TIMEOUT_1S |
			      BIT(CONTROL_COHERENT) | BIT(CONTROL_COMMANDS) |
			      CONTROL_OF_IVHD(u->flags) |
			      (u->wide ? BIT(CONTROL_GA) | BIT(CONTROL_XT) : 0));
	iommu_execute(u, CMD_ALL, 0);
	if (!u->dead)
		return NULL;
	iommu_write64(u, CONTROL, 0);
	return "it executes no commands";
}

const struct iommu_ops amdvi_ops = {
	.name = "AMD-Vi",
	.regs_size = REGS_SIZE,
	.tail = CMD_TAIL,
	.start = amdvi_start,
	.attach = amdvi_attach,
	.flush = amdvi_flush,
	.irqs = amdvi_irqs,
	.irq_write = amdvi_irq_write,
	.irq_message = amdvi_irq_message,
	.irq_rte = amdvi_irq_rte,
	.fault = amdvi_fault,
	.reasons = amdvi_reasons,
	.nr_reasons = ARRAY_SIZE(amdvi_reasons),
	.leaf_read = PTE_P | PTE_READ | PTE_COHERENT,
	.leaf_write = PTE_WRITE,
	.format = { .table = PTE_P | PTE_READ | PTE_WRITE,
		    .table_level = PTE_NEXT_LEVEL,
		    .new_table = iommu_new_table },
};
