/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical-to-machine map: nested page tables, read by the CPU and by us. Walking and splitting are
 * the same for NPT and EPT; only a leaf's rights differ. Entries are changed under d->p2m.lock with
 * single stores, so that readers need none. What a reader found stays valid until its vCPU leaves the
 * copy (v->copying_guest_memory) or puts its reference: p2m_flush() waits for that before a page goes. APM2 15.25.
 */
#include <margay/arch.h>
#include <margay/domain_parts.h>
#include <margay/printk.h>
#include <margay/vcpu.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/paging.h>

#define TYPE_SHIFT 52		/* ignored by both vendors' hardware */
#define TYPE_MASK (7UL << TYPE_SHIFT)
#define TABLE (PTE_P | PTE_W | PTE_U)	/* in EPT's words: read, write, execute */
#define EPT_X PTE_U
#define GFN_LIMIT (1UL << 36)	/* 4 levels */
#define TEARDOWN_BATCH 32U
#define TEARDOWN_CHUNK TEARDOWN_BATCH /* what a chunk to scrub counts for in a batch */
#define TEARDOWN_TABLE 4U

static u64 leaf(mfn_t mfn, enum p2m_type type, unsigned level)
{
	u64 rights = hvm->leaf[type] | (level ? PTE_PS : 0);

	/* p2m_split_code() */
	if (level && x86.itlb_multihit)
		rights &= ~(u64)EPT_X;
	return mfn << PAGE_SHIFT | (u64)type << TYPE_SHIFT | rights;
}

static enum p2m_type type_of(u64 e)
{
	return e & PTE_P ? (e & TYPE_MASK) >> TYPE_SHIFT : P2M_NONE;
}

static bool is_leaf(u64 e, unsigned level)
{
	return !level || (e & PTE_PS);
}

static u64 *table_at(u64 e)
{
	return phys_to_virt(e & PTE_ADDR);
}

static unsigned index_at(gfn_t gfn, unsigned level)
{
	return gfn >> 9 * level & 511;
}

static u64 *new_table(struct domain *d)
{
	u64 *t = dom_alloc_meta(d);

	if (t)
		d->p2m.table_pages++;
	return t;
}

static void free_table(struct domain *d, u64 *t)
{
	dom_free_meta(d, t);
	d->p2m.table_pages--;
}

int p2m_init(struct domain *d)
{
	spin_init(&d->p2m.lock, LOCK_P2M);
	d->p2m.root = new_table(d);
	return d->p2m.root ? 0 : -ENOMEM;
}

struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn)
{
	u64 *t = d->p2m.root;

	for (unsigned order = 27; gfn < GFN_LIMIT; order -= 9) {
		u64 e = READ_ONCE(t[gfn >> order & 511]);

		if (!(e & PTE_P))
			break;
		if (is_leaf(e, order))
			return (struct p2m_entry){ ((e & PTE_ADDR) >> PAGE_SHIFT) +
							   (gfn & ((1UL << order) - 1)),
						   type_of(e), (u8)order };
		t = table_at(e);
	}
	return (struct p2m_entry){ INVALID_MFN, P2M_NONE, 0 };
}

/* Replaces a large leaf by a table of the next smaller ones, or nothing by an empty table. */
static int make_table(struct domain *d, u64 *e, unsigned level)
{
	u64 *t = new_table(d), old = *e, step = 1UL << (PAGE_SHIFT + 9 * (level - 1));

	if (!t)
		return -ENOMEM;
	if (old & PTE_P) {
		if (level == 1)
			old = (old & ~PTE_PS) | (hvm->leaf[type_of(old)] & EPT_X);
		for (unsigned i = 0; i < 512; i++)
			t[i] = old + i * step;
		d->p2m.entries[level]--;
		d->p2m.entries[level - 1] += 512;
	}
	WRITE_ONCE(*e, virt_to_phys(t) | TABLE);
	return 0;
}

/* Finds the entry for gfn at the level; tables are made and large leaves split on the way. NULL: no memory. */
static u64 *entry_at(struct domain *d, gfn_t gfn, unsigned level)
{
	u64 *t = d->p2m.root;

	for (unsigned l = 3; l > level; l--) {
		u64 *e = &t[index_at(gfn, l)];

		if ((!(*e & PTE_P) || is_leaf(*e, l)) && make_table(d, e, l))
			return NULL;
		t = table_at(*e);
	}
	return &t[index_at(gfn, level)];
}

/*
 * Maps the page that a guest executes alone where large pages are not executable. Other CPUs may go on with
 * the old entry, which cannot be executed. 0 or -ENOMEM.
 */
int p2m_split_code(struct domain *d, gfn_t gfn)
{
	guard(&d->p2m.lock);
	return entry_at(d, gfn, 0) ? 0 : -ENOMEM;
}

/* Sets the entry for gfn at the level. -EBUSY: smaller mappings are there, which are not replaced at once. */
static int set_entry(struct domain *d, gfn_t gfn, unsigned level, u64 new, u64 *old)
{
	u64 *e;

	guard(&d->p2m.lock);
	e = entry_at(d, gfn, level);
	if (!e)
		return -ENOMEM;
	if ((*e & PTE_P) && !is_leaf(*e, level))
		return -EBUSY;
	*old = atomic_xchg(e, new);
	d->p2m.entries[level] += !!(new &PTE_P) - !!(*old & PTE_P);
	return 0;
}

