/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core of DMA fencing: which unit covers a function, what the function reaches, and faults. A
 * domain with functions has tables for them, which follow its p2m: the p2m asks before a change
 * (prepare), reports it (changed), and waits for the units before a page has a new use (flush).
 */
#include <margay/boot_state.h>
#include <margay/domain_parts.h>
#include <margay/page_owner.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/percpu.h>

#include "iommu_priv.h"

#define COPY_STEP 256U		/* leaves of the p2m */
#define FREE_STEP 32U		/* tables */
#define FIRMWARE_ID 1		/* iommu_domain.id; those of domains follow */

#define PCI_SECONDARY (PCI_BUSES + 1)
#define PCI_SUBORDINATE (PCI_BUSES + 2)

/* By acpi_iommu.amd. */
static const struct iommu_ops *const drivers[] = { &vtd_ops, &amdvi_ops };
const struct iommu_ops *iommu_driver;
struct iommu iommu_units[ACPI_MAX_IOMMUS];
static u8 max_level = 2;	/* the largest leaves that all units take */
bool iommu_remapping;

/* Memory that firmware reserved for functions; they reach it until a domain gets them. */
static struct iommu_domain firmware = { .id = FIRMWARE_ID };

/* Returns whether the scopes name the function. */
static bool names(unsigned first, unsigned n, u32 sbdf)
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

		if (names(a->first_scope, a->nr_scopes, sbdf)) {
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
		if (names(boot_acpi.reserved[i].first_scope, boot_acpi.reserved[i].nr_scopes, sbdf))
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
 * bridge to conventional PCI uses for it (VT-d 4.1, 3.4.1). Returns their number.
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
	u32 command = pci_read(sbdf, PCI_COMMAND, 2);

	pci_write(sbdf, PCI_COMMAND, 2, command & ~(u32)PCI_COMMAND_MASTER);
}

/* A unit that does not answer may let DMA pass. */
void iommu_check_answer(struct iommu *u)
{
	struct iommu_function *f;

	if (likely(!u->dead) || !u->ops)
		return;
	pr_err("iommu: the unit at %#lx does not answer: its functions are stopped\n",
	       u->acpi->base);
	list_for_each(f, &u->functions, link)
		iommu_stop_master(f->sbdf);
	u->ops = NULL;
}

/* --- What a domain's functions reach --- */

void *iommu_new_table(struct page_table *pt)
{
	struct domain *d = container_of(pt, struct iommu_domain, pt)->d;

	void *t = d ? dom_alloc_meta(d, 1) : alloc_page();

	if (t && pt->format->written)
		pt->format->written(t, 512);
	return t;
}

/* Returns the bits of a leaf: devices reach what the domain may use as memory. */
static u64 leaf_of(mfn_t mfn, enum p2m_type type, unsigned level)
{
	u64 bits = iommu_driver->leaf_read;

	switch (type) {
	case P2M_RAM:
	case P2M_GRANT_RW:
	case P2M_FOREIGN:
		bits |= iommu_driver->leaf_write;
		break;
	case P2M_GRANT_RO:
		break;
	default:
		return 0;
	}
	return mfn << PAGE_SHIFT | bits | (level ? PTE_PS : 0);
}

/*
 * Returns the entry of 2^order pages, with the tables that leaves of at most max_level need. NULL:
 * no memory.
 */
static u64 *make_entry(struct iommu_domain *id, gfn_t gfn, unsigned order)
{
	gfn_t step = 512UL << 9 * max_level;

	for (gfn_t at = gfn; order > 9U * max_level && at < gfn + (1UL << order); at += step)
		if (!pt_make(&id->pt, at, max_level))
			return NULL;
	return pt_make(&id->pt, gfn, order / 9);
}

/* Writes a leaf, or those of the tables that stand in its place. */
static void write_leaves(u64 *at, unsigned level, mfn_t mfn, enum p2m_type type)
{
	if (level && pt_present(*at) && !pt_is_leaf(*at, level)) {
		u64 *t = pt_table(*at);

		for (u64 i = 0; i < 512; i++)
			write_leaves(&t[i], level - 1, mfn + (i << 9 * (level - 1)), type);
		return;
	}
	WRITE_ONCE(*at, leaf_of(mfn, type, level));
	if (iommu_driver->format.written)
		iommu_driver->format.written(at, 1);
}

static int prepare(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn, unsigned order)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	return !id->pt.root || make_entry(id, gfn, order) ? 0 : -ENOMEM;
}

static void changed(struct p2m_listener *l, struct domain *d __unused, gfn_t gfn, unsigned order,
		    mfn_t mfn, enum p2m_type before __unused, enum p2m_type after)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);

	/* prepare() made the entry. The tear-down of the p2m comes after that of the tables. */
	if (id->pt.root)
		write_leaves(make_entry(id, gfn, order), order / 9, mfn, after);
}

