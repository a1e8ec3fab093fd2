/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a PCI function. A function is nobody's, and then its DMA is blocked; or a guest's, with a
 * reset before and after; or the control domain's that has the machine's devices: that one gets all
 * that nobody wants. Functions that cannot be isolated from each other have one owner, or none.
 * pci_lock protects owners. An assignment and its end take many steps, since resets take their time
 * and a grace period must pass before the view of the last owner goes.
 */
#include <margay/domain_parts.h>
#include <margay/errno.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/quiesce.h>

enum { STEP_NONE, STEP_RESET, STEP_ATTACH, STEP_OWNED, STEP_RETURN, STEP_RESET_AGAIN };

/* Returns whether a function that cannot be isolated from f is Margay's, or of another domain. */
static bool is_shared(const struct domain *d, const struct pci_function *f)
{
	const struct pci_function *g;

	return pci_find_if(g, g != f && g->group == f->group && g->header != 1 &&
				      (g->hidden || (g->owner && g->owner != d)));
}

/* Looks at all that can be known before: what is refused stays its owner's. */
static int check(const struct domain *d, struct pci_function *f)
{
	if (f->hidden || f->header)
		return -ENODEV;
	if ((f->owner && !f->owner->hardware) || f->nr_vfs)
		return -EBUSY;
	if (is_shared(d, f))
		return -EXDEV;
	/* A device's access brings no memory that comes on demand, and no log shows it. */
	if (!d->vpci || (!d->hardware && d->nr_on_demand) || READ_ONCE(d->p2m.log.on))
		return -EADDRNOTAVAIL;
	if (d->hardware)
		return 0;
	if (!iommu_isolates(f->sbdf))
		return -EOPNOTSUPP;
	if (!pci_has_reset(f))
		return -ENXIO;
	return pci_bars_are_sound(d, f) ? 0 : -EINVAL;
}

const char *pci_why(int rc)
{
	static const char *const reasons[] = {
		[ENODEV] = "there is none, or nobody may have it",
		[EBUSY] = "it has an owner, or virtual functions",
		[EXDEV] = "it cannot be isolated from another domain's",
		[EADDRNOTAVAIL] =
			"the domain has no PCI bus, its memory comes on demand, or it migrates",
		[EOPNOTSUPP] = "no IOMMU isolates it, or firmware uses it",
		[ENXIO] = "it has no reset",
		[EINVAL] = "its BARs are not whole pages of its own memory",
		[ETIMEDOUT] = "it does not come back from its reset",
	};
	const char *why = (unsigned)-rc < ARRAY_SIZE(reasons) ? reasons[-rc] : NULL;

	return why ? why : "no memory or addresses left";
}

u64 pci_interrupts(const struct domain *d)
{
	const struct pci_function *f;
	u64 n = 0, refused, one;
	u32 sbdf;

	guard(&pci_lock);
	list_for_each(f, &pci_functions, link) {
		vpci_show(f, &sbdf, &one, &refused);
		n += f->owner == d ? one : 0;
	}
	return n;
}

bool pci_owns_some(const struct domain *d)
{
	const struct pci_function *f;

	guard(&pci_lock);
	return d->hardware || pci_find_if(f, f->owner == d);
}

/* Takes it from its owner, so far as the owner can use it. */
static void stop(struct pci_function *f)
{
	if (f->header != 1)
		pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
	iommu_detach(f);
	vpci_stop(f);
	f->period = quiesce_start();
}

/* Lets the owner use it. */
static int attach(struct domain *d, struct pci_function *f)
{
	int rc;

	if (!d->hardware)
		pci_isolate();
	/* A bridge sends nothing of its own, and those behind it, with its id perhaps, may be others'. */
	rc = f->header == 1 ? 0 : iommu_attach(d, f);
	if (rc == -ENODEV && d->hardware)	/* such a function reaches nothing, or all */
		rc = 0;
	if (!rc)
		rc = vpci_add(d, f);
	if (!rc)
		f->step = STEP_OWNED;
	return rc;
}

static void disown(struct pci_function *f)
{
	f->owner = NULL;
	f->step = STEP_NONE;
}

static int revoke_step(struct pci_function *f)
{
	int rc;

	if (f->step < STEP_RETURN) {
		stop(f);
		f->step = STEP_RETURN;
		return -ERESTART;
	}
	if (f->step == STEP_RETURN) {
		if (!quiesce_over(f->period))
			return -ERESTART;
		vpci_free(f);
		f->step = STEP_RESET_AGAIN;
	}
	rc = f->owner->hardware ? 0 : pci_reset(f);
	if (rc == -ERESTART)
		return rc;
	if (rc)
		pr_err("PCI: " PCI_FMT " does not come back from its reset: nobody gets it\n",
		       PCI_ARGS(f->sbdf));
	f->hidden |= rc != 0;
	disown(f);
	return 0;
}

