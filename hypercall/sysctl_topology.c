/* SPDX-License-Identifier: BSD-2-Clause */
/* sysctl's operations on CPUs, nodes and the only CPU pool, which holds all CPUs and domains. */
#include <margay/boot_state.h>
#include <margay/sched.h>

#include <xen/sysctl.h>
#include "sysctl.h"

#define BITMAP_MAX 65536U

/* Sets *nr to the number of elements to write, which a buffer may limit; without one, to all. */
static void limit(u32 *nr, u32 have, bool buffer)
{
	if (!buffer || *nr > have)
		*nr = have;
}

long sysctl_cputopoinfo(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_cputopoinfo *u = &op->u.cputopoinfo;
	gvaddr_t to = handle_va(u->cputopo);
	long rc = 0;

	limit(&u->num_cpus, nr_cpus, to);
	for (unsigned i = 0; !rc && to && i < u->num_cpus; i++) {
		struct xen_sysctl_cputopo t = { .node = cpus[i]->node };

		arch_cpu_topology(cpus[i], &t.core, &t.socket);
		rc = guest_write(to, i, &t);
	}
	return rc;
}

static long put_node(const struct xen_sysctl_numainfo *u, u32 i)
{
	struct xen_sysctl_meminfo m = { node_total_pages(i) << PAGE_SHIFT,
					node_free_pages(i) << PAGE_SHIFT };
	u32 distance[MAX_NODES], nr = u->num_nodes;

	for (u32 j = 0; j < nr; j++) {
		u8 d = boot_acpi.distance[i][j];

		distance[j] = d == 255 ? XEN_INVALID_NODE_DIST :
			      d	       ? d :
			      i == j   ? SLIT_LOCAL :
					 SLIT_REMOTE;
	}
	if (handle_va(u->meminfo) && guest_write(handle_va(u->meminfo), i, &m))
		return -EFAULT;
	if (!handle_va(u->distance))
		return 0;
	return copy_to_guest(handle_va(u->distance) + i * nr * sizeof(u32), distance,
			     nr * sizeof(u32));
}

long sysctl_numainfo(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_numainfo *u = &op->u.numainfo;
	bool buffer = handle_va(u->meminfo) || handle_va(u->distance);
	long rc = 0;

	limit(&u->num_nodes, nr_nodes, buffer);
	for (u32 i = 0; !rc && buffer && i < u->num_nodes; i++)
		rc = put_node(u, i);
	return rc;
}

/* No device is known. */
long sysctl_pcitopoinfo(struct xen_sysctl *op, u32 *at)
{
	struct xen_sysctl_pcitopoinfo *u = &op->u.pcitopoinfo;
	const u32 node = XEN_INVALID_DEV;

	if (!handle_va(u->devs) || !handle_va(u->nodes))
		return -EINVAL;
	while (*at < u->num_devs) {
		if (guest_write(handle_va(u->nodes), *at, &node))
			return -EFAULT;
		if (!(++*at % 64) && hcall_preempt())
			return HCALL_RESTART;
	}
	return 0;
}

long bitmap_to_guest(const struct xenctl_bitmap *to, const u64 *bits, u32 nr)
{
	u32 bytes = (min(to->nr_bits, BITMAP_MAX) + 7) / 8, have = min((nr + 7) / 8, bytes);
	static const u8 none[64];

	if (to->nr_bits > BITMAP_MAX)
		return -EINVAL;
	if (copy_to_guest(handle_va(to->bitmap), bits, have))
		return -EFAULT;
	for (u32 i = have; i < bytes; i += sizeof(none))
		if (copy_to_guest(handle_va(to->bitmap) + i, none, min(bytes - i, sizeof(none))))
			return -EFAULT;
	return 0;
}

static u32 nr_domains(void)
{
	struct domain *d;
	u32 n = 0;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		n++;
	return n;
}

long sysctl_cpupool_op(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_cpupool_op *u = &op->u.cpupool_op;
	struct cpu_set all = { 0 };

	switch (u->op) {
	case XEN_SYSCTL_CPUPOOL_OP_INFO:
		/* The first pool from this id on: the tools count up until there is none. */
		if (u->cpupool_id && u->cpupool_id != XEN_SYSCTL_CPUPOOL_PAR_ANY)
			return -ENOENT;
		u->cpupool_id = 0;
		u->sched_id = SYSCTL_SCHEDULER;
		u->n_dom = nr_domains();
		for (unsigned i = 0; i < nr_cpus; i++)
			cpu_set_add(&all, i);
		return bitmap_to_guest(&u->cpumap, all.bits, nr_cpus);
	case XEN_SYSCTL_CPUPOOL_OP_FREEINFO: return bitmap_to_guest(&u->cpumap, all.bits, nr_cpus);
	case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN: return u->cpupool_id ? -ENOENT : 0;
	case XEN_SYSCTL_CPUPOOL_OP_CREATE:
	case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
	case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
	case XEN_SYSCTL_CPUPOOL_OP_RMCPU: return -EOPNOTSUPP;
	default: return -ENOSYS;
	}
}

/* The only parameter is a minimum time between two switches: always 0, which means none. */
long sysctl_scheduler_op(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_scheduler_op *u = &op->u.scheduler_op;

	if (u->cpupool_id && u->cpupool_id != XEN_SYSCTL_CPUPOOL_PAR_ANY)
		return -ESRCH;
	if (u->sched_id != SYSCTL_SCHEDULER)
		return -EINVAL;
	if (u->cmd == XEN_SYSCTL_SCHEDOP_putinfo)
		return u->u.sched_credit2.ratelimit_us ? -EOPNOTSUPP : 0;
	if (u->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
		return -EINVAL;
	u->u.sched_credit2.ratelimit_us = 0;
	return 0;
}