static void flush(struct p2m_listener *l, struct domain *d __unused)
{
	struct iommu_domain *id = container_of(l, struct iommu_domain, listener);
	unsigned i;

	/* A unit whose bit is set later reads the tables later. */
	smp_mb();
	for_each_bit(i, &id->units, ACPI_MAX_IOMMUS) {
		struct iommu *u = &iommu_units[i];

		guard(&u->lock);
		if (u->ops)
			u->ops->flush(u, id);
		iommu_check_answer(u);
	}
}

/* Makes empty tables. From here on they hear of all changes. */
static int create_tables(struct domain *d)
{
	struct iommu_domain *id = kzalloc(sizeof(*id));

	if (!id)
		return -ENOMEM;
	id->d = d;
	id->id = (u16)(d->slot + FIRMWARE_ID + 1);
	id->listener.prepare = prepare;
	id->listener.changed = changed;
	id->listener.flush = flush;
	id->pt.format = &iommu_driver->format;
	id->pt.root = iommu_new_table(&id->pt);
	/* Units with three levels begin at the first of these tables, which stays. */
	if (!id->pt.root || !pt_make(&id->pt, 0, 2)) {
		if (id->pt.root)
			dom_free_meta(d, id->pt.root, 1);
		kfree(id);
		return -ENOMEM;
	}
	guard(&d->p2m.lock);
	list_add_tail(&id->listener.link, &d->p2m.listeners);
	d->p2m.recent_pages = 0;
	d->iommu = id;
	return 0;
}

/* Copies a bounded number of leaves that the p2m had before it had this listener. */
static int copy_p2m(struct iommu_domain *id)
{
	struct domain *d = id->d;

	guard(&d->p2m.lock);
	for (unsigned n = 0; n < COPY_STEP; n++) {
		struct p2m_entry e;
		gfn_t first;
		u64 *at;

		if (id->copied > d->max_gfn)
			return 0;
		e = p2m_lookup(d, id->copied);
		first = ALIGN_DOWN(id->copied, 1UL << e.order);
		if (e.type != P2M_NONE) {
			at = make_entry(id, first, e.order);
			if (!at)
				return -ENOMEM;
			write_leaves(at, e.order / 9, e.mfn - (id->copied - first), e.type);
		}
		id->copied = first + (1UL << e.order);
	}
	return -ERESTART;
}

/* Maps what firmware reserved for the function. Called with the lock of the tables. */
static int map_reserved(struct iommu_domain *id, u32 sbdf)
{
	for (unsigned i = 0; i < boot_acpi.nr_reserved; i++) {
		const struct acpi_reserved *r = &boot_acpi.reserved[i];
		gfn_t end = (r->base + r->size) >> PAGE_SHIFT;
		unsigned order;

		if (!names(r->first_scope, r->nr_scopes, sbdf))
			continue;
		for (gfn_t gfn = r->base >> PAGE_SHIFT; gfn < end; gfn += 1UL << order) {
			u64 *at;

			order = IS_ALIGNED(gfn, CHUNK_PAGES) && end - gfn >= CHUNK_PAGES ? 9 : 0;
			at = make_entry(id, gfn, order);
			if (!at)
				return -ENOMEM;
			write_leaves(at, order / 9, gfn, r->write ? P2M_RAM : P2M_GRANT_RO);
		}
	}
	return 0;
}

/* Frees tables, depth first. Returns false when *left are freed. */
static bool free_tables(struct iommu_domain *id, u64 *t, unsigned level, unsigned *left)
{
	for (unsigned i = 0; level && i < 512; i++) {
		u64 e = t[i];

		if (!pt_present(e) || pt_is_leaf(e, level))
			continue;
		if (!free_tables(id, pt_table(e), level - 1, left))
			return false;
		t[i] = 0;
	}
	if (!*left)
		return false;
	--*left;
	dom_free_meta(id->d, t, 1);
	return true;
}

static int iommu_destroy(struct domain *d)
{
	struct iommu_domain *id = d->iommu;
	unsigned left = FREE_STEP;

	if (!id || !id->pt.root)
		return 0;
	BUG_ON(id->units);
	guard(&d->p2m.lock);
	if (!free_tables(id, id->pt.root, PT_LEVELS - 1, &left))
		return -ERESTART;
	id->pt.root = NULL;
	return 0;
}

static void iommu_free(struct domain *d)
{
	kfree(d->iommu);
}

const struct domain_part iommu_part = { .destroy = iommu_destroy, .free = iommu_free };

