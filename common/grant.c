/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant tables, version 1: a domain's shared table, and which of its entries others use ("pinned").
 * d->grants->lock (LOCK_GRANT) protects this and the state of grant_map.c. No CPU holds two of
 * these locks.
 *
 * A pinned entry holds one reference to its page. Each p2m mapping holds a pin, which is released
 * after the mapping is flushed. The mapping domain holds a reference to the granting domain until
 * it unmaps.
 */
#include <margay/domain_parts.h>
#include <margay/guest_copy.h>

#include "grant_priv.h"

/* The most readers of an entry, and the most writers. */
#define PIN_MAX 128U

static int grow(struct domain *d, struct grant_table *t, unsigned nr)
{
	if (nr > GRANT_MAX_FRAMES)
		return -EINVAL;
	while (t->nr_frames < nr) {
		void *page = dom_alloc_meta(d, 1);

		if (!page)
			return -ENOMEM;
		t->gfn[t->nr_frames] = INVALID_GFN;
		t->frame[t->nr_frames++] = page;
	}
	return 0;
}

int grant_frame(struct domain *d, unsigned idx, mfn_t *mfn)
{
	struct grant_table *t = d->grants;
	int err;

	if (idx >= GRANT_MAX_FRAMES)
		return -EINVAL;
	idx = (unsigned)index_nospec(idx, GRANT_MAX_FRAMES);
	guard(&t->lock);
	err = grow(d, t, idx + 1);
	if (!err)
		*mfn = virt_to_mfn(t->frame[idx]);
	return err;
}

gfn_t *grant_frame_gfn(struct domain *d, unsigned idx)
{
	return &d->grants->gfn[index_nospec(idx, GRANT_MAX_FRAMES)];
}

bool grant_has_frame(const struct domain *d, mfn_t mfn)
{
	const struct grant_table *t = READ_ONCE(d->grants);
	unsigned i = t ? READ_ONCE(t->nr_frames) : 0;

	while (i && virt_to_mfn(t->frame[i - 1]) != mfn)
		i--;
	return i;
}

unsigned grant_nr_frames(struct domain *d)
{
	return READ_ONCE(d->grants->nr_frames);
}

/* Makes *at, a guest's number, an index that is safe under speculation. NULL: no such entry. */
static inline struct grant_entry_v1 *shared_at(struct grant_table *t, u64 *at)
{
	u64 n = t->nr_frames * GRANT_PER_FRAME;

	if (*at >= n)
		return NULL;
	*at = index_nospec(*at, n);
	return &t->frame[*at / GRANT_PER_FRAME][*at % GRANT_PER_FRAME];
}

/* Takes an index that shared_at() made. NULL: its page was never used, or no memory. */
static inline struct active *active_at(struct grant_table *t, u64 at)
{
	struct active *page = t->active[at / ACTIVE_PER_PAGE];

	return page ? &page[at % ACTIVE_PER_PAGE] : NULL;
}

static __noinline struct active *new_active(struct domain *d, struct grant_table *t, u64 at)
{
	t->active[at / ACTIVE_PER_PAGE] = dom_alloc_meta(d, 1);
	return active_at(t, at);
}

/*
 * Marks the entry in use. Returns false if the granter does not (or no longer) allow the access.
 * Flags and domain id form one word that the guest may change at any time, hence the
 * compare-and-swap.
 */
static bool set_status(struct grant_entry_v1 *e, domid_t who, bool write, bool pinned)
{
	u32 *word = (u32 *)e;

	_Static_assert(offsetof(struct grant_entry_v1, domid) == 2,
		       "flags and domain are one word");
	for (unsigned tries = 0; tries < 5; tries++) {
		u32 old = READ_ONCE(*word);

		if (!pinned &&
		    ((old & GTF_type_mask) != GTF_permit_access || (domid_t)(old >> 16) != who))
			return false;
		if (write && old & GTF_readonly)
			return false;
		if (atomic_cas(word, old, old | GTF_reading | (write ? GTF_writing : 0)))
			return true;
	}
	return false;
}