static int assign_step(struct domain *d, struct pci_function *f)
{
	int rc = 0;

	if (f->step == STEP_RESET && !d->hardware)
		rc = pci_reset(f);
	if (!rc) {
		f->step = STEP_ATTACH;
		rc = attach(d, f);
	}
	if (rc && rc != -ERESTART) {
		iommu_detach(f);
		disown(f);
	}
	return rc;
}

int pci_assign(struct domain *d, u32 sbdf)
{
	struct pci_function *f;
	int rc;

	guard(&pci_lock);
	f = pci_find(sbdf);
	if (!f)
		return -ENODEV;
	if (f->owner == d)
		return f->step < STEP_OWNED ? assign_step(d, f) : -EBUSY;
	rc = check(d, f);
	if (rc)
		return rc;
	if (f->owner)
		rc = revoke_step(f);
	if (rc)
		return rc;
	f->owner = d;
	f->removed = false;
	f->step = STEP_RESET;
	return -ERESTART;
}

int pci_revoke(u32 sbdf, bool force)
{
	struct pci_function *f;

	guard(&pci_lock);
	f = pci_find(sbdf);
	if (!f || !f->owner)
		return -ENOENT;
	return force || vpci_ask(f) ? revoke_step(f) : -EAGAIN;
}

/* Gives d, which has the devices, what nobody has. */
static int adopt(struct domain *d, struct pci_function *f)
{
	int rc = is_shared(d, f) ? -EXDEV : attach(d, f);

	if (rc && rc != -ERESTART)
		iommu_detach(f);
	f->owner = rc ? NULL : d;
	f->removed = rc;
	return rc;
}

int pci_add(struct domain *d, u32 sbdf, u32 physfn, u8 node)
{
	struct pci_function *f, *p;

	guard(&pci_lock);
	f = pci_find(sbdf);
	p = pci_find(physfn);
	if (!f && p && p->owner == d)
		f = pci_vf_add(p, sbdf);
	if (!f)
		return -ENODEV;
	if (node != NODE_ANY)
		f->node = node;
	if (!f->physfn || f->owner)
		return 0;
	return adopt(d, f);
}

void pci_touch(struct domain *d, u32 sbdf)
{
	struct pci_function *f = pci_find(sbdf);

	if (f && f->removed && pci_vfs_forget(f)) {
		pci_forget(f);
		f = NULL;
	}
	if (f)
		return;
	f = pci_discover(sbdf);
	if (f)
		(void)adopt(d, f);	/* or it is found again at the next touch */
}

int pci_remove(const struct domain *d, u32 sbdf)
{
	struct pci_function *f;
	int rc = 0;

	guard(&pci_lock);
	f = pci_find(sbdf);
	if (!f)
		return -ENODEV;
	/* A real one may be a guest's now, or be plugged in again. */
	if (!f->physfn && (f->owner != d || f->header))
		return 0;
	if (f->owner)
		rc = revoke_step(f);
	f->removed = !rc;
	if (!rc && f->physfn)
		pci_forget(f);
	return rc;
}

static bool is_left_over(const struct domain *d, const struct pci_function *f)
{
	return !f->owner && !f->physfn && !f->hidden && !f->reserved && !is_shared(d, f);
}

/* The domain that has the devices takes what nobody has or wants, a function at a time. */
static int pci_create(struct domain *d)
{
	struct pci_function *f;
	int rc = 0;

	if (!d->hardware)
		return 0;
	if (!d->vpci)
		rc = vpci_create(d);
	if (rc)
		return rc;
	guard(&pci_lock);
	if (!pci_find_if(f, is_left_over(d, f)))
		return 0;
	rc = adopt(d, f);
	return rc ? rc : -ERESTART;
}

void pci_follow(void)
{
	struct pci_function *f;

	guard(&pci_lock);
	list_for_each(f, &pci_functions, link)
		vpci_follow(f, true);
}

static int pci_destroy(struct domain *d)
{
	struct pci_function *f;
	int rc = 0;

	if (!d->vpci)
		return 0;
	guard(&pci_lock);
	list_for_each(f, &pci_functions, link)
		if (f->owner == d && revoke_step(f))
			rc = -ERESTART;
	if (!rc)
		vpci_destroy(d);
	return rc;
}

const struct domain_part pci_part = { .create = pci_create, .destroy = pci_destroy };
