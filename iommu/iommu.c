/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core of DMA fencing: starts the units, knows which unit covers a function, and attaches
 * functions to domains.
 */
#include <margay/boot_state.h>
#include <margay/page_owner.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/percpu.h>

#include "iommu_priv.h"

#define RESERVED_MAX (1UL << 32)	/* bytes of a region */

#define PCI_SECONDARY (PCI_BUSES + 1)
#define PCI_SUBORDINATE (PCI_BUSES + 2)

/* By acpi_iommu.amd. */
static const struct iommu_ops *const drivers[] = { &vtd_ops, &amdvi_ops };
const struct iommu_ops *iommu_driver;
struct iommu iommu_units[ACPI_MAX_IOMMUS];
u8 iommu_max_level = 2;
bool iommu_remapping;

/* Memory that firmware reserved for functions; they reach it until a domain gets them. */
static struct iommu_domain firmware = { .id = IOMMU_FIRMWARE_ID };

bool iommu_names(unsigned first, unsigned n, u32 sbdf)
{
	for (unsigned i = first; i < first + n; i++) {
		const struct acpi_scope *s = &boot_acpi.scopes[i];

		if (sbdf >= s->first && sbdf <= s->last)
			return true;
		/* Buses may have new numbers since boot. */
		if (s->kind == SCOPE_BRIDGE && pci_segment(sbdf) == pci_segment(s->first) &&
		    pci_bus(sbdf) >= pci_read(s->first, PCI_SECONDARY, 1) &&
		    pci_bus(sbdf) <= pci_read(s->first, PCI_SUBORDINATE, 1))
			return true;
	}
	return false;
}

struct iommu *iommu_unit_of(u32 sbdf)
{
	struct iommu *u = NULL;

	for (unsigned i = 0; i < boot_acpi.nr_iommus; i++) {
		const struct acpi_iommu *a = &boot_acpi.iommus[i];

		if (iommu_names(a->first_scope, a->nr_scopes, sbdf)) {
			u = &iommu_units[i];
			break;
		}
		if (a->all && a->segment == pci_segment(sbdf))
			u = &iommu_units[i];
	}
	return u && u->ops ? u : NULL;
}

bool iommu_present(void)
{
	return iommu_driver;
}

bool iommu_covers(u32 sbdf)
{
	return iommu_unit_of(sbdf);
}

bool iommu_has_reserved(u32 sbdf)
{
	for (unsigned i = 0; i < boot_acpi.nr_reserved; i++)
		if (iommu_names(boot_acpi.reserved[i].first_scope, boot_acpi.reserved[i].nr_scopes,
				sbdf))
			return true;
	return false;
}

bool iommu_behind_bridge(u32 sbdf, u32 *bridge)
{
	struct pci_function *f = pci_find(sbdf);
	bool found = false;

	for (f = f ? f->bridge : NULL; f; f = f->bridge)
		if (f->express_type == PCI_EXP_TYPE_NONE ||
		    f->express_type == PCI_EXP_TYPE_TO_PCI) {
			*bridge = f->sbdf;
			found = true;
		}
	return found;
}

/*
 * Collects the ids that the function's requests may have: its own, IVRS's alias, and those that a
 * bridge to conventional PCI uses for it (VT-d 4.1, chapter 3). Returns their number.
 */
static unsigned ids_of(u32 sbdf, u32 *ids)
{
	unsigned n = 0;
	u32 bridge;

	ids[n++] = sbdf;
	for (unsigned i = 0; i < boot_acpi.nr_scopes; i++) {
		const struct acpi_scope *s = &boot_acpi.scopes[i];

		if (s->alias && sbdf >= s->first && sbdf <= s->last && s->alias != sbdf && n == 1)
			ids[n++] = s->alias;
	}
	if (n == 1 && iommu_behind_bridge(sbdf, &bridge)) {
		ids[n++] = bridge;
		ids[n++] = PCI_SBDF(pci_segment(bridge), pci_read(bridge, PCI_SECONDARY, 1), 0);
	}
	return n;
}

