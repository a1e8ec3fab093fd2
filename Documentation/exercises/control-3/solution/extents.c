/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: give a guest memory as the tools do, in the largest extents. An extent has 2^order pages, and the page
 * number of its first is a multiple of that. The hypervisor may refuse an extent, for lack of a free block of that size:
 * then smaller ones may do.
 */
#include <stdbool.h>
#include <stdint.h>

#define ENOMEM 12

/* The orders that the hypervisor takes: 1 GiB, 2 MiB and 4 KiB. */
static const unsigned orders[] = { 18, 9, 0 };

#define NR_ORDERS (sizeof(orders) / sizeof(orders[0]))

bool populate_physmap(uint64_t gfn, unsigned order);		/* whether it was done */
void decrease_reservation(uint64_t gfn, unsigned order);	/* gives such an extent back */

/* Returns the index of the largest order, from `first` on, whose extent fits at gfn. */
static unsigned largest(uint64_t gfn, uint64_t end, unsigned first)
{
	unsigned i = first;

	while (i < NR_ORDERS - 1 && (gfn % (1UL << orders[i]) || end - gfn < 1UL << orders[i]))
		i++;
	return i;
}

/*
 * Gives [gfn, at) back. from[i] is where orders[i] came to be the largest one allowed, so the same decisions lead to the
 * same extents.
 */
static void undo(uint64_t gfn, uint64_t at, uint64_t end, const uint64_t from[])
{
	while (gfn < at) {
		unsigned first = 0, i;

		while (first < NR_ORDERS - 1 && from[first + 1] <= gfn)
			first++;
		i = largest(gfn, end, first);
		decrease_reservation(gfn, orders[i]);
		gfn += 1UL << orders[i];
	}
}

/*
 * Populates [gfn, gfn + pages), no page beyond, with the largest extents that fit and are not refused. Once an order is
 * refused, neither that nor a larger one is tried again. Returns 0, or -ENOMEM if a single page is refused; then nothing
 * stays populated. The order of the calls is free, but an extent is given back as it was taken.
 */
static int populate(uint64_t gfn, uint64_t pages)
{
	uint64_t at = gfn, end = gfn + pages, from[NR_ORDERS] = { gfn, end, end };
	unsigned first = 0;

	while (at < end) {
		unsigned i = largest(at, end, first);

		if (populate_physmap(at, orders[i])) {
			at += 1UL << orders[i];
			continue;
		}
		if (i == NR_ORDERS - 1) {
			undo(gfn, at, end, from);
			return -ENOMEM;
		}
		while (first <= i)
			from[++first] = at;
	}
	return 0;
}
