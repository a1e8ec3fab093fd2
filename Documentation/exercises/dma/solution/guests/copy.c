/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

#define BYTES 64u

int main(void)
{
	struct edu edu = { 0 };
	uint64_t *from = page_alloc(1), *to = page_alloc(1);
	xen_pfn_t gfn = (uintptr_t)to >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	CHECK(edu_init(&edu), "there is no edu");
	for (unsigned int i = 0; i < BYTES / 8; i++)
		from[i] = random_u64();
	CHECK(edu_read(&edu, (uintptr_t)from, 0, BYTES), "edu is not ready");
	CHECK(edu_write(&edu, (uintptr_t)to, 0, BYTES), "edu is not ready");
	barrier();
	CHECK(!memcmp(from, to, BYTES), "other bytes arrived");
	printf("copied\n");

	set_xen_guest_handle(r.extent_start, &gfn);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &r), 1);
	printf("given back: 0x%lx\n", (uintptr_t)to);
	CHECK(edu_write(&edu, (uintptr_t)to, 0, BYTES), "edu is not ready");
	block_until(now_ns() + 2 * NS_PER_S);
	pass();
}
