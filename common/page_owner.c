/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table: who owns each 2 MiB chunk of RAM, or each page of a chunk whose pages differ. It is
 * also the page allocator, with a list per NUMA node of split chunks that have free pages. A free page's
 * contents are zero, but for chunks that nobody used since power-on (dirty), which are zeroed when they are
 * handed out or split. Each node's lock protects its chunks' entries and list.
 */
#include <margay/atomic.h>
#include <margay/domain.h>
#include <margay/list.h>
#include <margay/page_owner.h>
#include <margay/printk.h>

#define REF_GIVEN (1U << 31)	/* the owner gave it up: free when the last reference goes */
#define REF_MASK (REF_GIVEN - 1)

/* One page; lies in a page of the chunk itself where possible, else in another page of Margay's. */
struct split {
	struct list partial;	/* in node->partial while nr_free > 0 */
	u32 chunk;
	u16 nr_free;
	u16 nr_refs;		/* pages with references */
	u16 first_free;		/* no page before this one is free */
	u16 owner[CHUNK_PAGES];
	u32 ref[CHUNK_PAGES];
};

struct chunk {
	struct split *split;	/* NULL: the whole chunk is of one owner, without references */
	u16 owner;		/* while whole */
	u8 node;
	bool dirty;		/* while whole and free */
};

struct node {
	struct spinlock lock;
	u64 first_free;		/* no chunk before this one is whole and free */
	u64 free_pages;		/* in whole and split chunks */
	u64 unused;		/* a chunk left split after its last reference went; 0: none */
	struct list partial;
};

_Static_assert(sizeof(struct chunk) == 16, "16 bytes for 2 MiB");
_Static_assert(sizeof(struct split) <= PAGE_SIZE, "a split fits in a page");

static struct chunk *chunks;
static u64 nr_chunks, total_pages;
static struct node nodes[MAX_NODES];
unsigned nr_nodes = 1;
static u64 margay_pages, split_chunks;

static struct node *lock_chunk(u64 c)
{
	struct node *n = &nodes[chunks[c].node];

	spin_lock(&n->lock);
	return n;
}

static u16 owner_locked(mfn_t mfn)
{
	const struct chunk *k = &chunks[mfn / CHUNK_PAGES];

	return k->split ? k->split->owner[mfn % CHUNK_PAGES] : k->owner;
}

static void scrub(u64 page, u64 n)
{
	memset(mfn_to_virt(page), 0, n * PAGE_SIZE);
}

/* Marks a whole chunk free; the caller updates free_pages. */
static void chunk_to_free(struct node *n, u64 c)
{
	chunks[c].owner = OWNER_FREE;
	n->first_free = min(n->first_free, c);
}

/* A page of a split chunk becomes free; its contents are zero. */
static void page_to_free(struct node *n, struct split *s, unsigned i)
{
	s->owner[i] = OWNER_FREE;
	s->first_free = (u16)min(s->first_free, i);
	n->free_pages++;
	if (s->nr_free++ == 0)
		list_add(&s->partial, &n->partial);
}

/* Which page of its chunk a split lies in; CHUNK_PAGES when in none. */
static unsigned own_page(const struct split *s)
{
	u64 i = virt_to_mfn(s) - (u64)s->chunk * CHUNK_PAGES;

	return (unsigned)min(i, (u64)CHUNK_PAGES);
}

/* Makes entries for the pages of a whole chunk that is owned. They go to `page`, which is theirs now. */
static struct split *split_chunk(u64 c, void *page)
{
	struct split *s = page;

	s->chunk = (u32)c;
	s->nr_free = s->nr_refs = s->first_free = 0;
	list_init(&s->partial);
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		s->owner[i] = chunks[c].owner;
		s->ref[i] = 0;
	}
	if (own_page(s) < CHUNK_PAGES) {
		s->owner[own_page(s)] = OWNER_MARGAY;
		atomic_add(&margay_pages, 1);
	}
	chunks[c].split = s;
	atomic_add(&split_chunks, 1);
	return s;
}

/*
 * Puts a split chunk together again where its pages are alike: all free, or all one owner's with no
 * references. Returns a page of Margay's that held the split, to be freed without the lock.
 */
static struct split *try_merge(struct node *n, u64 c)
{
	struct split *s = chunks[c].split;
	unsigned self = own_page(s), alike = 0;

