/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysctl: the machine, for control domains. Each operation has a function here, in sysctl_topology.c
 * or in cpu_policy.c, and a line in the table at the end. xen/sysctl.h
 */
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/cpu_policy.h>
#include <margay/page_owner.h>
#include <margay/sched.h>

#include <xen/sysctl.h>
#include "sysctl.h"

/*
 * A restarted operation keeps its position in RSI, which the hypercall does not use, with this tag
 * in the upper half. A caller that passes the tag itself gets a part of its own list.
 */
#define POSITION_TAG 0x6d677079UL

static u64 log_cleared;		/* the log before this position was cleared */

static long sysctl_readconsole(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_readconsole *u = &op->u.readconsole;
	u64 from = READ_ONCE(log_cleared);
	gvaddr_t to = handle_va(u->buffer);
	u32 done = 0;
	char buf[512];

	if (u->incremental)
		from = max(from, (u64)u->index);
	while (done < u->count) {
		u32 n = (u32)console_log_read(&from, buf, min(sizeof(buf), u->count - done));

		if (!n)
			break;
		if (copy_to_guest(to + done, buf, n))
			return -EFAULT;
		done += n;
		/* An incremental reader calls again until there is nothing left. */
		if (u->incremental && hcall_preempt())
			break;
	}
	if (u->clear)
		WRITE_ONCE(log_cleared, from);
	u->count = done;
	u->index = (u32)from;
	return 0;
}

static long sysctl_physinfo(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_physinfo *u = &op->u.physinfo;
	u32 words[CPU_FEATURE_WORDS], core, package, other, in_package = 0;
	struct mem_stats st;

	mem_stats(&st);
	*u = (struct xen_sysctl_physinfo){
		.threads_per_core = 1,
		.nr_cpus = nr_cpus,
		.max_cpu_id = nr_cpus - 1,
		.nr_nodes = nr_nodes,
		.max_node_id = nr_nodes - 1,
		.cpu_khz = (u32)(arch_tsc_hz() / 1000),
		.capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap |
				XEN_SYSCTL_PHYSCAP_gnttab_v1,
		.total_pages = st.total_pages,
		.free_pages = st.free_pages, /* those to be scrubbed included, as in Xen */
		.max_mfn = (boot_info.ram_end >> PAGE_SHIFT) - 1,
	};
	for (const struct cpu *c = cpus[0]->sibling; c != cpus[0]; c = c->sibling)
		u->threads_per_core++;
	arch_cpu_topology(cpus[0], &core, &package);
	for (unsigned i = 0; i < nr_cpus; i++) {
		arch_cpu_topology(cpus[i], &core, &other);
		in_package += other == package;
	}
	u->cores_per_socket = max(in_package / u->threads_per_core, 1U);
	cpu_policy_features(NULL, words);
	memcpy(u->hw_cap, words, sizeof(u->hw_cap));
	return 0;
}

static long sysctl_sched_id(struct xen_sysctl *op, u32 *at __unused)
{
	op->u.sched_id.sched_id = SYSCTL_SCHEDULER;
	return 0;
}

static long sysctl_getdomaininfolist(struct xen_sysctl *op, u32 *at)
{
	struct xen_sysctl_getdomaininfolist *u = &op->u.getdomaininfolist;
	u32 done = *at >> 16, next = *at ? *at & 0xffff : u->first_domain;
	struct xen_domctl_getdomaininfo info;
	struct domain *d;

	while (done < u->max_domains && (d = domain_next(next))) {
		next = d->id + 1U;
		domain_info(d, &info);
		domain_put(d);
		if (guest_write(handle_va(u->buffer), done, &info))
			return -EFAULT;
		done++;
		*at = done << 16 | next;
		if (hcall_preempt())
			return HCALL_RESTART;
	}
	u->num_domains = done;
	return 0;
}