int grant_pin(struct domain *rd, grant_ref_t ref, domid_t who, bool write, mfn_t *mfn)
{
	struct grant_table *t = rd->grants;
	struct grant_entry_v1 *e;
	struct active *a;
	u64 at = ref;
	bool pinned;

	guard(&t->lock);
	if (t->dying)
		return GNTST_bad_domain;
	e = shared_at(t, &at);
	if (!e)
		return GNTST_bad_gntref;
	a = active_at(t, at);
	if (unlikely(!a))
		a = new_active(rd, t, at);
	if (unlikely(!a))
		return GNTST_general_error;
	pinned = a->reads + a->writes;
	if (pinned && (a->domid != who || a->reads >= PIN_MAX || a->writes >= PIN_MAX))
		return GNTST_general_error;
	if ((!pinned || (write && !a->writes)) && !set_status(e, who, write, pinned))
		return GNTST_general_error;
	if (!pinned) {
		if (p2m_get_page(rd, READ_ONCE(e->frame), &a->mfn)) {
			atomic_and(&e->flags, (u16) ~(GTF_reading | GTF_writing));
			return GNTST_bad_page;
		}
		a->domid = who;
	}
	if (write)
		a->writes++;
	else
		a->reads++;
	*mfn = a->mfn;
	return GNTST_okay;
}

void grant_unpin(struct domain *rd, grant_ref_t ref, bool write)
{
	struct grant_table *t = rd->grants;
	struct grant_entry_v1 *e;
	struct active *a;
	u64 at = ref;

	guard(&t->lock);
	e = shared_at(t, &at);
	a = active_at(t, at);
	/* The entry is the granter's, as in Xen, and so is the harm if it changes the page's number. */
	if (write && !t->dying)
		dirty_log_page(rd, READ_ONCE(e->frame));
	if (write && !--a->writes)
		atomic_and(&e->flags, (u16)~GTF_writing);
	else if (!write)
		a->reads--;
	if (!a->reads && !a->writes) {
		page_put(rd, a->mfn);
		atomic_and(&e->flags, (u16)~GTF_reading);
	}
}

int grant_swap(struct domain *d, grant_ref_t ref_a, grant_ref_t ref_b)
{
	struct grant_table *t = d->grants;
	struct grant_entry_v1 *ea, *eb, tmp;
	struct active *aa, *ab;
	u64 a = ref_a, b = ref_b;

	guard(&t->lock);
	ea = shared_at(t, &a);
	eb = shared_at(t, &b);
	if (!ea || !eb)
		return GNTST_bad_gntref;
	if (ea == eb)
		return GNTST_okay;
	aa = active_at(t, a);
	ab = active_at(t, b);
	if ((aa && aa->reads + aa->writes) || (ab && ab->reads + ab->writes))
		return GNTST_eagain;
	tmp = *ea;
	*ea = *eb;
	*eb = tmp;
	return GNTST_okay;
}

static int grant_init(struct domain *d)
{
	struct grant_table *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	spin_init(&t->lock, LOCK_GRANT);
	t->free_handle = NO_HANDLE;
	if (grow(d, t, 1)) {
		kfree(t);
		return -ENOMEM;
	}
	d->grants = t;
	return 0;
}

/* Until the last domain_put(), others may unmap d's grants. */
static void grant_free(struct domain *d)
{
	struct grant_table *t = d->grants;

	if (!t)
		return;
	for (unsigned i = 0; i < t->nr_frames; i++)
		dom_free_meta(d, t->frame[i], 1);
	for (unsigned i = 0; i < ARRAY_SIZE(t->active); i++)
		if (t->active[i])
			dom_free_meta(d, t->active[i], 1);
	for (unsigned i = 0; i < t->nr_handles / MAPTRACK_PER_PAGE; i++)
		dom_free_meta(d, t->maptrack[i], 1);
	kfree(t);
	d->grants = NULL;
}

const struct domain_part grant_part = { grant_init, grant_teardown, grant_free };
