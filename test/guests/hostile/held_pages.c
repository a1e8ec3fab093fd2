/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a freed page stays charged while a reference to it exists. Tests each kind of reference
 * (a grant mapping; a vCPU's info, runstate and time areas) with each way to free a page: decrease
 * the reservation, populate over it, map a grant over it, move another page over it, remove it.
 * Only the last reference's release makes room for another page.
 */
#include "guest.h"

#define REF FIRST_GRANT

static uint8_t filler[PAGE_SIZE] PAGE_ALIGNED;
static domid_t self;
static uintptr_t window, hole;	/* for mapped grants; for populated pages */

static long current(void)
{
	domid_t id = DOMID_SELF;

	return memory_op(XENMEM_current_reservation, &id);
}

static long reservation(unsigned int op, uintptr_t at)
{
	xen_pfn_t gfn = at >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &gfn);
	return memory_op(op, &r);
}

/* Moves the RAM page at `from` to `to`. */
static void move(uintptr_t from, uintptr_t to)
{
	struct xen_add_to_physmap a = { .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn,
					.idx = from >> PAGE_SHIFT, .gpfn = to >> PAGE_SHIFT };

	CHECK_RET(memory_op(XENMEM_add_to_physmap, &a), 0);
}

/* Ways to free the page at p. Afterwards p is RAM or empty. None costs more than the page. */

static void by_decrease(uintptr_t p)
{
	CHECK_RET(reservation(XENMEM_decrease_reservation, p), 1);
}

static void by_remove(uintptr_t p)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = p >> PAGE_SHIFT };

	CHECK_RET(memory_op(XENMEM_remove_from_physmap, &r), 0);
}

static void by_move(uintptr_t p)
{
	uintptr_t spare = (uintptr_t)page_alloc(1);

	move(spare, p);
	CHECK_RET(reservation(XENMEM_decrease_reservation, p), 1);
	move((uintptr_t)filler, p);
	move(p, (uintptr_t)filler);
	/* Take the spare's room again, so that only the freed page is missing. */
	CHECK_RET(reservation(XENMEM_populate_physmap, spare), 1);
}

static void by_grant(uintptr_t p)
{
	grant_handle_t h;

	grant(REF + 1, self, filler, 0);
	CHECK_RET(map_grant(self, REF + 1, GNTMAP_host_map, p, &h), GNTST_okay);
	CHECK_RET(unmap_grant(p, h), GNTST_okay);
	ungrant(REF + 1);
}

/* Makes room for one page first; the new page takes it. */
static void by_populate(uintptr_t p)
{
	uintptr_t spare = (uintptr_t)page_alloc(1);

	CHECK_RET(reservation(XENMEM_decrease_reservation, spare), 1);
	CHECK_RET(reservation(XENMEM_populate_physmap, p), 1);
	CHECK_RET(reservation(XENMEM_decrease_reservation, p), 1);
	CHECK_RET(reservation(XENMEM_populate_physmap, spare), 1);
}

static const struct {
	const char *name;
	void (*give_up)(uintptr_t p);
} ways[] = {
	{ "decrease_reservation", by_decrease }, { "remove_from_physmap", by_remove },
	{ "a page moved over it", by_move },	 { "a grant mapped over it", by_grant },
	{ "populate_physmap", by_populate },
};

/* References to the page at p. */

static grant_handle_t handle;

static void take_grant(uintptr_t p)
{
	grant(REF, self, (void *)p, 0);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, window, &handle), GNTST_okay);
}

static void drop_grant(void)
{
	CHECK_RET(unmap_grant(window, handle), GNTST_okay);
	ungrant(REF);
}

static void set_runstate(uintptr_t p)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = p };

	CHECK_RET(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &a), 0);
}

static void drop_runstate(void)
{
	set_runstate(0);
}

static void set_time(uintptr_t p)
{
	struct vcpu_register_time_memory_area a = { .addr.p = p };

	CHECK_RET(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &a), 0);
}

static void drop_time(void)
{
	set_time(0);
}

/* A vCPU sets it once, forever: there is no drop. */
static void set_info(uintptr_t p)
{
	static unsigned int vcpu = 1;
	struct vcpu_register_vcpu_info a = { .mfn = p >> PAGE_SHIFT };

	CHECK_RET(vcpu_op(VCPUOP_register_vcpu_info, vcpu++, &a), 0);
}

static const struct {
	const char *name;
	void (*take)(uintptr_t p);
	void (*drop)(void);
} kinds[] = {
	{ "a grant", take_grant, drop_grant },
	{ "the run state area", set_runstate, drop_runstate },
	{ "the time area", set_time, drop_time },
	{ "vcpu_info", set_info, NULL },
};

int main(void)
{
	long held = 0, start;

	self = own_domid();
	grants_init();
	window = hole_alloc(1);
	hole = hole_alloc(64);
	/* Create the tables for the holes before counting anything. */
	take_grant((uintptr_t)filler);
	drop_grant();
	start = current();
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
		for (unsigned int w = 0; w < ARRAY_SIZE(ways); w++) {
			uintptr_t p = (uintptr_t)page_alloc(1);

			kinds[k].take(p);
			ways[w].give_up(p);
			CHECK(current() == start, "%s, given up by %s: %ld pages charged of %ld",
			      kinds[k].name, ways[w].name, current(), start);
			CHECK_RET(reservation(XENMEM_populate_physmap, hole), 0);
			if (!kinds[k].drop) {
				held++;
				continue;
			}
			kinds[k].drop();
			CHECK(current() == start - 1, "%s dropped: %ld pages charged of %ld",
			      kinds[k].name, current(), start);
			CHECK_RET(reservation(XENMEM_populate_physmap, p), 1);
		}
	CHECK(held && current() == start, "%ld pages charged of %ld", current(), start);
	pass();
}
