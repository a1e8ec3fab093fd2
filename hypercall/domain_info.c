/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain's description for the control domain's tools. xen/domctl.h, xen/sysctl.h */
#include <margay/boot.h>
#include <margay/sched.h>

#include <xen/domctl.h>
#include "hypercall_priv.h"

#define BIOS_BEGIN 0xa0000UL
#define BIOS_END 0x100000UL

/* Sums up the vCPUs. Those that are not online do not count in the flags. */
static u32 vcpus_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	u32 flags = XEN_DOMINF_blocked;
	struct vcpu_runstate_info rs;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];
		vcpu_runstate(v, &rs);
		info->cpu_time += rs.time[RUNSTATE_running];
		if (!vcpu_online(v))
			continue;
		info->nr_online_vcpus++;
		if (READ_ONCE(v->state) != RUN_BLOCKED)
			flags &= ~XEN_DOMINF_blocked;
		if (rs.state == RUNSTATE_running)
			flags |= XEN_DOMINF_running;
	}
	return info->nr_online_vcpus ? flags : 0;
}

/* Returns whether d has memory of its own there. */
static bool is_own(struct domain *d, u64 addr)
{
	return p2m_lookup(d, addr >> PAGE_SHIFT).type == P2M_RAM;
}

/*
 * Returns how many pages more d has than its Linux counts: those that the memory map does not call
 * RAM, and the BIOS's. (Nor does it count the first one, but the one behind shared_info, which d
 * has no more.) Linux takes the initial domain's target for the number that it counts, and `xl
 * create` waits until the domain has no more pages than the target.
 */
static u64 uncounted_pages(struct domain *d)
{
	u64 n;

	if (!d->initial)
		return 0;
	n = is_own(d, BIOS_BEGIN) ? (BIOS_END - BIOS_BEGIN) >> PAGE_SHIFT : 0;
	for (unsigned i = 0; i < d->nr_memory_map; i++)
		if (d->memory_map[i].type != MEM_RAM && is_own(d, d->memory_map[i].addr))
			n += d->memory_map[i].size >> PAGE_SHIFT;
	return min(n, (u64)d->tot_pages);
}

/* A domain that begins to end now keeps its vCPUs for a grace period, hence for this call. */
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	enum dom_state state = READ_ONCE(d->state);
	u32 code = d->shutdown_code;

	*info = (struct xen_domctl_getdomaininfo){
		.domain = d->id,
		.flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_hap,
		.tot_pages = d->tot_pages - uncounted_pages(d),
		.max_pages = d->max_pages,
		.shared_info_frame = d->shared_info_gfn,
		.max_vcpu_id = d->max_vcpus - 1,
		.gpaddr_bits = (u8)arch_phys_bits(),
		.arch_config.emulation_flags = XEN_X86_EMU_LAPIC,
	};
	memcpy(info->handle, d->handle, sizeof(info->handle));
	if (state == DOM_RUNNING || state == DOM_SHUTDOWN)
		info->flags |= vcpus_info(d, info);
	if (d->pauses || state == DOM_BUILDING)
		info->flags |= XEN_DOMINF_paused;
	if (state >= DOM_DYING)
		info->flags |= XEN_DOMINF_dying;
	if (state >= DOM_SHUTDOWN && code != SHUTDOWN_CODE_NONE)
		info->flags |= XEN_DOMINF_shutdown | code << XEN_DOMINF_shutdownshift;
}
