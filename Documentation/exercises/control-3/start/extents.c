/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: give a guest memory as the tools do, in the largest extents. An extent has 2^order pages, and the page
 * number of its first is a multiple of that. The hypervisor may refuse an extent, for lack of a free block of that size:
 * then smaller ones may do. Copy this file one directory up.
 */
#include <stdbool.h>
#include <stdint.h>

#define ENOMEM 12

/* The orders that the hypervisor takes: 1 GiB, 2 MiB and 4 KiB. */
static const unsigned orders[] = { 18, 9, 0 };

bool populate_physmap(uint64_t gfn, unsigned order);		/* whether it was done */
void decrease_reservation(uint64_t gfn, unsigned order);	/* gives such an extent back */

/*
 * Populates [gfn, gfn + pages), no page beyond, with the largest extents that fit and are not refused. Once an order is
 * refused, neither that nor a larger one is tried again. Returns 0, or -ENOMEM if a single page is refused; then nothing
 * stays populated. The order of the calls is free, but an extent is given back as it was taken.
 */
static int populate(uint64_t gfn, uint64_t pages)
{
	(void)orders, (void)gfn, (void)pages;
	return 0;
}
