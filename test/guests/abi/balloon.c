/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: ballooning: releasing pages and populating them again. A populated page holds zeroes or
 * what this guest left in its own pages: Xen does not scrub a page that a living guest released.
 */
#include "guest.h"

#define N	16
#define MARK	0x600dda7a600dda7aul

static xen_pfn_t list[N + 1];

static long reservation(unsigned int op, unsigned int n, unsigned int order)
{
	struct xen_memory_reservation r = {
		.nr_extents = n, .extent_order = order, .domid = DOMID_SELF,
	};

	set_xen_guest_handle(r.extent_start, list);
	return memory_op(op, &r);
}

static long current(void)
{
	domid_t self = DOMID_SELF;

	return memory_op(XENMEM_current_reservation, &self);
}

static void list_pages(uintptr_t start)
{
	for (unsigned int i = 0; i < N; i++)
		list[i] = (start >> PAGE_SHIFT) + i;
}

static void check_contents(const uint64_t *p)
{
	uint64_t first = p[0];

	for (unsigned int i = 0; i < N * PAGE_SIZE / 8; i++) {
		if (i % 512 == 0)
			first = p[i];
		CHECK(p[i] == first && (!first || first == MARK), "a page came back with %lx in it",
		      p[i]);
	}
}

static void fill(uint64_t *p)
{
	for (unsigned int i = 0; i < N * PAGE_SIZE / 8; i++)
		p[i] = MARK;
}

int main(void)
{
	uint64_t *pages = page_alloc(N), *elsewhere = (uint64_t *)hole_alloc(N + 1);
	uint64_t *before = page_alloc(1), *after;
	long start;

	*before = 0xb4b4;
	after = page_alloc(1);
	*after = 0xaf;
	fill(pages);
	start = current();

	list_pages((uintptr_t)pages);
	CHECK_RET(reservation(XENMEM_decrease_reservation, N, 0), N);
	CHECK(current() == start - N, "reservation %ld after releasing %u of %ld", current(), N,
	      start);

	/* They may be populated anywhere. */
	list_pages((uintptr_t)elsewhere);
	CHECK_RET(reservation(XENMEM_populate_physmap, N, 0), N);
	CHECK(current() == start, "reservation %ld after populating, %ld before", current(), start);
	check_contents(elsewhere);
	fill(elsewhere);
	for (unsigned int i = 0; i < N * PAGE_SIZE / 8; i++)
		CHECK(elsewhere[i] == MARK, "populated memory lost a word");

	/* The call stops at the first gfn without a page. */
	list[N] = ((uintptr_t)elsewhere >> PAGE_SHIFT) + N;
	CHECK_RET(reservation(XENMEM_decrease_reservation, N + 1, 0), N);
	CHECK_RET(reservation(XENMEM_decrease_reservation, 1, 0), 0);
	CHECK(current() == start - N, "reservation %ld", current());

	list_pages((uintptr_t)pages);
	CHECK_RET(reservation(XENMEM_populate_physmap, N, 0), N);
	check_contents(pages);
	CHECK(current() == start, "reservation %ld at the end, %ld at first", current(), start);
	CHECK(*before == 0xb4b4 && *after == 0xaf, "a neighbouring page changed");

	/* Orders and counts far too large. */
	CHECK_RET(reservation(XENMEM_populate_physmap, 1, 40), 0);
	CHECK_RET(reservation(XENMEM_increase_reservation, 1, 40), 0);
	CHECK_RET(reservation(XENMEM_decrease_reservation, 0, 0), 0);
	CHECK(current() == start, "reservation %ld after refused calls, %ld before", current(),
	      start);
	pass();
}
