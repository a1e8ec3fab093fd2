/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core of DMA fencing: starts the units and attaches functions to domains. A unit's lock
 * protects which functions it has, and what they reach.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/percpu.h>

#include "iommu_priv.h"

#define MAX_IDS 3U

const struct iommu_ops *iommu_driver;
u8 iommu_max_level = 2;

/* Memory that firmware reserved for functions; they reach it until a domain gets them. */
static struct iommu_domain firmware = { .id = IOMMU_FIRMWARE_ID };

bool iommu_present(void)
{
	return iommu_driver;
}

bool iommu_covers(u32 sbdf)
{
	const struct iommu *u = iommu_unit_of(sbdf);

	return u && u->in_use;
}

bool iommu_isolates(u32 sbdf)
{
	return iommu_covers(sbdf) && iommu_unit_of(sbdf)->remaps && !iommu_has_reserved(sbdf);
}

bool iommu_in_memory(paddr_t at, u64 size)
{
	const struct iommu *u;

	return chain_find(u, iommu_units, at < u->base + u->ops->regs_size && u->base < at + size);
}

const struct pci_function *iommu_pci_bridge(u32 sbdf)
{
	const struct pci_function *f = pci_find(sbdf), *top = NULL;

	for (f = f ? f->bridge : NULL; f; f = f->bridge)
		if (f->express_type == PCI_EXP_TYPE_NONE || f->express_type == PCI_EXP_TYPE_TO_PCI)
			top = f;
	return top;
}

/*
 * Collects the ids that the function's requests may have: its own, and IVRS's alias or those that a
 * bridge to conventional PCI uses for it (VT-d 4.1, chapter 3). Returns their number.
 */
static unsigned ids_of(const struct pci_function *f, u32 ids[MAX_IDS])
{
	const struct pci_function *bridge = iommu_pci_bridge(f->sbdf);

	ids[0] = f->sbdf;
	ids[1] = iommu_source_of(f->sbdf);
	if (ids[1] != ids[0])
		return 2;
	if (!bridge)
		return 1;
	ids[1] = bridge->sbdf;
	ids[2] = PCI_SBDF(pci_segment(bridge->sbdf), bridge->secondary, 0);
	return 3;
}

static bool has_id(const struct pci_function *f, u32 id)
{
	u32 ids[MAX_IDS];

	for (unsigned n = ids_of(f, ids); n--;)
		if (ids[n] == id)
			return true;
	return false;
}

/* Returns an attached function whose requests may have the id, of other tables than `but`. */
static struct pci_function *user_of(const struct iommu *u, u32 id, const struct iommu_domain *but)
{
	struct pci_function *f;

	return list_find(f, &u->functions, dma_link, f->dma != but && has_id(f, id));
}

/* A unit that does not answer may let DMA pass. */
void iommu_died(struct iommu *u)
{
	struct pci_function *f;

	u->dead = true;
	if (!u->in_use)
		return;
	pr_err("iommu: no answer from %#lx: its functions are stopped\n", u->base);
	list_for_each(f, &u->functions, dma_link)
		pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
	u->in_use = false;
}

void iommu_cut_off(struct iommu *u, u32 id)
{
	struct pci_function *f;

	u->ops->attach(u, id, NULL);
	/* A bridge that passes their requests on has others' to pass, now or later. */
	list_for_each(f, &pci_functions, link)
		if (f->header != 1 && has_id(f, id))
			pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
}

/* Blocks the ids that no other function needs. Called with u->lock. */
static void detach_function(struct iommu *u, struct pci_function *f)
{
	struct iommu_domain *id = f->dma;
	u32 ids[MAX_IDS];

	f->dma = NULL;
	list_del(&f->dma_link);
	for (unsigned n = ids_of(f, ids); n--;)
		if (u->in_use && !user_of(u, ids[n], NULL))
			u->ops->attach(u, ids[n], NULL);
	if (!list_find(f, &u->functions, dma_link, f->dma == id))
		atomic_and(&id->units, ~BIT(u->index));
}