	if (s->nr_free) {
		if (s->nr_free < (self < CHUNK_PAGES ? CHUNK_PAGES - 1 : CHUNK_PAGES))
			return NULL;
		chunk_to_free(n, c);
	} else {
		if (s->nr_refs || self < CHUNK_PAGES)
			return NULL;
		while (alike < CHUNK_PAGES && s->owner[alike] == s->owner[0])
			alike++;
		if (alike < CHUNK_PAGES)
			return NULL;
		chunks[c].owner = s->owner[0];
	}
	list_del(&s->partial);
	chunks[c].split = NULL;
	atomic_sub(&split_chunks, 1);
	if (self == CHUNK_PAGES)
		return s;
	scrub(c * CHUNK_PAGES + self, 1);
	n->free_pages++;
	atomic_sub(&margay_pages, 1);
	return NULL;
}

static void merge_unlock(struct node *n, u64 c)
{
	struct split *s = try_merge(n, c);

	spin_unlock(&n->lock);
	if (s)
		free_page(s);
}

/*
 * The last reference to a page of chunk c is gone. Leaves the chunk split, since references come in bursts (copies from
 * grant to grant), and merges the chunk that was left split before. Called with n->lock; drops it.
 */
static void defer_merge(struct node *n, u64 c)
{
	u64 before = n->unused;

	n->unused = c;
	if (before && before != c && chunks[before].split)
		merge_unlock(n, before);
	else
		spin_unlock(&n->lock);
}

/* The first of count whole chunks that are free, in a row at a multiple of count; INVALID_MFN: none. */
static u64 find_chunks(struct node *n, u64 count)
{
	u64 base = ALIGN_DOWN(n->first_free, count), i;

	for (; base + count <= nr_chunks; base += count) {
		for (i = 0; i < count; i++) {
			const struct chunk *k = &chunks[base + i];

			if (k->split || k->owner != OWNER_FREE || &nodes[k->node] != n)
				break;
		}
		if (i == count)
			break;
	}
	if (count == 1)
		n->first_free = base;
	return base + count <= nr_chunks ? base : INVALID_MFN;
}

static mfn_t node_alloc_chunks(struct node *n, u64 count, u16 owner)
{
	u64 base, c;

	spin_lock(&n->lock);
	base = find_chunks(n, count);
	if (base == INVALID_MFN) {
		spin_unlock(&n->lock);
		return INVALID_MFN;
	}
	for (c = base; c < base + count; c++)
		chunks[c].owner = owner;
	n->free_pages -= count * CHUNK_PAGES;
	spin_unlock(&n->lock);
	for (c = base; c < base + count; c++) {
		if (chunks[c].dirty)
			scrub(c * CHUNK_PAGES, CHUNK_PAGES);
		chunks[c].dirty = false;
	}
	return base * CHUNK_PAGES;
}

