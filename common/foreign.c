/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Foreign mappings: pages of other domains in a control domain's physical address space (P2M_FOREIGN).
 * Each mapping holds a reference to the domain and, if the page is the domain's own, to the page.
 * Pages of its grant table are Margay's and last as long as the domain.
 */
#include <margay/grant.h>
#include <margay/p2m.h>

int foreign_get(struct domain *d, gfn_t gfn, mfn_t *mfn)
{
	struct p2m_entry e;

	/* What a guest of a control domain's writes to the last initial domain would be lost. */
	if (d->initial)
		return -EPERM;
	if (p2m_get_page(d, gfn, mfn)) {
		e = p2m_lookup(d, gfn);
		if (e.type != P2M_SHARED || !grant_has_frame(d, e.mfn))
			return -EINVAL;
		*mfn = e.mfn;
	}
	domain_hold(d);
	return 0;
}

/* Returns the domain that a mapping of mfn keeps. */
static struct domain *owner_of(mfn_t mfn, u16 owner)
{
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		if (owner == OWNER_MARGAY ? grant_has_frame(d, mfn) : d->id == owner && !d->initial)
			return d;
	BUG_ON(true);
}

void foreign_put(mfn_t mfn)
{
	u16 owner = page_owner(mfn);
	struct domain *d = owner_of(mfn, owner);

	if (owner != OWNER_MARGAY)
		page_put(d, mfn);
	domain_put(d);
}
