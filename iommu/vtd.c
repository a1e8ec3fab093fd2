/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel VT-d in legacy mode: a root table, a context table for each bus with attached functions,
 * an interrupt remapping table, and a queue of invalidations whose completion the unit stores in
 * memory. Functions without a context entry are blocked. VT-d 4.1: chapters 6, 9 and 11.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <x86/features.h>

#include "iommu_priv.h"

/* Registers, 11.4. QEMU takes 32-bit writes only at 0x38, 0xa0 and 0xa8. */
enum { CAP = 0x08, ECAP = 0x10, GCMD = 0x18, GSTS = 0x1c, RTADDR = 0x20, FSTS = 0x34 };
enum { FECTL = 0x38, PMEN = 0x64, IQT = 0x88, IQA = 0x90, IRTA = 0xb8 };
/* Bits of CAP and ECAP, and fields of CAP */
enum { CAP_RWBF = 4, CAP_PLMR = 5, CAP_PHMR = 6, CAP_CM = 7, CAP_3LEVEL = 9, CAP_4LEVEL = 10 };
enum { CAP_2M = 34, CAP_1G = 35, CAP_PI = 59 };
enum { ECAP_COHERENT = 0, ECAP_QI = 1, ECAP_IR = 3, ECAP_EIM = 4 };
#define CAP_DOMAINS(cap) (1UL << (4 + 2 * ((cap) & 7)))
#define CAP_FRO(cap) (((cap) >> 24 & 0x3ff) * 16)
#define CAP_NFR(cap) (((cap) >> 40 & 0xff) + 1)

/* Bits of GCMD and GSTS; those of states, as opposed to commands that were done once */
enum { GCMD_CFI = 23, GCMD_SIRTP = 24, GCMD_IRE = 25, GCMD_QIE = 26, GCMD_SRTP = 30, GCMD_TE = 31 };
#define GSTS_STATE 0x96800000U
#define FSTS_OVERFLOW 1U
#define FSTS_PENDING 2U
#define FECTL_MASKED (1U << 31)
#define PMEN_ENABLE (1U << 31)
#define PMEN_STATUS 1U
#define REGS_SIZE 0x6000	/* with fault registers at the highest place that CAP can say */

/* Invalidations, 6.5.2 */
#define INV_CONTEXT_ALL (1UL | 1UL << 4)
#define INV_IOTLB_ALL (2UL | 1UL << 4)
#define INV_IOTLB_DOMAIN(id) (2UL | 2UL << 4 | (u64)(id) << 16)
#define INV_DRAIN(cap) ((cap) >> (54 - 6) & 0xc0)	/* writes, reads: what it can */
#define INV_IRQS_ALL 4UL
#define INV_IRQ(index) (4UL | 1UL << 4 | (u64)(index) << 32)
#define INV_WAIT (5UL | 1UL << 5 | 1UL << 32)	/* stores 1 */

#define CTX_AW_3LEVEL 1UL
#define CTX_AW_4LEVEL 2UL
#define CTX_DOMAIN(hi) ((hi) >> 8 & 0xffff)

/* Interrupt remapping entries, 9.10; posted, 9.11 */
#define IRTE_P BIT(0)
#define IRTE_LEVEL BIT(4)
#define IRTE_NMI (4UL << 5)
#define IRTE_POSTED BIT(15)
#define IRTE_VECTOR_SHIFT 16
#define IRTE_DEST_SHIFT 32
#define IRTE_CHECK_ID BIT(18)
#define IRTE_CHECK_BUS BIT(19)
#define IRQS 4096U
#define IRTA_SIZE 11U		/* 2^(11 + 1) entries */
#define IRTA_X2APIC BIT(11)

static bool incoherent;		/* a unit reads tables without asking the CPUs' caches */

static void written(const u64 *at, unsigned n)
{
	if (!incoherent)
		return;
	for (u64 line = (u64)at & ~63UL; line < (u64)(at + n); line += 64)
		__asm__ volatile("clflush (%0)" ::"r"(line) : "memory");
	smp_mb();
}

/* --- Commands --- */

/* Turns a state on or off, or has something done once, and waits. */
static bool turn(struct iommu *u, unsigned bit, bool on)
{
	u32 others = iommu_read32(u, GSTS) & GSTS_STATE & ~(u32)BIT(bit);

	iommu_write32(u, GCMD, others | (u32)on << bit);
	return iommu_wait_for((iommu_read32(u, GSTS) >> bit & 1) == on);
}

/* --- Functions --- */