/* A run of n free pages in a split chunk, or CHUNK_PAGES. */
static unsigned find_run(const struct split *s, unsigned n)
{
	unsigned run = 0;

	if (s->nr_free < n)
		return CHUNK_PAGES;
	for (unsigned i = s->first_free; i < CHUNK_PAGES; i++) {
		run = s->owner[i] == OWNER_FREE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return CHUNK_PAGES;
}

/* From a split chunk. Locked. */
static mfn_t take_run(struct node *n, unsigned count, u16 owner)
{
	struct split *s;

	list_for_each(s, &n->partial, partial) {
		unsigned first = find_run(s, count);

		if (first == CHUNK_PAGES)
			continue;
		for (unsigned i = first; i < first + count; i++)
			s->owner[i] = owner;
		n->free_pages -= count;
		s->nr_free = (u16)(s->nr_free - count);
		if (count == 1)
			s->first_free = (u16)(first + 1);
		if (!s->nr_free)
			list_del(&s->partial);
		return (mfn_t)s->chunk * CHUNK_PAGES + first;
	}
	return INVALID_MFN;
}

/* count contiguous pages, less than a chunk: from a split one, or a whole one is split for it. */
static mfn_t node_alloc_pages(struct node *n, unsigned count, u16 owner)
{
	struct split *s;
	mfn_t mfn;

	spin_lock(&n->lock);
	mfn = take_run(n, count, owner);
	spin_unlock(&n->lock);
	if (mfn != INVALID_MFN)
		return mfn;
	mfn = node_alloc_chunks(n, 1, OWNER_MARGAY);
	if (mfn == INVALID_MFN)
		return INVALID_MFN;
	guard(&n->lock);
	s = split_chunk(mfn / CHUNK_PAGES, mfn_to_virt(mfn));
	for (unsigned i = 1; i < CHUNK_PAGES; i++)
		page_to_free(n, s, i);
	return take_run(n, count, owner);
}

/* Zeroed. The asked node first, then the others in turn. INVALID_MFN: none. */
static mfn_t alloc_on(unsigned node, unsigned count, u16 owner)
{
	unsigned first = node < nr_nodes ? node : 0;

	for (unsigned i = 0; i < nr_nodes; i++) {
		struct node *n = &nodes[(first + i) % nr_nodes];
		mfn_t mfn = count < CHUNK_PAGES ? node_alloc_pages(n, count, owner) :
						  node_alloc_chunks(n, count / CHUNK_PAGES, owner);

		if (mfn != INVALID_MFN)
			return mfn;
	}
	return INVALID_MFN;
}

void *alloc_pages(unsigned n, unsigned node)
{
	mfn_t mfn = n && n <= CHUNK_PAGES ? alloc_on(node, n, OWNER_MARGAY) : INVALID_MFN;

	if (mfn == INVALID_MFN)
		return NULL;
	atomic_add(&margay_pages, n);
	return mfn_to_virt(mfn);
}

/* Frees one owned page; n->lock is held and released. A whole chunk is split in the freed page itself. */
static void free_one(struct node *n, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	struct split *s = chunks[c].split;

	scrub(mfn, 1);
	if (s) {
		page_to_free(n, s, mfn % CHUNK_PAGES);
		merge_unlock(n, c);
	} else {
		split_chunk(c, mfn_to_virt(mfn));
		spin_unlock(&n->lock);
	}
}

/* Releases a page of an owner. Returns false while references keep it: the last page_put frees it. */
static bool release_page(u16 owner, mfn_t mfn)
{
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(mfn / CHUNK_PAGES);
	struct split *s = chunks[mfn / CHUNK_PAGES].split;

	BUG_ON(owner_locked(mfn) != owner);
	if (s && s->ref[i]) {
		s->ref[i] |= REF_GIVEN;
		spin_unlock(&n->lock);
		return false;
	}
	free_one(n, mfn);
	return true;
}

/* Returns how many of the pages are free now. */
static u64 release_pages(u16 owner, mfn_t mfn, u64 count)
{
	u64 c = mfn / CHUNK_PAGES, freed = 0;
	struct node *n = lock_chunk(c);

	if (count != CHUNK_PAGES || mfn % CHUNK_PAGES || chunks[c].split) {
		spin_unlock(&n->lock);
		for (u64 i = 0; i < count; i++)
			freed += release_page(owner, mfn + i);
		return freed;
	}
	BUG_ON(chunks[c].owner != owner);
	chunks[c].owner = OWNER_NONE;	/* nobody else's business while it is scrubbed */
	spin_unlock(&n->lock);
	scrub(mfn, CHUNK_PAGES);
	spin_lock(&n->lock);
	chunk_to_free(n, c);
	n->free_pages += CHUNK_PAGES;
	spin_unlock(&n->lock);
	return count;
}

void free_pages(void *va, unsigned n)
{
	atomic_sub(&margay_pages, n);
	release_pages(OWNER_MARGAY, virt_to_mfn(va), n);
}

int dom_alloc(struct domain *d, unsigned order, mfn_t *mfn)
{
	u64 n = 1UL << order;

	if (atomic_add(&d->tot_pages, n) > d->max_pages) {
		atomic_sub(&d->tot_pages, n);
		return -E2BIG;
	}
	*mfn = alloc_on(d->node, (unsigned)n, d->id);
	if (*mfn == INVALID_MFN) {
		atomic_sub(&d->tot_pages, n);
		return -ENOMEM;
	}
	return 0;
}

void dom_free(struct domain *d, mfn_t mfn, unsigned order)
{
	atomic_sub(&d->tot_pages, release_pages(d->id, mfn, 1UL << order));
}

void *dom_alloc_meta(struct domain *d)
{
	void *page = NULL;

	if (atomic_add(&d->meta_pages, 1) <= META_PAGES + d->max_pages / 128)
		page = alloc_pages(1, d->node);
	if (!page)
		atomic_sub(&d->meta_pages, 1);
	return page;
}

void dom_free_meta(struct domain *d, void *page)
{
	atomic_sub(&d->meta_pages, 1);
	free_page(page);
}

int page_get(const struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	void *spare = NULL;
	struct node *n;
	int rc = 0;

	if (c >= nr_chunks)
		return -EINVAL;
	c = index_nospec(c, nr_chunks);
	n = lock_chunk(c);
	if (!chunks[c].split && chunks[c].owner == d->id) {
		/* Allocated without the lock; the chunk may have been split, or gone, when we are back. */
		spin_unlock(&n->lock);
		spare = alloc_page();
		if (!spare)
			return -ENOMEM;
		spin_lock(&n->lock);
		if (!chunks[c].split && chunks[c].owner == d->id) {
			split_chunk(c, spare);
			spare = NULL;
		}
	}

	struct split *s = chunks[c].split;

	if (!s || s->owner[i] != d->id || (s->ref[i] & REF_GIVEN))
		rc = -EINVAL;
	else if (s->ref[i] == REF_MASK)
		rc = -EBUSY;
	else if (!s->ref[i]++)
		s->nr_refs++;
	spin_unlock(&n->lock);
	if (spare)
		free_page(spare);
	return rc;
}

void page_put(struct domain *d, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	BUG_ON(!s || s->owner[i] != d->id || !(s->ref[i] & REF_MASK));
	if (--s->ref[i] & REF_MASK) {
		spin_unlock(&n->lock);
		return;
	}
	s->nr_refs--;
	if (s->ref[i]) {	/* REF_GIVEN */
		s->ref[i] = 0;
		free_one(n, mfn);
		atomic_sub(&d->tot_pages, 1);
	} else {
		defer_merge(n, c);
	}
}

void mem_stats(struct mem_stats *st)
{
	*st = (struct mem_stats){ .total_pages = total_pages, .margay_pages = margay_pages,
				  .split_chunks = split_chunks };
	for (unsigned i = 0; i < nr_nodes; i++)
		st->free_pages += nodes[i].free_pages;
}

u64 node_free_pages(unsigned node)
{
	return nodes[node].free_pages;
}

/* Set-up. Ranges that boot handed out or keeps, to be left out of the free memory. */

#define MAX_KEPT 96

static __initdata struct kept {
	paddr_t base, end;
	u16 owner;
} kept[MAX_KEPT];
static __initdata unsigned nr_kept;
static __initdata const struct boot_info *boot;
static __initdata paddr_t image_end, image_chunk_end;

static void __init keep(paddr_t base, paddr_t end, u16 owner)
{
	if (nr_kept == MAX_KEPT)
		panic("too many boot modules and reserved ranges\n");
	kept[nr_kept++] =
		(struct kept){ ALIGN_DOWN(base, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE), owner };
}

void __init early_reserve(paddr_t base, u64 size)
{
	keep(base, base + size, OWNER_NONE);
}

void __init early_init(const struct boot_info *bi, paddr_t image, u64 image_size)
{
	boot = bi;
	/* Firmware's data and the trampoline live below 1 MiB: not worth fighting for. */
	keep(0, 1 << 20, OWNER_NONE);
	keep(image, image + image_size, OWNER_MARGAY);
	image_end = image + image_size;
	image_chunk_end = image + CHUNK_SIZE;
}

static const struct kept *__init kept_overlap(paddr_t base, paddr_t end)
{
	for (unsigned i = 0; i < nr_kept; i++)
		if (kept[i].base < end && kept[i].end > base)
			return &kept[i];
	return NULL;
}

/* The highest place in [base, end) that is not kept; 0 when there is none. */
static paddr_t __init highest_free(paddr_t base, paddr_t end, u64 size)
{
	while (end >= base + size) {
		paddr_t at = ALIGN_DOWN(end - size, PAGE_SIZE);
		const struct kept *k = at >= base ? kept_overlap(at, at + size) : NULL;

		if (at < base)
			break;
		if (!k)
			return at;
		end = k->base;
	}
	return 0;
}

/* In the image's chunk while that goes; then the highest RAM below 4 GiB that is not kept. */
void *__init early_alloc(u64 size)
{
	struct kept *last = &kept[nr_kept - 1];
	paddr_t at;

	size = ALIGN_UP(size, PAGE_SIZE);
	at = highest_free(image_end, image_chunk_end, size);
	if (at && !mem_is_ram(boot->mem, boot->nr_mem, at, size))
		at = 0;
	for (unsigned i = boot->nr_mem; i-- > 0 && !at;) {
		const struct mem_range *r = &boot->mem[i];

		if (r->type == MEM_RAM && r->base < 1UL << 32)
			at = highest_free(r->base, min(r->base + r->size, 1UL << 32), size);
	}
	if (!at)
		panic("no %lu KiB of memory below 4 GiB for Margay's tables\n", size >> 10);
	/* One growing entry a run keeps the list short. */
	if (last->base == at + size && last->owner == OWNER_MARGAY)
		last->base = at;
	else
		keep(at, at + size, OWNER_MARGAY);
	return memset(phys_to_virt(at), 0, size);
}

void *early_or_alloc_page(void)
{
	return chunks ? alloc_page() : early_alloc(PAGE_SIZE);
}

static u8 __init node_of(const struct acpi_info *acpi, paddr_t pa)
{
	for (unsigned i = 0; i < acpi->nr_mem; i++)
		if (pa >= acpi->mem[i].base && pa - acpi->mem[i].base < acpi->mem[i].size)
			return acpi->mem[i].node;
	return 0;
}

static u16 __init boot_owner(paddr_t pa)
{
	const struct kept *k = kept_overlap(pa, pa + PAGE_SIZE);

	if (k)
		return k->owner;
	return mem_is_ram(boot->mem, boot->nr_mem, pa, PAGE_SIZE) ? OWNER_FREE : OWNER_NONE;
}

/* A chunk that is not RAM as a whole, or of which something is kept. */
static void __init init_mixed(struct node *n, u64 c)
{
	paddr_t base = c << CHUNK_SHIFT;
	unsigned first_free = CHUNK_PAGES;
	struct split *s;

	for (unsigned i = CHUNK_PAGES; i-- > 0;) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner == OWNER_FREE)
			first_free = i;
		else if (owner == OWNER_MARGAY)
			margay_pages++;
		total_pages += owner != OWNER_NONE;
		/* With no page free it stays whole; Margay's, so that it can give what it has there back. */
		if (owner == OWNER_MARGAY)
			chunks[c].owner = OWNER_MARGAY;
	}
	if (first_free == CHUNK_PAGES)
		return;
	s = split_chunk(c, phys_to_virt(base + first_free * PAGE_SIZE));
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		u16 owner = boot_owner(base + i * PAGE_SIZE);

		if (owner != OWNER_FREE) {
			s->owner[i] = owner;
		} else if (i != first_free) {
			scrub(c * CHUNK_PAGES + i, 1);
			page_to_free(n, s, i);
		}
	}
}

