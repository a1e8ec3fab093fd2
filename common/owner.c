/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table: who owns each 2 MiB chunk of RAM, or each page of a chunk whose pages differ. It is
 * also the page allocator: free chunks are listed per NUMA node, and so are split chunks with free pages.
 * A free page's contents are zero, but for memory that nobody used since power-on (dirty), which is
 * zeroed when it is handed out. Each node's lock protects its chunks' entries and lists.
 */
#include <margay/atomic.h>
#include <margay/domain.h>
#include <margay/list.h>
#include <margay/owner.h>
#include <margay/printk.h>

#define NO_CHUNK 0xffffffffU
#define SELF_NONE 0xffffU

#define REF_MASK 0x3fffffffU
#define REF_DIRTY (1U << 30)	/* a free page not yet zeroed */
#define REF_GIVEN (1U << 31)	/* the owner gave it up: free when the last reference goes */

/* One page; lies in a page of the chunk itself where possible (self), else in a page of Margay's. */
struct split {
	struct list partial;	/* in node->partial while nr_free > 0 */
	u32 chunk;
	u16 nr_free;
	u16 self;		/* index of the page this lies in, SELF_NONE if in another chunk */
	u16 owner[CHUNK_PAGES];
	u32 ref[CHUNK_PAGES];
};

struct chunk {
	struct split *split;	/* NULL: the whole chunk is of one owner, without references */
	u32 next;		/* free list */
	u16 owner;		/* while whole */
	u8 node;
	bool dirty;		/* while whole and free */
};

struct node {
	struct spinlock lock;
	u32 free;		/* head of the list of whole free chunks */
	u64 free_pages;		/* in whole and split chunks */
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

static void scrub(u64 page, u64 n)
{
	memset(mfn_to_virt(page), 0, n * PAGE_SIZE);
}

static void push_free_chunk(struct node *n, u64 c, bool dirty)
{
	struct chunk *k = &chunks[c];

	k->split = NULL;
	k->owner = OWNER_FREE;
	k->dirty = dirty;
	k->next = n->free;
	n->free = (u32)c;
}

/* Makes entries for a whole chunk's pages in s, a page of Margay's or (self) of the chunk. */
static void split_chunk(struct node *n, u64 c, struct split *s, u16 self)
{
	struct chunk *k = &chunks[c];
	u32 ref = k->owner == OWNER_FREE && k->dirty ? REF_DIRTY : 0;

	s->chunk = (u32)c;
	s->self = self;
	s->nr_free = k->owner == OWNER_FREE ? CHUNK_PAGES : 0;
	list_init(&s->partial);
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		s->owner[i] = k->owner;
		s->ref[i] = ref;
	}
	if (self != SELF_NONE) {
		s->owner[self] = OWNER_MARGAY;
		s->ref[self] = 0;
		if (s->nr_free) {
			s->nr_free--;
			n->free_pages--;
		}
		atomic_add(&margay_pages, 1);
	}
	if (s->nr_free)
		list_add(&s->partial, &n->partial);
	k->split = s;
	atomic_add(&split_chunks, 1);
}

/* A page of a split chunk becomes free; its contents are zero or it is dirty. */
static void page_to_free(struct node *n, struct split *s, unsigned i, u32 dirty)
{
	s->owner[i] = OWNER_FREE;
	s->ref[i] = dirty;
	n->free_pages++;
	if (s->nr_free++ == 0)
		list_add(&s->partial, &n->partial);
}

/*
 * Puts a split chunk together again where its pages are alike: all free, or all one owner's with no
 * references. Returns a page of Margay's that held the split, to be freed without the lock.
 */
static struct split *try_merge(struct node *n, u64 c)
{
	struct chunk *k = &chunks[c];
	struct split *s = k->split;
	unsigned alike = 0;

	if (s->nr_free) {
		if (s->nr_free + (s->self != SELF_NONE) < (int)CHUNK_PAGES)
			return NULL;
	} else {
		if (s->self != SELF_NONE)
			return NULL;
		while (alike < CHUNK_PAGES && s->owner[alike] == s->owner[0] && !s->ref[alike])
			alike++;
		if (alike < CHUNK_PAGES)
			return NULL;
	}

	bool was_free = s->nr_free != 0, dirty = false;
	u16 owner = s->owner[0];

