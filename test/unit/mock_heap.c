/* SPDX-License-Identifier: BSD-2-Clause */
/* See mock_heap.h. */
#include "mock_heap.h"

#include <stdlib.h>

#include <margay/domain.h>

unsigned heap_objects, heap_pages;

void *kzalloc(size_t size)
{
	heap_objects++;
	return calloc(1, size);
}

void kfree(void *p)
{
	heap_objects -= p != NULL;
	free(p);
}

void *alloc_pages(unsigned n, unsigned node)
{
	(void)node;
	heap_pages += n;
	return calloc(n, PAGE_SIZE);
}

void free_pages(void *va, unsigned n)
{
	heap_pages -= n;
	free(va);
}

void *dom_alloc_meta(struct domain *d, unsigned n)
{
	d->meta_pages += n;
	return alloc_pages(n, d->node);
}

void dom_free_meta(struct domain *d, void *pages, unsigned n)
{
	d->meta_pages -= n;
	free_pages(pages, n);
}