void __init owner_init(const struct boot_info *bi, const struct acpi_info *acpi)
{
	paddr_t max = 0;
	struct chunk *table;

	for (unsigned i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == MEM_RAM)
			max = max(max, bi->mem[i].base + bi->mem[i].size);
	nr_chunks = (max + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	table = early_alloc(nr_chunks * sizeof(*table));
	chunks = table;
	nr_nodes = max(acpi->nr_nodes, 1U);
	for (unsigned i = 0; i < nr_nodes; i++) {
		spin_init(&nodes[i].lock, LOCK_OWNER);
		list_init(&nodes[i].partial);
	}
	for (u64 c = 0; c < nr_chunks; c++) {
		paddr_t base = c << CHUNK_SHIFT;
		u8 node = node_of(acpi, base);

		chunks[c] = (struct chunk){ .node = node, .owner = OWNER_NONE };
		if (mem_is_ram(bi->mem, bi->nr_mem, base, CHUNK_SIZE) &&
		    !kept_overlap(base, base + CHUNK_SIZE)) {
			chunks[c].owner = OWNER_FREE;
			chunks[c].dirty = true;
			nodes[node].free_pages += CHUNK_PAGES;
			total_pages += CHUNK_PAGES;
		} else {
			init_mixed(&nodes[node], c);
		}
	}
}
