/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: grant table v1: sizes and versions, mapping, read-only mappings, bad references. When a
 * domain maps its own page, Xen moves the page away from its old address, so only check the
 * mapping.
 */
#include "guest.h"

#define BOTH	(GTF_reading | GTF_writing)
#define REF	FIRST_GRANT

static domid_t self;

static void check_table(void)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_get_version g = { .dom = DOMID_SELF };
	struct gnttab_set_version v = { .version = 1 };
	struct xen_add_to_physmap map = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table };

	CHECK_RET(grant_table_op(GNTTABOP_query_size, &q, 1), 0);
	CHECK(q.status == GNTST_okay && q.max_nr_frames >= 1 && q.nr_frames <= q.max_nr_frames,
	      "status %d, %u of %u frames", q.status, q.nr_frames, q.max_nr_frames);
	CHECK_RET(grant_table_op(GNTTABOP_set_version, &v, 1), 0);
	CHECK(v.version == 1, "version %u", v.version);
	CHECK_RET(grant_table_op(GNTTABOP_get_version, &g, 1), 0);
	CHECK(g.version == 1, "version %u by get_version", g.version);
	map.idx = q.max_nr_frames;
	map.gpfn = hole_alloc(1) >> PAGE_SHIFT;
	CHECK(memory_op(XENMEM_add_to_physmap, &map) < 0, "frame %u past the maximum",
	      q.max_nr_frames);
	for (unsigned int i = FIRST_GRANT; i < PAGE_SIZE / sizeof(*grant_table); i++)
		CHECK(!grant_table[i].flags, "entry %u is not free", i);
}

static void check_map(void)
{
	volatile uint8_t *at = (volatile uint8_t *)hole_alloc(1);
	uint8_t *page = page_alloc(1);
	grant_handle_t h;

	memset(page, 0x5a, PAGE_SIZE);
	grant(REF, self, page, 0);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, (uintptr_t)at, &h), GNTST_okay);
	CHECK(grant_in_use(REF) == BOTH, "flags %x while mapped", grant_table[REF].flags);
	CHECK(at[0] == 0x5a && at[PAGE_SIZE - 1] == 0x5a, "mapping shows %x", at[0]);
	at[5] = 0xa5;
	CHECK(at[5] == 0xa5, "a write through the mapping is lost");
	CHECK_RET(unmap_grant((uintptr_t)at, h), GNTST_okay);
	CHECK(!grant_in_use(REF), "flags %x when unmapped", grant_table[REF].flags);
	CHECK(unmap_grant((uintptr_t)at, h) < 0, "unmapped twice");
	ungrant(REF);
}

static void check_read_only(void)
{
	volatile uint8_t *at = (volatile uint8_t *)hole_alloc(1);
	uint8_t *page = page_alloc(1);
	grant_handle_t h;

	memset(page, 0x5a, PAGE_SIZE);
	grant(REF, self, page, GTF_readonly);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, (uintptr_t)at, &h), GNTST_general_error);
	CHECK(!grant_in_use(REF), "flags %x after a refusal", grant_table[REF].flags);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map | GNTMAP_readonly, (uintptr_t)at, &h),
		  GNTST_okay);
	CHECK(grant_in_use(REF) == GTF_reading, "flags %x of a read-only mapping",
	      grant_table[REF].flags);
	CHECK(at[5] == 0x5a, "mapping shows %x", at[5]);
	/* The write is dropped or faults. */
	(void)FAULT_OF(at[5] = 1);
	CHECK(this_cpu()->fault.vector == -1 || this_cpu()->fault.vector == X86_GP,
	      "write to a read-only mapping: vector %d", this_cpu()->fault.vector);
	CHECK(at[5] == 0x5a, "written through a read-only mapping");
	CHECK_RET(unmap_grant((uintptr_t)at, h), GNTST_okay);
	ungrant(REF);
}

static void check_refusals(void)
{
	uintptr_t at = hole_alloc(1);
	uint8_t *page = page_alloc(1);
	grant_handle_t h;

	grant(REF, 0x7123, page, 0);				/* granted to another domain */
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, at, &h), GNTST_general_error);
	ungrant(REF);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, at, &h), GNTST_general_error);
	CHECK_RET(map_grant(self, ~0u, GNTMAP_host_map, at, &h), GNTST_bad_gntref);
	CHECK_RET(map_grant(0x7123, REF, GNTMAP_host_map, at, &h), GNTST_bad_domain);
	grant(REF, self, (void *)0x7f0000000000, 0);		/* no such page */
	CHECK(map_grant(self, REF, GNTMAP_host_map, at, &h) < 0, "granted a page not there");
	CHECK(!grant_in_use(REF), "flags %x after a refusal", grant_table[REF].flags);
	grant(REF, self, page, 0);
	CHECK(map_grant(self, REF, 0, at, &h) < 0, "mapped neither for host nor device");
	CHECK_RET(unmap_grant(at, 0x7fffffff), GNTST_bad_handle);
	CHECK_RET(unmap_grant(at, ~0u), GNTST_bad_handle);
	ungrant(REF);
}

int main(void)
{
	self = own_domid();
	grants_init();
	check_table();
	check_map();
	check_read_only();
	check_refusals();
	CHECK_RET(grant_table_op(99, NULL, 0), -XEN_ENOSYS);
	CHECK_RET(grant_table_op(GNTTABOP_map_grant_ref, (void *)0x7f0000000000, 1), -XEN_EFAULT);
	pass();
}
