/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small objects: power-of-two sizes from 32 to 1024 bytes, cut from pages. Larger objects are whole
 * pages. A page of small objects starts with its header and is freed with its last object.
 */
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/mm.h>

#define MIN_SHIFT 5
#define MAX_SHIFT 10
#define HEAP_MAGIC 0x68656170U

struct heap_page {
	struct list link;	/* pages of this size with free objects */
	void *free;		/* free objects, linked through their first word */
	u32 magic;
	u16 used, shift;
	u64 npages;		/* of a large object, else 0 */
	u64 pad[3]; /* objects start at byte 64: they are aligned to that or their size */
};

static struct list partial[MAX_SHIFT + 1];
static struct spinlock lock = SPINLOCK_INIT(LOCK_HEAP);

static struct heap_page *new_page(unsigned shift)
{
	struct heap_page *p = alloc_page();

	if (!p)
		return NULL;
	p->magic = HEAP_MAGIC;
	p->shift = (u16)shift;
	list_init(&p->link);
	for (size_t at = sizeof(*p); at + (1UL << shift) <= PAGE_SIZE; at += 1UL << shift) {
		void **o = (void *)((u8 *)p + at);

		*o = p->free;
		p->free = o;
	}
	return p;
}

static void *alloc_large(size_t size)
{
	size_t n = (size + sizeof(struct heap_page) + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct heap_page *p = size < CHUNK_SIZE ? alloc_pages((unsigned)n, NODE_ANY) : NULL;

	if (!p)
		return NULL;
	p->magic = HEAP_MAGIC;
	p->npages = n;
	return p + 1;
}

void *kzalloc(size_t size)
{
	unsigned shift = MIN_SHIFT;
	struct heap_page *p;
	void **o;

	while (shift <= MAX_SHIFT && 1UL << shift < size)
		shift++;
	if (shift > MAX_SHIFT)
		return alloc_large(size);

	spin_lock(&lock);
	if (!partial[shift].next)
		list_init(&partial[shift]);
	if (list_empty(&partial[shift])) {
		spin_unlock(&lock);
		p = new_page(shift);
		if (!p)
			return NULL;
		spin_lock(&lock);
		list_add(&p->link, &partial[shift]);
	}
	p = list_first(&partial[shift], struct heap_page, link);
	o = p->free;
	p->free = *o;
	p->used++;
	if (!p->free)
		list_del(&p->link);
	spin_unlock(&lock);
	return memset(o, 0, 1UL << shift);
}

void kfree(void *o)
{
	struct heap_page *p = (void *)((uintptr_t)o & PAGE_MASK);
	bool last;

	if (!o)
		return;
	BUG_ON(p->magic != HEAP_MAGIC);
	if (p->npages) {
		free_pages(p, (unsigned)p->npages);
		return;
	}
	spin_lock(&lock);
	if (!p->free)
		list_add(&p->link, &partial[p->shift]);
	*(void **)o = p->free;
	p->free = o;
	last = --p->used == 0;
	if (last)
		list_del(&p->link);
	spin_unlock(&lock);
	if (last)
		free_page(p);
}