/* Lets all ids of a function reach what id has, or none. Functions of a domain may share ids. */
static int attach_function(struct iommu *u, struct pci_function *f, struct iommu_domain *id)
{
	u32 ids[MAX_IDS];
	unsigned n = ids_of(f, ids);
	struct pci_function *other;
	int rc = 0;

	guard(&u->lock);
	for (unsigned i = 0; i < n; i++)
		while ((other = user_of(u, ids[i], id))) {
			if (other->dma != &firmware)
				return -EBUSY;
			detach_function(u, other);
		}
	f->dma = id;
	list_add_tail(&f->dma_link, &u->functions);
	atomic_or(&id->units, BIT(u->index));
	for (unsigned i = 0; i < n && !rc; i++)
		rc = u->in_use ? u->ops->attach(u, ids[i], id) : -ENODEV;
	if (rc)
		detach_function(u, f);
	return rc;
}

int iommu_attach(struct domain *d, struct pci_function *f)
{
	struct iommu *u = iommu_unit_of(f->sbdf);
	u32 ids[MAX_IDS];
	int rc = 0;

	if (!u || !u->in_use)
		return -ENODEV;
	if (f->dma && f->dma != &firmware)
		return f->dma == d->iommu ? 0 : -EBUSY;
	if (!d->iommu)
		rc = iommu_create_tables(d);
	if (!rc)
		rc = iommu_copy_p2m(d->iommu);
	if (!rc)
		rc = attach_function(u, f, d->iommu);
	/* The function has a new owner: its faults are news again. */
	for (unsigned n = rc ? 0 : ids_of(f, ids); n--;) {
		f = pci_find(ids[n]);
		if (f)
			f->faults.run = f->faults.cut = 0;
	}
	return rc;
}

void iommu_detach(struct pci_function *f)
{
	struct iommu *u = iommu_unit_of(f->sbdf);

	if (!f->dma || f->dma == &firmware)
		return;
	guard(&u->lock);
	detach_function(u, f);
}

/* --- Start --- */

static void __init start_unit(struct iommu *u)
{
	static const char *const sizes[] = { "4K", "2M", "1G" };
	const char *why = "no memory";

	spin_init(&u->lock, LOCK_IOMMU);
	list_init(&u->functions);
	u->regs = map_mmio(u->base, u->ops->regs_size);
	u->commands = u->regs ? alloc_page() : NULL;
	if (u->commands)
		why = u->ops->start(u);
	if (why) {
		pr_err("iommu: %s at %#lx blocks no DMA: %s\n", u->ops->name, u->base, why);
		return;
	}
	u->in_use = true;
	iommu_driver = u->ops;
	iommu_max_level = min(iommu_max_level, u->max_level);
	pr_info("iommu: %s at %#lx: DMA blocked, %s pages%s\n", u->ops->name, u->base,
		sizes[u->max_level], u->remaps ? ", interrupts remapped" : "");
}

/* Lets functions reach what firmware needs them to reach: a screen's memory, a keyboard's rings. */
static void __init attach_regions(void)
{
	struct pci_function *f;

	if (iommu_make_tables(&firmware)) {
		pr_warn("iommu: no memory for firmware's reserved memory\n");
		return;
	}
	list_for_each(f, &pci_functions, link)
		if (iommu_has_reserved(f->sbdf) && iommu_covers(f->sbdf) &&
		    attach_function(iommu_unit_of(f->sbdf), f, &firmware))
			pr_warn("iommu: " PCI_FMT " does not reach firmware's memory\n",
				PCI_ARGS(f->sbdf));
}

void __init iommu_init(void)
{
	struct pci_function *f;

	iommu_read_firmware();
	list_for_each(f, &pci_functions, link)
		if (iommu_unit_of(f->sbdf))
			f->node = iommu_unit_of(f->sbdf)->node;
	for (struct iommu *u = iommu_units; u; u = u->next)
		start_unit(u);
	if (iommu_driver && iommu_regions)
		attach_regions();
}