/* The keys' output is a matter of the housekeeping CPU, and goes to the console and the log. */
static long sysctl_debug_keys(struct xen_sysctl *op, u32 *at)
{
	struct xen_sysctl_debug_keys *u = &op->u.debug_keys;

	for (; *at < u->nr_keys; (*at)++) {
		bool taken;
		char key;

		if (guest_read(&key, handle_va(u->keys), *at))
			return -EFAULT;
		spin_lock(&domains_lock);
		taken = console_key(key);
		spin_unlock(&domains_lock);
		cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
		if (!taken) {
			cpu_relax();	/* an earlier key's output goes on */
			return HCALL_RESTART;
		}
	}
	return 0;
}

static long sysctl_getcpuinfo(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_getcpuinfo *u = &op->u.getcpuinfo;

	u->nr_cpus = min(u->max_cpus, nr_cpus);
	for (u32 i = 0; i < u->nr_cpus; i++) {
		struct xen_sysctl_cpuinfo info = { cpu_idle_time(cpus[i]) };

		if (guest_write(handle_va(u->info), i, &info))
			return -EFAULT;
	}
	return 0;
}

/* Memory of any address: nothing here depends on an address's width. */
static long sysctl_availheap(struct xen_sysctl *op, u32 *at __unused)
{
	u64 pages = 0;

	for (unsigned i = 0; i < nr_nodes; i++)
		if (op->u.availheap.node < 0 || (u32)op->u.availheap.node == i)
			pages += node_free_pages(i);
	op->u.availheap.avail_bytes = pages << PAGE_SHIFT;
	return 0;
}

static long sysctl_get_cpu_levelling_caps(struct xen_sysctl *op, u32 *at __unused)
{
	op->u.cpu_levelling_caps.caps = 0;
	return 0;
}

/* What Margay has not is refused as Xen does without the feature. */
static const struct {
	sysctl_fn *fn;
	long error;
} operations[] = {
#define SYSCTL(name) [XEN_SYSCTL_##name] = { sysctl_##name, 0 },
#define REFUSED(name, error) [XEN_SYSCTL_##name] = { NULL, error },
	SYSCTL(readconsole)
	REFUSED(tbuf_op, -ENOSYS)
	SYSCTL(physinfo)
	SYSCTL(sched_id)
	REFUSED(perfc_op, -ENOSYS)
	SYSCTL(getdomaininfolist)
	SYSCTL(debug_keys)
	SYSCTL(getcpuinfo)
	SYSCTL(availheap)
	REFUSED(get_pmstat, -ENODEV)
	REFUSED(cpu_hotplug, -EOPNOTSUPP)
	REFUSED(pm_op, -ENODEV)
	REFUSED(page_offline_op, -EOPNOTSUPP)
	REFUSED(lockprof_op, -ENOSYS)
	SYSCTL(cputopoinfo)
	SYSCTL(numainfo)
	SYSCTL(cpupool_op)
	SYSCTL(scheduler_op)
	REFUSED(coverage_op, -EOPNOTSUPP)
	REFUSED(psr_cmt_op, -ENODEV)
	SYSCTL(pcitopoinfo)
	REFUSED(psr_alloc, -ENODEV)
	SYSCTL(get_cpu_levelling_caps)
	SYSCTL(get_cpu_featureset)
	REFUSED(livepatch_op, -EOPNOTSUPP)
	SYSCTL(get_cpu_policy)
};

long do_sysctl(struct vcpu *v, struct regs *h)
{
	u32 at = h->rsi >> 32 == POSITION_TAG ? (u32)h->rsi : 0, i;
	struct xen_sysctl op;
	long rc;

	if (copy_from_guest(&op, h->rdi, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	hcall_recount(v, __HYPERVISOR_sysctl, h->rdi, op.cmd);
	i = op.cmd < ARRAY_SIZE(operations) ? index_nospec(op.cmd, ARRAY_SIZE(operations)) : 0;
	if (!operations[i].fn)
		return operations[i].error ? operations[i].error :
					     hcall_unsupported(v, "sysctl", op.cmd);
	rc = operations[i].fn(&op, &at);
	if (rc == HCALL_RESTART) {
		h->rsi = POSITION_TAG << 32 | at;
		return rc;
	}
	/* -ENOBUFS tells how much room is needed. */
	if ((!rc || rc == -ENOBUFS) && copy_to_guest(h->rdi, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