void iommu_stop_master(u32 sbdf)
{
	pci_change(sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
}

/* A unit that does not answer may let DMA pass. */
void iommu_check_answer(struct iommu *u)
{
	struct iommu_function *f;

	if (likely(!u->dead) || !u->ops)
		return;
	pr_err("iommu: no answer from %#lx: its functions are stopped\n", u->acpi->base);
	list_for_each(f, &u->functions, link)
		iommu_stop_master(f->sbdf);
	u->ops = NULL;
}

struct iommu_function *iommu_find_function(struct iommu *u, u32 sbdf)
{
	struct iommu_function *f;

	list_for_each(f, &u->functions, link)
		if (f->sbdf == sbdf)
			return f;
	return NULL;
}

/* Blocks an id and forgets it. Called with u->lock. */
static void block(struct iommu *u, struct iommu_function *f)
{
	struct iommu_domain *id = f->domain;
	struct iommu_function *other;

	if (u->ops)
		u->ops->attach(u, f->sbdf, NULL);
	iommu_check_answer(u);
	list_del(&f->link);
	kfree(f);
	list_for_each(other, &u->functions, link)
		if (other->domain == id)
			return;
	atomic_and(&id->units, ~BIT(u->index));
}

/* Lets requests with an id reach what id has. Several functions may share it. */
static int attach_id(struct iommu *u, u32 sbdf, bool own, struct iommu_domain *id)
{
	struct iommu_function *f, *new = kzalloc(sizeof(*new));
	int rc;

	if (!new)
		return -ENOMEM;
	guard(&u->lock);
	f = iommu_find_function(u, sbdf);
	if (f && f->domain == &firmware && id != &firmware) {
		block(u, f);
		f = NULL;
	}
	if (f) {
		kfree(new);
		if (f->domain != id)
			return -EBUSY;
		f->users++;
		f->own |= own;
		return 0;
	}
	*new = (struct iommu_function){ .sbdf = sbdf, .own = own, .users = 1, .domain = id };
	list_add_tail(&new->link, &u->functions);
	atomic_or(&id->units, BIT(u->index));
	rc = u->ops ? u->ops->attach(u, sbdf, id) : -ENODEV;
	iommu_check_answer(u);
	if (rc)
		block(u, new);
	return rc;
}

static void detach_id(struct iommu *u, u32 sbdf, bool own, const struct iommu_domain *id)
{
	struct iommu_function *f;

	guard(&u->lock);
	f = iommu_find_function(u, sbdf);
	if (!f || f->domain != id)
		return;
	f->own &= !own;
	if (!--f->users)
		block(u, f);
}

/* Attaches all ids of a function, or none. */
static int attach_function(struct iommu *u, u32 sbdf, struct iommu_domain *id)
{
	u32 ids[3];
	unsigned n = ids_of(sbdf, ids);

	for (unsigned i = 0; i < n; i++) {
		int rc = attach_id(u, ids[i], !i, id);

		if (!rc)
			continue;
		while (i--)
			detach_id(u, ids[i], !i, id);
		return rc;
	}
	return 0;
}

/* Returns the tables that the function is attached to, but firmware's, or NULL. */
static struct iommu_domain *attached_to(struct iommu *u, u32 sbdf)
{
	struct iommu_function *f;

	guard(&u->lock);
	f = iommu_find_function(u, sbdf);
	return f && f->own && f->domain != &firmware ? f->domain : NULL;
}

int iommu_attach(struct domain *d, u32 sbdf)
{
	struct iommu *u = iommu_unit_of(sbdf);
	struct iommu_domain *id = u ? attached_to(u, sbdf) : NULL;
	int rc = 0;

	if (!u || id)
		return !u ? -ENODEV : id == d->iommu ? 0 : -EBUSY;
	if (!d->iommu)
		rc = iommu_create_tables(d);
	if (!rc)
		rc = iommu_copy_p2m(d->iommu);
	if (!rc && iommu_has_reserved(sbdf)) {
		guard(&d->p2m.lock);
		rc = iommu_map_reserved(d->iommu, sbdf);
	}
	if (!rc)
		rc = attach_function(u, sbdf, d->iommu);
	if (!rc)
		iommu_forget_faults(sbdf);
	return rc;
}

void iommu_detach(struct domain *d, u32 sbdf)
{
	u32 ids[3];
	unsigned n = ids_of(sbdf, ids);

	/* The unit may be out of use by now: iommu_unit_of() would not find it. */
	for (unsigned i = 0; d->iommu && i < boot_acpi.nr_iommus; i++)
		if (iommu_units[i].acpi && attached_to(&iommu_units[i], sbdf) == d->iommu)
			for (unsigned j = 0; j < n; j++)
				detach_id(&iommu_units[i], ids[j], !j, d->iommu);
}

/* --- Start --- */

/* Finds the ends of paths. A bridge that leads nowhere ends its scope. */
static void __init resolve_scopes(void)
{
	for (struct acpi_scope *s = boot_acpi.scopes; s < boot_acpi.scopes + boot_acpi.nr_scopes;
	     s++) {
		for (unsigned i = 0; i < s->path_len; i++) {
			u32 bus = pci_read(s->first, PCI_SECONDARY, 1);

			s->first = s->last = PCI_SBDF(pci_segment(s->first), bus, s->path[i]);
			if (bus && bus != 0xff)
				continue;
			pr_warn("iommu: a path of bridges leads to no bus: its scope is ignored\n");
			*s = (struct acpi_scope){ .first = ~0U };
		}
		s->path_len = 0;
	}
}

/* Drops a reserved region that is not only firmware's: nobody may reach Margay's memory, or RAM. */
static void __init check_reserved(struct acpi_reserved *r)
{
	mfn_t mfn = r->base >> PAGE_SHIFT, end = (r->base + r->size) >> PAGE_SHIFT;

	while (r->size <= RESERVED_MAX && mfn < end && page_owner(mfn) == OWNER_NONE)
		mfn++;
	if (mfn < end) {
		pr_warn("iommu: reserved memory %#lx-%#lx ignored: %s\n", r->base,
			r->base + r->size - 1, r->size > RESERVED_MAX ? "too large" : "it has RAM");
		r->nr_scopes = 0;
	}
}

static void __init start_unit(unsigned i)
{
	static const char *const sizes[] = { "4K", "2M", "1G" };
	const struct acpi_iommu *a = &boot_acpi.iommus[i];
	struct iommu *u = &iommu_units[i];

	if (iommu_driver && iommu_driver != drivers[a->amd])
		return;
	*u = (struct iommu){ .ops = drivers[a->amd], .acpi = a, .index = i };
	spin_init(&u->lock, LOCK_IOMMU);
	list_init(&u->functions);
	u->regs = map_mmio(a->base, u->ops->regs_size);
	if (!u->regs || u->ops->start(u)) {
		pr_err("iommu: %s at %#lx is not in use: it blocks no DMA\n", u->ops->name,
		       a->base);
		u->ops = NULL;
		return;
	}
	iommu_driver = u->ops;
	iommu_max_level = min(iommu_max_level, u->max_level);
	pr_info("iommu: %s at %#lx: DMA blocked, %s pages%s\n", u->ops->name, a->base,
		sizes[u->max_level], u->remaps ? ", interrupts remapped" : "");
}

/* Lets functions reach what firmware needs them to reach: a screen's memory, a keyboard's rings. */
static void __init attach_reserved(void)
{
	const struct pci_function *f;

	if (!boot_acpi.nr_reserved)
		return;
	firmware.pt.format = &iommu_driver->format;
	firmware.pt.root = iommu_new_table(&firmware.pt);
	if (!firmware.pt.root || !pt_make(&firmware.pt, 0, 2)) {
		pr_warn("iommu: no memory for firmware's reserved memory\n");
		return;
	}
	list_for_each(f, &pci_functions, link) {
		struct iommu *u = iommu_has_reserved(f->sbdf) ? iommu_unit_of(f->sbdf) : NULL;

		if (u && (iommu_map_reserved(&firmware, f->sbdf) ||
			  attach_function(u, f->sbdf, &firmware)))
			pr_warn("iommu: " PCI_FMT " does not reach firmware's memory\n",
				PCI_ARGS(f->sbdf));
	}
}

void __init iommu_init(void)
{
	u32 sbdf;

	resolve_scopes();
	iommu_remapping = true;
	for (unsigned i = 0; i < boot_acpi.nr_ioapics; i++)
		if (iommu_ioapic_sbdf(boot_acpi.ioapics[i].id, &sbdf))
			iommu_remapping = false;
	if (boot_acpi.nr_iommus && !iommu_remapping)
		pr_warn("iommu: an IO-APIC has no source id: interrupts are not remapped\n");
	for (unsigned i = 0; i < boot_acpi.nr_iommus; i++)
		start_unit(i);
	if (!iommu_driver)
		return;
	for (unsigned i = 0; i < boot_acpi.nr_reserved; i++)
		check_reserved(&boot_acpi.reserved[i]);
	attach_reserved();
}