static int vtd_attach(struct iommu *u, u32 sbdf, const struct iommu_domain *d)
{
	u64 *root = (u64 *)u->table + 2 * pci_bus(sbdf), *ctx, old;

	if (!*root && d) {
		u64 *t = alloc_page();

		if (!t)
			return -ENOMEM;
		written(t, 512);
		WRITE_ONCE(*root, virt_to_phys(t) | 1);
		written(root, 1);
	}
	if (!*root)
		return 0;
	ctx = (u64 *)phys_to_virt(*root & PTE_ADDR) + 2 * pci_devfn(sbdf);
	if (d) {
		bool deep = u->cap & BIT(CAP_4LEVEL);
		const u64 *t = deep ? d->pt.root : pt_table(d->pt.root[0]);

		if (d->id >= CAP_DOMAINS(u->cap))
			return -ENOSPC;
		ctx[1] = (deep ? CTX_AW_4LEVEL : CTX_AW_3LEVEL) | (u64)d->id << 8;
		written(ctx, 2);
		barrier();
		WRITE_ONCE(ctx[0], virt_to_phys(t) | 1);
		written(ctx, 2);
		return 0;
	}
	old = atomic_xchg(&ctx[0], 0);
	written(ctx, 2);
	if (old & 1) {
		iommu_execute(u, INV_CONTEXT_ALL, 0);
		iommu_execute(u, INV_IOTLB_DOMAIN(CTX_DOMAIN(ctx[1])) | INV_DRAIN(u->cap), 0);
	}
	return 0;
}

static void vtd_flush(struct iommu *u, const struct iommu_domain *d)
{
	iommu_execute(u, INV_IOTLB_DOMAIN(d->id) | INV_DRAIN(u->cap), 0);
}

/* --- Interrupts --- */

static void vtd_irq_write(struct iommu *u, const struct iommu_irq *i)
{
	struct iommu_pair *e = (struct iommu_pair *)i->table->entries + i->index;
	const struct pci_function *b = i->bridge;
	u64 dest = u->wide ? i->apic_id : (u64)i->apic_id << 8 & 0xff00;
	u64 high = ((b ? b->sbdf : i->sbdf) & 0xffff) | IRTE_CHECK_ID, low = 0, old = e->low;

	/* A bridge from PCI Express sends with ids of its bus, an older one with its own. Chapter 3. */
	if (b && b->express_type == PCI_EXP_TYPE_TO_PCI)
		high = b->secondary << 8 | pci_bus(i->sbdf) | IRTE_CHECK_BUS;
	if (i->vector || i->nmi)
		low = IRTE_P | (u64)i->vector << IRTE_VECTOR_SHIFT | dest << IRTE_DEST_SHIFT |
		      (i->level ? IRTE_LEVEL : 0) | (i->nmi ? IRTE_NMI : 0);
	if (i->vector && i->posted) {	/* bits 31:6 of the address, and the upper half */
		low = IRTE_P | IRTE_POSTED | (u64)i->vector << IRTE_VECTOR_SHIFT |
		      (i->posted & 0xffffffc0) << IRTE_DEST_SHIFT;
		high |= i->posted & ~0xffffffffUL;
	}
	if ((low | old) & IRTE_POSTED) {
		iommu_store_pair(e, low, high);
	} else {	/* the upper half does not change while the entry is valid */
		WRITE_ONCE(e->high, high);
		written(&e->high, 1);
		WRITE_ONCE(e->low, low);
	}
	written(&e->low, 2);
	if (old & IRTE_P)
		iommu_execute(u, INV_IRQ(i->index), 0);
}

/* The whole index is in the data, as a subhandle. 5.1.2.2 */
static void vtd_irq_message(const struct iommu_irq *i, u64 *address, u32 *data)
{
	*address = MSI_ADDRESS | 1 << 4 | 1 << 3;
	*data = i->index;
}

/* The vector is that of the entry, so that an EOI finds it. 5.1.5.1 */
static u64 vtd_irq_rte(const struct iommu_irq *i)
{
	return (u64)i->index << 49 | 1UL << 48 | (i->level ? RTE_LEVEL : 0) | i->vector;
}

/* --- Faults, 11.4.14 --- */

static const char *const vtd_reasons[] = {
	[0x01] = "it has no owner", [0x02] = "it has no owner",
	[0x03] = "bad context entry", [0x04] = "address too high",
	[0x05] = "may not be written", [0x06] = "may not be read",
	[0x0e] = "no memory, but interrupts", [0x20] = "bad message",
	[0x21] = "no such interrupt", [0x22] = "no such interrupt",
	[0x25] = "message in compatibility format", [0x26] = "interrupt of another source",
};

