/* SPDX-License-Identifier: BSD-2-Clause */
/* See grants.h. */
#include "grants.h"
#include "alloc.h"
#include "test.h"
#include "x86.h"

struct grant_entry_v1 *grant_table;

void grants_init(void)
{
	struct xen_add_to_physmap map = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table };

	grant_table = (struct grant_entry_v1 *)hole_alloc(1);
	map.gpfn = (uintptr_t)grant_table >> PAGE_SHIFT;
	CHECK_RET(memory_op(XENMEM_add_to_physmap, &map), 0);
}

domid_t own_domid(void)
{
	struct cpuid_regs r = cpuid(xen_leaf + 4, 0);

	CHECK(r.a & XEN_HVM_CPUID_DOMID_PRESENT, "CPUID does not tell the domain's number");
	return (domid_t)r.c;
}

/* Writes the flags last: they make the entry valid. */
void grant(grant_ref_t ref, domid_t to, const void *p, uint16_t flags)
{
	grant_table[ref].domid = to;
	grant_table[ref].frame = (uint32_t)((uintptr_t)p >> PAGE_SHIFT);
	mfence();
	WRITE_ONCE(grant_table[ref].flags, (uint16_t)(GTF_permit_access | flags));
}

void ungrant(grant_ref_t ref)
{
	WRITE_ONCE(grant_table[ref].flags, 0);
	mfence();
}

int map_grant(domid_t dom, grant_ref_t ref, uint32_t flags, uintptr_t where, grant_handle_t *handle)
{
	struct gnttab_map_grant_ref m = {
		.host_addr = where, .flags = flags, .ref = ref, .dom = dom,
	};

	CHECK_RET(grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
	*handle = m.handle;
	return m.status;
}

int unmap_grant(uintptr_t where, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref u = { .host_addr = where, .handle = handle };

	CHECK_RET(grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
	return u.status;
}

uint16_t grant_in_use(grant_ref_t ref)
{
	return READ_ONCE(grant_table[ref].flags) & (GTF_reading | GTF_writing);
}