/* --- Functions --- */

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
static int attach_id(struct iommu *u, u32 sbdf, struct iommu_domain *id)
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
		f->users += f->domain == id;
		return f->domain == id ? 0 : -EBUSY;
	}
	*new = (struct iommu_function){ .sbdf = sbdf, .users = 1, .domain = id };
	list_add_tail(&new->link, &u->functions);
	atomic_or(&id->units, BIT(u->index));
	rc = u->ops ? u->ops->attach(u, sbdf, id) : -ENODEV;
	iommu_check_answer(u);
	if (rc)
		block(u, new);
	return rc;
}

static void detach_id(struct iommu *u, u32 sbdf, const struct iommu_domain *id)
{
	struct iommu_function *f;

	guard(&u->lock);
	f = iommu_find_function(u, sbdf);
	if (f && f->domain == id && !--f->users)
		block(u, f);
}

/* Attaches all ids of a function, or none. */
static int attach_function(struct iommu *u, u32 sbdf, struct iommu_domain *id)
{
	u32 ids[3];
	unsigned n = ids_of(sbdf, ids);

	for (unsigned i = 0; i < n; i++) {
		int rc = attach_id(u, ids[i], id);

		if (!rc)
			continue;
		while (i--)
			detach_id(u, ids[i], id);
		return rc;
	}
	return 0;
}

int iommu_attach(struct domain *d, u32 sbdf)
{
	struct iommu *u = iommu_unit_of(sbdf);
	struct iommu_function *f;
	int rc = 0;

	if (!u)
		return -ENODEV;
	spin_lock(&u->lock);
	f = iommu_find_function(u, sbdf);
	if (f && f->domain != &firmware)
		rc = f->domain == d->iommu ? 1 : -EBUSY;
	spin_unlock(&u->lock);
	if (rc)
		return min(rc, 0);
	if (!d->iommu)
		rc = create_tables(d);
	if (!rc)
		rc = copy_p2m(d->iommu);
	if (!rc && iommu_has_reserved(sbdf)) {
		guard(&d->p2m.lock);
		rc = map_reserved(d->iommu, sbdf);
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

	/* The unit may be dead: iommu_unit_of() does not find it. */
	for (unsigned i = 0; i < boot_acpi.nr_iommus; i++)
		for (unsigned j = 0; d->iommu && j < n; j++)
			detach_id(&iommu_units[i], ids[j], d->iommu);
}

/* --- Start --- */

/* Finds the ends of paths. A bridge that leads nowhere ends its scope. */
static void __init resolve_scopes(void)
{
	for (unsigned i = 0; i < boot_acpi.nr_scopes; i++) {
		struct acpi_scope *s = &boot_acpi.scopes[i];

		for (; s->path_len; s->path_len--) {
			u32 bus = pci_read(s->first, PCI_SECONDARY, 1);

			s->first = s->last =
				PCI_SBDF(pci_segment(s->first), bus & 0xff, s->path[0]);
			memmove(s->path, s->path + 1, ACPI_PATH_MAX - 1);
			if (bus && bus != 0xff)
				continue;
			pr_warn("iommu: a path of bridges leads to no bus: its scope is ignored\n");
			*s = (struct acpi_scope){ .first = ~0U };
			break;
		}
	}
}

/* Drops a reserved region that is not only firmware's: nobody may reach Margay's memory, or RAM. */
static void __init check_reserved(struct acpi_reserved *r)
{
	for (mfn_t mfn = r->base >> PAGE_SHIFT; mfn < (r->base + r->size) >> PAGE_SHIFT; mfn++)
		if (page_owner(mfn) != OWNER_NONE) {
			pr_warn("iommu: reserved memory %#lx-%#lx has RAM: ignored\n", r->base,
				r->base + r->size);
			r->nr_scopes = 0;
			return;
		}
}

static void __init start_unit(unsigned i)
{
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
	max_level = min(max_level, u->max_level);
	pr_info("iommu: %s at %#lx blocks DMA; leaves up to %s%s\n", iommu_driver->name, a->base,
		u->max_level > 1 ? "1G" : "2M", u->remaps ? "; remaps interrupts" : "");
}

/* Lets functions reach what firmware needs them to reach: a screen's memory, a keyboard's rings. */
static void __init attach_reserved(void)
{
	firmware.pt.format = &iommu_driver->format;
	firmware.pt.root = iommu_new_table(&firmware.pt);
	for (unsigned i = 0; i < boot_acpi.nr_reserved && firmware.pt.root; i++) {
		const struct acpi_reserved *r = &boot_acpi.reserved[i];

		for (unsigned j = r->first_scope; j < r->first_scope + r->nr_scopes; j++) {
			u32 sbdf = boot_acpi.scopes[j].first;
			struct iommu *u = iommu_unit_of(sbdf);

			if (u && (!pt_make(&firmware.pt, 0, 2) || map_reserved(&firmware, sbdf) ||
				  attach_function(u, sbdf, &firmware)))
				pr_warn("iommu: no memory for reserved memory %#lx\n", r->base);
		}
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
