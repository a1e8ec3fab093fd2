/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of dirty pages. The CPU itself sets the dirty bit of a nested leaf, without an exit; where
 * EPT has no such bit, the right to write takes its place, and a page's first write faults (mmio.c).
 * New leaves have the bit. Only 4 KiB leaves lose it: a larger one is split first, and merged again
 * when the log has ended. Margay's own writes set it as the CPU does: guest_copy.c keeps a
 * translation for writes until the next flush. SDM 3C 29.3.5, APM2 15.25.
 */
#include <margay/errno.h>

#include "p2m_priv.h"

#define LEAF_OF (PTE_P | TYPE_MASK)
#define RAM_LEAF (PTE_P | (u64)P2M_RAM << TYPE_SHIFT)

static bool is_ram(u64 e)
{
	return (e & LEAF_OF) == RAM_LEAF;
}

bool p2m_mark_dirty(struct domain *d, gfn_t gfn)
{
	unsigned level;
	u64 *at, e;

	do {
		e = gfn < GFN_LIMIT ? pt_walk(&d->p2m.pt, gfn, &level, &at) : 0;
		if (!pt_present(e) || p2m_read_only(type_of(e)))
			return false;
	} while (!(e & x86.nested_dirty) && !atomic_cas(at, e, e | x86.nested_dirty));
	return true;
}

/* The entry of a dirty page is not written by a CPU: a plain store may clear its bit. */
gfn_t dirty_log_scan(struct domain *d, gfn_t gfn, gfn_t end, unsigned how)
{
	struct p2m *p = &d->p2m;
	struct dirty_log *l = &p->log;
	unsigned level;
	u64 *at;

	guard(&p->lock);
	at = pt_find(&p->pt, gfn, &level);
	if (level && is_ram(*at) && how & LOG_CLEAN) {
		pt_make(&p->pt, gfn, 0); /* without memory for tables, the pages stay dirty */
		at = pt_find(&p->pt, gfn, &level);
	}
	if (level && !is_ram(*at))
		return min(end, (gfn | ((1UL << 9 * level) - 1)) + 1);
	end = min(end, (gfn | 511) + 1);
	for (; gfn < end; gfn++, at += !level) {
		u64 e = *at;

		if (!is_ram(e))
			continue;
		if (!(e & x86.nested_dirty) && !l->take_all &&
		    !(how & LOG_FINAL && (page_referenced(mfn_of(e)) || READ_ONCE(l->all))))
			continue;
		l->bits[gfn % LOG_PAGES / 64] |= 1UL << gfn % 64;
		l->dirty++;
		if (how & LOG_CLEAN && !level)
			WRITE_ONCE(*at, e & ~x86.nested_dirty);
	}
	return end;
}

/*
 * Replaces the table whose 512 entries of the level map adjacent RAM with one leaf. Returns the
 * table, which others may still read, or NULL.
 */
static u64 *merge_table(struct p2m *p, gfn_t gfn, unsigned level)
{
	const u64 same = PTE_ADDR | LEAF_OF, step = PAGE_SIZE << 9 * level;
	unsigned found;
	u64 *t, *at;

	pt_walk(&p->pt, gfn, &found, &at);
	if (found != level)
		return NULL;
	at = pt_make(&p->pt, gfn, level + 1);	/* exists */
	t = pt_table(*at);
	if (!is_ram(t[0]) || (t[0] & PTE_ADDR) % (512 * step))
		return NULL;
	for (unsigned i = 0; i < 512; i++)
		if (!pt_is_leaf(t[i], level) || (t[i] & same) != (t[0] & same) + i * step)
			return NULL;
	WRITE_ONCE(*at, p2m_leaf(mfn_of(t[0]), P2M_RAM, level + 1));
	p->entries[level] -= 512;
	p->entries[level + 1]++;
	p->recent_pages = 0;
	return t;
}

gfn_t dirty_log_merge(struct domain *d, gfn_t gfn)
{
	struct dirty_log *l = &d->p2m.log;
	unsigned level;
	u64 *at;

	guard(&d->p2m.lock);
	pt_walk(&d->p2m.pt, gfn, &level, &at);
	for (unsigned i = 0; i < 1U + (x86.nested_page1g && gfn / 512 % 512 == 511); i++) {
		u64 *t = merge_table(&d->p2m, gfn, i);

		if (t)
			l->tables[l->nr_tables++] = t;
	}
	return (gfn | ((512UL << 9 * (level ? level - 1 : 0)) - 1)) + 1;
}

bool dirty_log_free(struct domain *d, bool end)
{
	struct dirty_log *l = &d->p2m.log;

	l->on = false;
	for (unsigned i = 0; l->nr_tables && i < TEARDOWN_BATCH; i++)
		p2m_free_table(d, l->tables[--l->nr_tables]);
	if (l->nr_tables)
		return false;
	if (end && l->bits) {
		dom_free_meta(d, l->bits, 1);
		*l = (struct dirty_log){ 0 };
	}
	return true;
}