	list_del(&s->partial);
	atomic_sub(&split_chunks, 1);
	if (!was_free) {
		k->split = NULL;
		k->owner = owner;
		return s;
	}
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		dirty |= s->ref[i] != 0;
	if (s->self != SELF_NONE) {
		unsigned self = s->self;

		scrub(c * CHUNK_PAGES + self, 1);
		n->free_pages++;
		atomic_sub(&margay_pages, 1);
		s = NULL;
	}
	push_free_chunk(n, c, dirty);
	return s;
}

static void merge_unlock(struct node *n, u64 c)
{
	struct split *s = try_merge(n, c);

	spin_unlock(&n->lock);
	if (s)
		free_page(s);
}

/* A run of n free pages in a split chunk, or CHUNK_PAGES. */
static unsigned find_run(const struct split *s, unsigned n)
{
	unsigned run = 0;

	if (s->nr_free < n)
		return CHUNK_PAGES;
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		run = s->owner[i] == OWNER_FREE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return CHUNK_PAGES;
}

static mfn_t take_run(struct node *n, struct split *s, unsigned first, unsigned count, u16 owner)
{
	mfn_t mfn = (mfn_t)s->chunk * CHUNK_PAGES + first;
	bool dirty = false;

	for (unsigned i = first; i < first + count; i++) {
		dirty |= s->ref[i] != 0;
		s->owner[i] = owner;
		s->ref[i] = 0;
	}
	s->nr_free = (u16)(s->nr_free - count);
	n->free_pages -= count;
	if (!s->nr_free)
		list_del(&s->partial);
	spin_unlock(&n->lock);
	if (dirty)
		scrub(mfn, count);
	return mfn;
}

/* count contiguous pages on one node for owner; zeroed. INVALID_MFN: none. */
static mfn_t node_alloc_pages(struct node *n, unsigned count, u16 owner)
{
	struct split *s;
	u64 c;

	spin_lock(&n->lock);
	list_for_each(s, &n->partial, partial) {
		unsigned first = find_run(s, count);

		if (first < CHUNK_PAGES)
			return take_run(n, s, first, count, owner);
	}
	if (n->free == NO_CHUNK || count >= CHUNK_PAGES) {
		spin_unlock(&n->lock);
		return INVALID_MFN;
	}
	c = n->free;
	n->free = chunks[c].next;
	split_chunk(n, c, mfn_to_virt(c * CHUNK_PAGES), 0);
	s = chunks[c].split;
	return take_run(n, s, find_run(s, count), count, owner);
}

static mfn_t node_alloc_chunk(struct node *n, u16 owner)
{
	u64 c;
	bool dirty;

	spin_lock(&n->lock);
	c = n->free;
	if (c == NO_CHUNK) {
		spin_unlock(&n->lock);
		return INVALID_MFN;
	}
	n->free = chunks[c].next;
	n->free_pages -= CHUNK_PAGES;
	dirty = chunks[c].dirty;
	chunks[c].owner = owner;
	chunks[c].dirty = false;
	spin_unlock(&n->lock);
	if (dirty)
		scrub(c * CHUNK_PAGES, CHUNK_PAGES);
	return c * CHUNK_PAGES;
}

/* 512 chunks in a row at a multiple of a gigabyte, all whole and free; taken off the list. */
static mfn_t node_alloc_giga(struct node *n, u16 owner)
{
	u64 base, c = 0;
	u32 *link;

	spin_lock(&n->lock);
	for (base = 0; base + CHUNK_PAGES <= nr_chunks; base += CHUNK_PAGES) {
		for (c = 0; c < CHUNK_PAGES; c++) {
			struct chunk *k = &chunks[base + c];

			if (k->split || k->owner != OWNER_FREE || &nodes[k->node] != n)
				break;
		}
		if (c == CHUNK_PAGES)
			break;
	}
	if (c < CHUNK_PAGES) {
		spin_unlock(&n->lock);
		return INVALID_MFN;
	}
	for (link = &n->free; *link != NO_CHUNK;) {
		u64 i = *link;

		if (i - base < CHUNK_PAGES) {
			*link = chunks[i].next;
			chunks[i].owner = owner;
		} else {
			link = &chunks[i].next;
		}
	}
	n->free_pages -= CHUNK_PAGES * CHUNK_PAGES;
	spin_unlock(&n->lock);
	for (c = base; c < base + CHUNK_PAGES; c++) {
		if (chunks[c].dirty)
			scrub(c * CHUNK_PAGES, CHUNK_PAGES);
		chunks[c].dirty = false;
	}
	return base * CHUNK_PAGES;
}

