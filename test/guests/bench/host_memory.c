/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that Xen uses itself, measured by its initial domain: all RAM reported by the
 * firmware, less free memory and the memory of this domain. Prints a line `host_memory own N KiB`
 * and its parts.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <xen/sysctl.h>

#define PAGE_KIB	(PAGE_SIZE / 1024)

int main(void)
{
	static struct xen_sysctl call = { .cmd = XEN_SYSCTL_physinfo,
					  .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	const struct xen_sysctl_physinfo *info = &call.u.physinfo;
	domid_t self = DOMID_SELF;
	long pages;

	CHECK_RET(hypercall1(__HYPERVISOR_sysctl, &call), 0);
	pages = memory_op(XENMEM_current_reservation, &self);
	CHECK(pages > 0, "current_reservation: %ld", pages);
	printf("host_memory: RAM %lu KiB, free %lu KiB, of this domain %lu KiB\n",
	       info->total_pages * PAGE_KIB, info->free_pages * PAGE_KIB,
	       (uint64_t)pages * PAGE_KIB);
	printf("host_memory own %lu KiB\n",
	       (info->total_pages - info->free_pages - (uint64_t)pages) * PAGE_KIB);
	pass();
}