static bool vtd_fault(struct iommu *u, struct iommu_fault *f)
{
	u32 status = iommu_read32(u, FSTS);

	for (u32 i = 0; status & FSTS_PENDING && i < CAP_NFR(u->cap); i++) {
		u32 at = CAP_FRO(u->cap) + 16 * i;
		u64 lo, hi = iommu_read64(u, at + 8);

		if (!(hi >> 63))
			continue;
		lo = iommu_read64(u, at);
		iommu_write32(u, at + 12, 1U << 31);
		*f = (struct iommu_fault){
			.sbdf = PCI_SBDF(u->segment, 0, hi & 0xffff),
			.write = !(hi >> 62 & 1),
			.reason = (u8)(hi >> 32),
		};
		f->interrupt = f->reason >= 0x20;
		f->address = f->interrupt ? lo >> 48 : lo & PAGE_MASK;
		return true;
	}
	/* Lost faults are not counted, but more are recorded only after this. */
	if (status & FSTS_OVERFLOW)
		iommu_write32(u, FSTS, FSTS_OVERFLOW);
	return false;
}

/* --- Start --- */

/* Turns on interrupt remapping. No entry is valid at first. */
static void __init start_interrupts(struct iommu *u, u64 ecap)
{
	if (!(ecap & BIT(ECAP_IR)) || !iommu_remapping || !iommu_new_irqs(u, 0, IRQS, 16))
		return;
	written(u->irqs->entries, 2 * IRQS);
	u->wide = x86.x2apic && (ecap & BIT(ECAP_EIM));
	iommu_write64(u, IRTA,
		      virt_to_phys(u->irqs->entries) | (u->wide ? IRTA_X2APIC : 0) | IRTA_SIZE);
	if (!turn(u, GCMD_SIRTP, true))
		return;
	iommu_execute(u, INV_IRQS_ALL, 0);
	u->remaps = !u->dead && turn(u, GCMD_CFI, false) && turn(u, GCMD_IRE, true);
	u->posts = u->remaps && (u->cap & BIT(CAP_PI)) && u->wide == x86.x2apic;
}

/* Firmware may have left any of it on: translation then stays on, with the new tables. */
static bool __init start_tables(struct iommu *u)
{
	iommu_write32(u, FECTL, FECTL_MASKED);	/* faults are polled */
	iommu_write64(u, RTADDR, virt_to_phys(u->table));
	if (!turn(u, GCMD_SRTP, true) || !turn(u, GCMD_QIE, false))
		return false;
	iommu_write64(u, IQT, 0);
	iommu_write64(u, IQA, virt_to_phys(u->commands));
	u->wait[0] = INV_WAIT;
	u->wait[1] = virt_to_phys(&u->done);
	if (!turn(u, GCMD_QIE, true))
		return false;
	iommu_execute(u, INV_CONTEXT_ALL, 0);
	iommu_execute(u, INV_IOTLB_ALL | INV_DRAIN(u->cap), 0);
	if (u->dead || !turn(u, GCMD_TE, true))
		return false;
	/* Memory that firmware protected until now is as protected as all other. */
	if (u->cap & (BIT(CAP_PLMR) | BIT(CAP_PHMR))) {
		iommu_write32(u, PMEN, iommu_read32(u, PMEN) & ~PMEN_ENABLE);
		iommu_wait_for(!(iommu_read32(u, PMEN) & PMEN_STATUS));
	}
	return true;
}

static const char *__init vtd_start(struct iommu *u)
{
	u64 cap = iommu_read64(u, CAP), ecap = iommu_read64(u, ECAP);

	if (!cap || cap == ~0UL)
		return "it does not answer";
	if (!(ecap & BIT(ECAP_QI)))
		return "it has no queue of invalidations";
	if (!(cap & (BIT(CAP_3LEVEL) | BIT(CAP_4LEVEL))))
		return "it has no tables of 3 or 4 levels";
	if (cap & BIT(CAP_CM))
		return "it is an emulated one in caching mode";
	if (cap & BIT(CAP_RWBF))
		return "it needs flushes of a write buffer";
	u->cap = cap;
	u->max_level = !(cap & BIT(CAP_2M)) ? 0 : !(cap & BIT(CAP_1G)) ? 1 : 2;
	incoherent |= !(ecap & BIT(ECAP_COHERENT));
	u->table = alloc_page();
	if (!u->table)
		return "no memory";
	written(u->table, 512);
	if (!start_tables(u)) {
		turn(u, GCMD_TE, false);
		return "it does not answer";
	}
	start_interrupts(u, ecap);
	return NULL;
}

const struct iommu_ops vtd_ops = {
	.name = "VT-d",
	.regs_size = REGS_SIZE,
	.tail = IQT,
	.start = vtd_start,
	.attach = vtd_attach,
	.flush = vtd_flush,
	.irq_write = vtd_irq_write,
	.irq_message = vtd_irq_message,
	.irq_rte = vtd_irq_rte,
	.fault = vtd_fault,
	.reasons = vtd_reasons,
	.nr_reasons = ARRAY_SIZE(vtd_reasons),
	.leaf_read = PTE_P,
	.leaf_write = PTE_W,
	.format = { .table = PTE_P | PTE_W,
		    .new_table = iommu_new_table,
		    .written = written },
};
