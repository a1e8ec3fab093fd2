/* SPDX-License-Identifier: BSD-2-Clause */
/* Detects the hypervisor, sets up the hypercall page, and implements the longer wrappers. */
#include "hypercall.h"
#include "string.h"
#include "x86.h"

uint32_t xen_leaf;
const struct hvm_start_info *start_info;
uint8_t hypercall_page[4096] PAGE_ALIGNED;

/* The leaves may be above 0x40000000 if the hypervisor offers another interface below them. */
void hypercall_init(void)
{
	for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
		struct cpuid_regs r = cpuid(leaf, 0);

		if (r.b == XEN_CPUID_SIGNATURE_EBX && r.c == XEN_CPUID_SIGNATURE_ECX &&
		    r.d == XEN_CPUID_SIGNATURE_EDX && r.a >= leaf + 2) {
			xen_leaf = leaf;
			r = cpuid(leaf + 2, 0);
			wrmsr(r.b, (uintptr_t)hypercall_page);
			return;
		}
	}
}

const char *cmdline(void)
{
	return start_info->cmdline_paddr ? (const char *)start_info->cmdline_paddr : "";
}

uint64_t cmdline_number(const char *key, uint64_t dflt)
{
	size_t len = strlen(key);

	for (const char *s = cmdline(); *s; s++) {
		uint64_t v = 0;

		if ((s != cmdline() && s[-1] != ' ') || strncmp(s, key, len) || s[len] != '=')
			continue;
		for (s += len + 1; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (uint64_t)(*s - '0');
		return v;
	}
	return dflt;
}

long hvm_get_param(uint32_t index, uint64_t *value)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index };
	long ret = hvm_op(HVMOP_get_param, &p);

	if (!ret)
		*value = p.value;
	return ret;
}

long hvm_set_param(uint32_t index, uint64_t value)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index, .value = value };

	return hvm_op(HVMOP_set_param, &p);
}

long sched_shutdown(unsigned int reason)
{
	struct sched_shutdown arg = { .reason = reason };

	return sched_op(SCHEDOP_shutdown, &arg);
}

long map_foreign(domid_t from, uint64_t frame, uintptr_t to)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = from };
	xen_ulong_t idx = frame;
	xen_pfn_t gpfn = to / 4096;
	int err = 1;
	long ret;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gpfn);
	set_xen_guest_handle(b.errs, &err);
	ret = memory_op(XENMEM_add_to_physmap_batch, &b);
	return ret ? ret : err;
}
