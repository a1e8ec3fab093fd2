/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the memory operations with the most work per call: extents of 2 MiB released, and
 * populated as a chunk, by page, over present pages, and refused halfway. `make hold-times`
 * measures them in a debug build of Margay.
 */
#include "guest.h"

#define PAGES 512u
#define CHUNK (PAGES * PAGE_SIZE)

static xen_pfn_t list[PAGES];

static long reservation(unsigned int op, unsigned int n, unsigned int order)
{
	struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order,
					    .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, list);
	return memory_op(op, &r);
}

static long current(void)
{
	domid_t self = DOMID_SELF;

	return memory_op(XENMEM_current_reservation, &self);
}

static void list_pages(uintptr_t at)
{
	for (unsigned int i = 0; i < PAGES; i++)
		list[i] = (at >> PAGE_SHIFT) + i;
}

/* Checks that populated pages are zero or hold what this guest had in its own pages. */
static void check(uintptr_t at, uint64_t mark)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		volatile uint64_t *p = (volatile uint64_t *)(at + i * PAGE_SIZE);

		CHECK(*p == 0 || *p == mark, "page %u holds %lx", i, *p);
		*p = mark;
	}
}

int main(void)
{
	uintptr_t at = ((uintptr_t)page_alloc(2 * PAGES) + CHUNK - 1) & ~(CHUNK - 1);
	uintptr_t hole = (hole_alloc(2 * PAGES) + CHUNK - 1) & ~(CHUNK - 1);
	long start = current();

	for (unsigned int round = 0; round < 3; round++) {
		/* As a chunk, if the memory consists of chunks. */
		list_pages(at);
		CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 9), 1);
		CHECK(current() == start - PAGES, "%ld pages of %ld", current(), start);
		CHECK_RET(reservation(XENMEM_populate_physmap, 1, 9), 1);
		check(at, 0x1111);
		/* By page, then as an extent. */
		CHECK_RET(reservation(XENMEM_decrease_reservation, PAGES, 0), PAGES);
		CHECK_RET(reservation(XENMEM_populate_physmap, PAGES, 0), PAGES);
		check(at, 0x1111);
		CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 9), 1);
		CHECK(current() == start - PAGES, "%ld pages of %ld", current(), start);
		CHECK_RET(reservation(XENMEM_populate_physmap, 1, 9), 1);
		CHECK(current() == start, "%ld pages of %ld", current(), start);
		check(at, 0x1111);
		/* A partly missing extent ends at the first missing page. */
		list[0] += 300;
		CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 0), 1);
		list[0] -= 300;
		CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 9), 0);
		CHECK(current() == start - 301, "%ld pages of %ld", current(), start);
		/* Room for 301 pages is not enough for an extent; none of it is populated. */
		list_pages(hole);
		CHECK_RET(reservation(XENMEM_populate_physmap, 1, 0), 1);
		CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 0), 1);
		CHECK_RET(reservation(XENMEM_populate_physmap, 1, 9), 0);
		CHECK(current() == start - 301, "%ld pages of %ld", current(), start);
		list_pages(at);
		CHECK_RET(reservation(XENMEM_populate_physmap, 301, 0), 301);
		CHECK(current() == start, "%ld pages of %ld", current(), start);
	}
	pass();
}