/* Frees the RAM that a leaf mapped, after the flush. Other pages are kept by who asked for the mapping. */
static void release(struct domain *d, u64 e, unsigned level)
{
	mfn_t mfn = (e & PTE_ADDR) >> PAGE_SHIFT;

	if (type_of(e) != P2M_RAM)
		return;
	for (u64 i = 0; level == 2 && i < 512; i++)
		dom_free(d, mfn + i * CHUNK_PAGES, 9);
	if (level < 2)
		dom_free(d, mfn, 9 * level);
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	unsigned level = order / 9;
	u64 old;
	int rc;

	if (gfn >= GFN_LIMIT || ((gfn | mfn) & ((1UL << order) - 1)) || order % 9 || level > 2)
		return -EINVAL;
	rc = set_entry(d, gfn, level, leaf(mfn, type, level), &old);
	if (rc)
		return rc;
	d->max_gfn = max(d->max_gfn, gfn + (1UL << order) - 1);
	if (old & PTE_P) {
		p2m_flush(d);
		release(d, old, level);
	}
	return 0;
}

/* Clears the entry of gfn at the level. */
static int clear_entry(struct domain *d, gfn_t gfn, unsigned level, u64 *old)
{
	int rc = p2m_lookup(d, gfn).type == P2M_NONE ? -ENOENT : set_entry(d, gfn, level, 0, old);

	return rc ? rc : *old & PTE_P ? 0 : -ENOENT;
}

int p2m_unmap(struct domain *d, gfn_t gfn)
{
	u64 old;
	int rc = clear_entry(d, gfn, 0, &old);

	if (rc)
		return rc;
	p2m_flush(d);
	release(d, old, 0);
	return 0;
}

unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n)
{
	u64 old[P2M_BATCH];
	unsigned i, level = n == CHUNK_PAGES ? 1 : 0;

	if (level)
		n = 1;
	for (i = 0; i < min(n, P2M_BATCH) && !clear_entry(d, gfn + i, level, &old[i]); i++)
		;
	if (i)
		p2m_flush(d);
	for (n = 0; n < i; n++)
		release(d, old[n], level);
	return level ? i * CHUNK_PAGES : i;
}

int p2m_take(struct domain *d, gfn_t gfn, struct p2m_entry *out)
{
	u64 old;
	int rc = clear_entry(d, gfn, 0, &old);

	if (rc)
		return rc;
	p2m_flush(d);
	*out = (struct p2m_entry){ (old & PTE_ADDR) >> PAGE_SHIFT, type_of(old), 0 };
	return 0;
}

int p2m_get_page(struct domain *d, gfn_t gfn, bool write __unused, mfn_t *mfn)
{
	struct p2m_entry e = p2m_lookup(d, gfn);
	/* Only the domain's own pages: what others lent is theirs to take away. */
	int rc = e.type == P2M_RAM ? page_get(d, e.mfn) : -EINVAL;

	if (rc)
		return rc;
	/* The mapping may have gone while we took the reference. */
	if (p2m_lookup(d, gfn).mfn != e.mfn) {
		page_put(d, e.mfn);
		return -EINVAL;
	}
	*mfn = e.mfn;
	return 0;
}

/*
 * Marks every vCPU of d, and waits for those that run the guest, or copy from it, on other CPUs. They
 * need no lock for leaving, so waiting here with locks held is safe.
 */
void p2m_flush(struct domain *d)
{
	struct vcpu *self = this_cpu()->current;

	atomic_add(&d->p2m.generation, 1);
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];

		if (!v)
			continue;
		atomic_or(&v->pending, VCPU_WORK_FLUSH);
		if (v != self && READ_ONCE(v->in_guest))
			arch_cpu_kick(v->cpu);
	}
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];

		if (!v || v == self)
			continue;
		while ((READ_ONCE(v->in_guest) && (READ_ONCE(v->pending) & VCPU_WORK_FLUSH)) ||
		       READ_ONCE(v->copying_guest_memory))
			cpu_relax();
	}
}

/* Depth first; leaves and then tables go, until the batch is used up. */
static bool teardown_table(struct domain *d, u64 *t, unsigned level, unsigned *left)
{
	for (unsigned i = 0; i < 512; i++) {
		u64 e = t[i];

		if (!(e & PTE_P))
			continue;
		if (!*left)
			return false;
		/* A gigabyte is 512 chunks to scrub: by the chunk, over many steps. */
		if (level == 2 && is_leaf(e, level) && type_of(e) == P2M_RAM &&
		    !make_table(d, &t[i], level))
			e = t[i];
		if (is_leaf(e, level)) {
			t[i] = 0;
			d->p2m.entries[level]--;
			release(d, e, level);
			*left -= min(*left, level ? TEARDOWN_CHUNK : 1U);
		} else {
			if (!teardown_table(d, table_at(e), level - 1, left))
				return false;
			t[i] = 0;
			free_table(d, table_at(e));
			*left -= min(*left, TEARDOWN_TABLE);
		}
	}
	return true;
}

int p2m_teardown(struct domain *d)
{
	unsigned left = TEARDOWN_BATCH;

	if (!d->p2m.root)
		return 0;
	if (!teardown_table(d, d->p2m.root, 3, &left))
		return -ERESTART;
	free_table(d, d->p2m.root);
	d->p2m.root = NULL;
	return 0;
}

const struct domain_part p2m_part = { .create = p2m_init, .destroy = p2m_teardown };
