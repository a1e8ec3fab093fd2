/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a page granted to oneself and mapped twice is one page at three addresses. For Margay
 * only: Xen removes it from the first two.
 */
#include "guest.h"

#define REF	FIRST_GRANT

static uint8_t page[PAGE_SIZE] PAGE_ALIGNED;

int main(void)
{
	volatile uint8_t *at, *second;
	grant_handle_t h, h2;
	domid_t self = own_domid();

	grants_init();
	at = (volatile uint8_t *)hole_alloc(2);
	second = at + PAGE_SIZE;
	memset(page, 0x5a, PAGE_SIZE);
	grant(REF, self, page, 0);
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map, (uintptr_t)at, &h), GNTST_okay);
	at[5] = 0xa5;
	CHECK(READ_ONCE(page[5]) == 0xa5, "a write through the mapping is lost");
	WRITE_ONCE(page[6], 0x77);
	CHECK(at[6] == 0x77, "a write to the page does not show in the mapping");
	CHECK_RET(map_grant(self, REF, GNTMAP_host_map | GNTMAP_readonly, (uintptr_t)second, &h2),
		  GNTST_okay);
	CHECK(h2 != h && second[5] == 0xa5, "second mapping shows %x", second[5]);
	(void)FAULT_OF(second[5] = 1);
	CHECK(page[5] == 0xa5, "written through a read-only mapping");
	CHECK_RET(unmap_grant((uintptr_t)at, h), GNTST_okay);
	CHECK(grant_in_use(REF) == GTF_reading, "flags %x with the read-only mapping left",
	      grant_table[REF].flags);
	CHECK_RET(unmap_grant((uintptr_t)second, h2), GNTST_okay);
	CHECK(!grant_in_use(REF), "flags %x when unmapped", grant_table[REF].flags);
	ungrant(REF);
	CHECK(page[5] == 0xa5 && page[6] == 0x77, "the page itself changed");
	pass();
}
