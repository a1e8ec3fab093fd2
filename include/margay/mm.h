/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine memory and its owners. The unit of ownership is a 2 MiB chunk; a chunk has per-page
 * entries only while its pages differ in owner or reference count. See common/page_owner.c.
 */
#pragma once

#include <margay/types.h>

struct cpu;
struct domain;

/* All RAM is mapped here, not executable. Margay's image is mapped elsewhere (margay.lds), W^X. */
#define DIRECTMAP_BASE 0xffff800000000000UL
#define DIRECTMAP_SIZE (1UL << 46) /* memory above it is not used */

#ifndef MARGAY_UNIT
static inline void *phys_to_virt(paddr_t pa) { return (void *)(DIRECTMAP_BASE + pa); }

/* Only for addresses in the direct map, such as heap and page allocations. */
static inline paddr_t virt_to_phys(const void *va) { return (paddr_t)va - DIRECTMAP_BASE; }
#endif

static inline void *mfn_to_virt(mfn_t mfn) { return phys_to_virt(mfn << PAGE_SHIFT); }

static inline mfn_t virt_to_mfn(const void *va) { return virt_to_phys(va) >> PAGE_SHIFT; }

/* Owners that are not domains. Domain ids are below DOMID_FIRST_RESERVED (0x7ff0). */
enum {
	OWNER_FREE = 0xffff,	/* no owner */
	OWNER_MARGAY = 0xfffe,	/* the hypervisor's own */
	OWNER_NONE = 0xfffd,	/* not RAM, or reserved by firmware or boot loader */
};

/* Page tables: x86/page_table.h. */
struct pt_format;
struct page_table {
	u64 *root;
	const struct pt_format *format;
};

#define MAX_NODES 64	/* NUMA nodes; drivers/acpi/srat.c folds additional ones into the last */
#define NODE_ANY 0xffU

/*
 * Allocates Margay's own memory. Zeroed, 4 KiB aligned; NULL when there is none. free_pages takes
 * the same n. Any context; takes LOCK_OWNER.
 */
void *alloc_pages(unsigned n, unsigned node) __must_check;	/* contiguous, n <= 512 */
void free_pages(void *va, unsigned n);
static inline void *alloc_page(void) { return alloc_pages(1, NODE_ANY); }
static inline void free_page(void *va) { free_pages(va, 1); }

/* Allocates a small object: zeroed, aligned to 64 bytes or its smaller size, up to 2 MiB. Or NULL. */
void *kzalloc(size_t size) __must_check;
void kfree(void *p);	/* accepts NULL */

/*
 * Allocates pages for a domain. They count in d->tot_pages (4 KiB pages, limit d->max_pages) until
 * they are free again. order is 0 (one page), 9 (a 2 MiB chunk) or 18 (a gigabyte, for dom_alloc
 * only). Zeroed. Returns 0, -E2BIG at the limit, -ENOMEM, or -EAGAIN if there is memory, but not
 * yet scrubbed, for orders from 9 on: the call did a step of that, and is to be repeated.
 */
int dom_alloc(struct domain *d, unsigned order, mfn_t *mfn) __must_check;
/* The same from that node only. */
int dom_alloc_on(struct domain *d, unsigned node, unsigned order, mfn_t *mfn) __must_check;
/* The same as dom_alloc() with another limit than d->max_pages. */
int dom_alloc_within(struct domain *d, unsigned order, u64 limit, mfn_t *mfn) __must_check;

/*
 * Releases a page of d, after its removal from d's p2m and a flush, and frees it at once. If there
 * are references (grants, registered areas), the page stays charged to d until the last
 * page_put().
 */
void dom_free(struct domain *d, mfn_t mfn, unsigned order);

/*
 * A reference keeps a page from being freed and reused while another domain maps it or Margay uses
 * it. page_get returns 0, -EINVAL when d does not (or no longer) own the page, or -EBUSY at too
 * many references. The holder of a page reference also keeps d. page_put does nothing for a page of
 * Margay's own (a grant table's, mapped by a control domain), which has no references.
 */
int page_get(const struct domain *d, mfn_t mfn) __must_check;
void page_put(struct domain *d, mfn_t mfn);
bool page_referenced(mfn_t mfn);	/* a domain's page */

/* Returns the owner of a page that the caller keeps from changing it: a domain id or OWNER_*. */
u16 page_owner(mfn_t mfn);

/*
 * Takes a page with memory errors out of use for ever: at once if it is free, else when its owner
 * has released it, without scrubbing it. Returns the owner: a domain id or OWNER_*; OWNER_FREE: it
 * was free; OWNER_NONE: it is no RAM, or retired already. -ENOMEM when there is no memory for the
 * chunk's split. Takes LOCK_OWNER: not for NMI and machine-check handlers.
 */
int page_retire(mfn_t mfn);

/*
 * Allocates contiguous pages of Margay's that serve d alone (its vCPUs, nested page tables, grant
 * frames, map tracking, event channels). Zeroed. They count in d->meta_pages, whose limit grows
 * with d's memory and vCPUs. NULL also at the limit.
 */
#define META_PAGES 512	/* plus one for each 128 pages of memory */
#define META_PER_VCPU 8
void *dom_alloc_meta(struct domain *d, unsigned n) __must_check;
void dom_free_meta(struct domain *d, void *pages, unsigned n);

/*
 * Scrubs free memory, that of c's node first, until c has work, and merges split chunks. `at` is the
 * present time.
 */
void pages_idle(struct cpu *c, stime_t at);

struct mem_stats {
	u64 total_pages, free_pages, margay_pages, split_chunks, retired_pages;
	u64 dirty_pages; /* of the free ones, those in whole chunks that are not scrubbed yet */
};
void mem_stats(struct mem_stats *s);
unsigned page_node(mfn_t mfn);	/* of RAM */
u64 node_free_pages(unsigned node);
u64 node_total_pages(unsigned node);
extern unsigned nr_nodes;