/* The asked node first, then the others in turn. */
static mfn_t alloc_on(unsigned node, unsigned count, u16 owner)
{
	unsigned first = node < nr_nodes ? node : 0;

	for (unsigned i = 0; i < nr_nodes; i++) {
		struct node *n = &nodes[(first + i) % nr_nodes];
		mfn_t mfn = count > CHUNK_PAGES  ? node_alloc_giga(n, owner) :
			    count == CHUNK_PAGES ? node_alloc_chunk(n, owner) :
						   node_alloc_pages(n, count, owner);

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
	unsigned i = mfn % CHUNK_PAGES;
	struct split *s = chunks[c].split;

	if (!s) {
		split_chunk(n, c, mfn_to_virt(mfn), (u16)i);
		spin_unlock(&n->lock);
		return;
	}
	page_to_free(n, s, i, 0);
	merge_unlock(n, c);
}

void free_pages(void *va, unsigned count)
{
	mfn_t mfn = virt_to_mfn(va);
	u64 c = mfn / CHUNK_PAGES;
	struct node *n;

	scrub(mfn, count);
	atomic_sub(&margay_pages, count);
	if (count == CHUNK_PAGES) {
		n = lock_chunk(c);
		n->free_pages += CHUNK_PAGES;
		push_free_chunk(n, c, false);
		spin_unlock(&n->lock);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		n = lock_chunk(c);
		free_one(n, mfn + i);
	}
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

/* One page of a domain, still owned by it: to be freed now or by the last reference's page_put. */
static void give_page(u16 id, mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	BUG_ON((s ? s->owner[i] : chunks[c].owner) != id);
	if (s && (s->ref[i] & REF_MASK)) {
		s->ref[i] |= REF_GIVEN;
		spin_unlock(&n->lock);
		return;
	}
	scrub(mfn, 1);
	free_one(n, mfn);
}

void dom_free(struct domain *d, mfn_t mfn, unsigned order)
{
	u64 c = mfn / CHUNK_PAGES;
	struct node *n;

	atomic_sub(&d->tot_pages, 1UL << order);
	if (order == 0) {
		give_page(d->id, mfn);
		return;
	}
	BUG_ON(order != 9 || mfn % CHUNK_PAGES);
	n = lock_chunk(c);
	if (!chunks[c].split) {
		BUG_ON(chunks[c].owner != d->id);
		chunks[c].owner = OWNER_NONE;	/* nobody else's business while it is scrubbed */
		spin_unlock(&n->lock);
		scrub(mfn, CHUNK_PAGES);
		spin_lock(&n->lock);
		n->free_pages += CHUNK_PAGES;
		push_free_chunk(n, c, false);
		spin_unlock(&n->lock);
		return;
	}
	spin_unlock(&n->lock);
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		give_page(d->id, mfn + i);
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
		n = lock_chunk(c);
	}
	if (!chunks[c].split && chunks[c].owner == d->id) {
		split_chunk(n, c, spare, SELF_NONE);
		spare = NULL;
	}

	struct split *s = chunks[c].split;

	if (!s || s->owner[i] != d->id || (s->ref[i] & REF_GIVEN))
		rc = -EINVAL;
	else if ((s->ref[i] & REF_MASK) >= REF_MASK - 1)
		rc = -EBUSY;
	else
		s->ref[i]++;
	spin_unlock(&n->lock);
	if (spare)
		free_page(spare);
	return rc;
}

void page_put(mfn_t mfn)
{
	u64 c = mfn / CHUNK_PAGES;
	unsigned i = mfn % CHUNK_PAGES;
	struct node *n = lock_chunk(c);
	struct split *s = chunks[c].split;

	BUG_ON(!s || !(s->ref[i] & REF_MASK));
	if (--s->ref[i] == REF_GIVEN) {
		scrub(mfn, 1);
		free_one(n, mfn);
		return;
	}
	merge_unlock(n, c);
}

static u16 owner_locked(mfn_t mfn)
{
	const struct chunk *k = &chunks[mfn / CHUNK_PAGES];

	return k->split ? k->split->owner[mfn % CHUNK_PAGES] : k->owner;
}

u16 page_owner(mfn_t mfn)
{
	struct node *n;
	u16 owner;

	if (mfn / CHUNK_PAGES >= nr_chunks)
		return OWNER_NONE;
	n = lock_chunk(mfn / CHUNK_PAGES);
	owner = owner_locked(mfn);
	spin_unlock(&n->lock);
	return owner;
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

void owner_give(paddr_t base, u64 size)
{
	for (mfn_t mfn = base >> PAGE_SHIFT; mfn < (base + size) >> PAGE_SHIFT; mfn++) {
		struct node *n = lock_chunk(mfn / CHUNK_PAGES);
		u16 owner = owner_locked(mfn);

		BUG_ON(owner != OWNER_MARGAY && owner != OWNER_NONE);
		if (owner == OWNER_MARGAY)
			atomic_sub(&margay_pages, 1);
		scrub(mfn, 1);
		free_one(n, mfn);
	}
}

/* Set-up. Ranges that boot handed out or keeps, to be left out of the free memory. */

#define MAX_KEPT 96

static __initdata struct kept {
	paddr_t base, end;
	u16 owner;
} kept[MAX_KEPT];
static __initdata unsigned nr_kept;
static __initdata const struct boot_info *boot;
static __initdata paddr_t early_next, early_end;

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
	early_next = image + image_size;
	early_end = image + CHUNK_SIZE;
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

/* Upwards in the image's chunk while that goes; then the highest RAM below 4 GiB that is not kept. */
void *__init early_alloc(u64 size)
{
	paddr_t at = early_next;
	const struct kept *k;

	size = ALIGN_UP(size, PAGE_SIZE);
	while (at + size <= early_end && (k = kept_overlap(at, at + size)) != NULL)
		at = k->end;
	if (at + size <= early_end && mem_is_ram(boot->mem, boot->nr_mem, at, size)) {
		early_next = at + size;
	} else {
		at = 0;
		for (unsigned i = boot->nr_mem; i-- > 0 && !at;) {
			const struct mem_range *r = &boot->mem[i];

			if (r->type == MEM_RAM && r->base < 1UL << 32)
				at = highest_free(r->base, min(r->base + r->size, 1UL << 32), size);
		}
		if (!at)
			panic("no %lu KiB of memory below 4 GiB for Margay's tables\n", size >> 10);
	}
	/* One growing entry a run keeps the list short. */
	if (kept[nr_kept - 1].end == at && kept[nr_kept - 1].owner == OWNER_MARGAY)
		kept[nr_kept - 1].end += size;
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
			return acpi->mem[i].node % MAX_NODES;
	return 0;
}

static u16 __init boot_owner(paddr_t pa)
{
	const struct kept *k = kept_overlap(pa, pa + PAGE_SIZE);

	if (k)
		return k->owner;
	return mem_is_ram(boot->mem, boot->nr_mem, pa, PAGE_SIZE) ? OWNER_FREE : OWNER_NONE;
}

static void __init init_split(struct node *n, u64 c)
{
	paddr_t base = c << CHUNK_SHIFT;
	unsigned first_free = CHUNK_PAGES;
	struct split *s;

	for (unsigned i = CHUNK_PAGES; i-- > 0;)
		if (boot_owner(base + i * PAGE_SIZE) == OWNER_FREE)
			first_free = i;
	if (first_free == CHUNK_PAGES)
		return;
	s = phys_to_virt(base + first_free * PAGE_SIZE);
	split_chunk(n, c, s, (u16)first_free);
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		if (i == first_free)
			continue;
		switch (boot_owner(base + i * PAGE_SIZE)) {
		case OWNER_FREE:
			page_to_free(n, s, i, REF_DIRTY);
			total_pages++;
			break;
		case OWNER_MARGAY:
			s->owner[i] = OWNER_MARGAY;
			margay_pages++;
			total_pages++;
		}
	}
	total_pages++;
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
	nr_nodes = min(nr_nodes, (unsigned)MAX_NODES);
	for (unsigned i = 0; i < MAX_NODES; i++) {
		spin_init(&nodes[i].lock, LOCK_OWNER);
		nodes[i].free = NO_CHUNK;
		list_init(&nodes[i].partial);
	}
	/* Downwards, so that low memory is handed out first. */
	for (u64 c = nr_chunks; c-- > 0;) {
		paddr_t base = c << CHUNK_SHIFT;

		chunks[c].node = node_of(acpi, base);
		chunks[c].owner = OWNER_NONE;
		if (mem_is_ram(bi->mem, bi->nr_mem, base, CHUNK_SIZE) &&
		    !kept_overlap(base, base + CHUNK_SIZE)) {
			push_free_chunk(&nodes[chunks[c].node], c, true);
			nodes[chunks[c].node].free_pages += CHUNK_PAGES;
			total_pages += CHUNK_PAGES;
		} else {
			init_split(&nodes[chunks[c].node], c);
		}
	}
}
