/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: sysctl and platform_op as the control domain's tools and kernel use them, and calls
 * with wrong arguments.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <public/margay.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define UNMAPPED	((void *)0x7f0000000000ul)
#define LEAVES		128

static struct xen_sysctl call;

static long sysctl(uint32_t cmd)
{
	call.cmd = cmd;
	call.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return hypercall1(__HYPERVISOR_sysctl, &call);
}

static void clear(void)
{
	memset(&call, 0, sizeof(call));
}

static void check_refusals(void)
{
	static const uint32_t none[] = { 0, 13, 24, 28, 30, 1000, ~0u };

	CHECK_RET(hypercall1(__HYPERVISOR_sysctl, UNMAPPED), -XEN_EFAULT);
	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, UNMAPPED), -XEN_EFAULT);
	clear();
	call.cmd = XEN_SYSCTL_physinfo;
	call.interface_version = XEN_SYSCTL_INTERFACE_VERSION - 1;
	CHECK_RET(hypercall1(__HYPERVISOR_sysctl, &call), -XEN_EACCES);
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
		clear();
		CHECK_RET(sysctl(none[i]), -XEN_ENOSYS);
	}
}

/*
 * Checks that the words of CPUID features include those of libvirt's least models of 64 bits, Conroe
 * and others. Without a model that fits, libvirt's driver for Xen does not load. Some machines' Xen
 * names none.
 */
static void check_model(const uint32_t *cap)
{
	const uint32_t leaf1_edx = 0x078bfbfd;			  /* FPU DE PSE TSC ... SSE2 */
	const uint32_t leaf1_ecx = 1u << 0;			  /* SSE3 */
	const uint32_t ext1_edx = 1u << 11 | 1u << 20 | 1u << 29; /* SYSCALL, NX, LM */

	if (hypercall1(MARGAY_HYPERCALL, UNMAPPED) == -XEN_ENOSYS)
		return;
	CHECK((cap[0] & leaf1_edx) == leaf1_edx && (cap[1] & leaf1_ecx) == leaf1_ecx &&
		      (cap[2] & ext1_edx) == ext1_edx,
	      "hw_cap is no CPU model of libvirt");
}

/* Returns the number of CPUs. */
static uint32_t check_machine(void)
{
	const struct xen_sysctl_physinfo *p = &call.u.physinfo;
	uint32_t cpus, nodes;
	static struct xen_sysctl_cputopo topo[256];
	static struct xen_sysctl_meminfo mem[64];
	static struct xen_sysctl_cpuinfo idle[256];
	static uint32_t distance[64 * 64];
	static uint8_t map[300];

	clear();
	CHECK_RET(sysctl(XEN_SYSCTL_physinfo), 0);
	cpus = p->nr_cpus;
	nodes = p->nr_nodes;
	printf("physinfo: %u threads, %u cores, %u CPUs, %u nodes, %u kHz, %lu MiB, %lu free\n",
	       p->threads_per_core, p->cores_per_socket, cpus, nodes, p->cpu_khz,
	       p->total_pages >> 8, p->free_pages >> 8);
	printf("hw_cap: %08x %08x %08x %08x %08x %08x %08x %08x\n", p->hw_cap[0], p->hw_cap[1],
	       p->hw_cap[2], p->hw_cap[3], p->hw_cap[4], p->hw_cap[5], p->hw_cap[6], p->hw_cap[7]);
	CHECK(cpus && cpus <= 256 && nodes && nodes <= 64, "CPUs or nodes");
	CHECK(p->threads_per_core && p->cores_per_socket && p->cpu_khz > 1000, "topology");
	CHECK(p->free_pages < p->total_pages && p->total_pages <= p->max_mfn + 1, "memory");
	CHECK(p->capabilities & XEN_SYSCTL_PHYSCAP_hap, "capabilities");
	check_model(p->hw_cap);
	CHECK(p->hw_cap[2] & 1u << 29, "no long mode");

	clear();
	CHECK_RET(sysctl(XEN_SYSCTL_cputopoinfo), 0);
	CHECK(call.u.cputopoinfo.num_cpus == cpus, "%u CPUs", call.u.cputopoinfo.num_cpus);
	set_xen_guest_handle(call.u.cputopoinfo.cputopo, topo);
	CHECK_RET(sysctl(XEN_SYSCTL_cputopoinfo), 0);
	for (uint32_t i = 0; i < cpus; i++)
		CHECK(topo[i].node < nodes, "node %u of CPU %u", topo[i].node, i);
	call.u.cputopoinfo.num_cpus = 0;
	CHECK_RET(sysctl(XEN_SYSCTL_cputopoinfo), 0);
	CHECK(!call.u.cputopoinfo.num_cpus, "%u CPUs in no room", call.u.cputopoinfo.num_cpus);

	clear();
	CHECK_RET(sysctl(XEN_SYSCTL_numainfo), 0);
	CHECK(call.u.numainfo.num_nodes == nodes, "%u nodes", call.u.numainfo.num_nodes);
	set_xen_guest_handle(call.u.numainfo.meminfo, mem);
	set_xen_guest_handle(call.u.numainfo.distance, distance);
	CHECK_RET(sysctl(XEN_SYSCTL_numainfo), 0);
	CHECK(mem[0].memsize && mem[0].memfree <= mem[0].memsize, "memory of node 0");
	CHECK(distance[0] == 10, "distance %u", distance[0]);

	clear();
	call.u.getcpuinfo.max_cpus = 256;
	set_xen_guest_handle(call.u.getcpuinfo.info, idle);
	CHECK_RET(sysctl(XEN_SYSCTL_getcpuinfo), 0);
	CHECK(call.u.getcpuinfo.nr_cpus == cpus, "%u CPUs", call.u.getcpuinfo.nr_cpus);

	clear();
	call.u.availheap.node = -1;
	CHECK_RET(sysctl(XEN_SYSCTL_availheap), 0);
	CHECK(call.u.availheap.avail_bytes, "no memory");

	clear();
	memset(map, 0xff, sizeof(map));
	call.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
	set_xen_guest_handle(call.u.cpupool_op.cpumap.bitmap, map);
	call.u.cpupool_op.cpumap.nr_bits = 2000;
	CHECK_RET(sysctl(XEN_SYSCTL_cpupool_op), 0);
	CHECK(call.u.cpupool_op.n_dom >= 1, "domains of the pool");
	CHECK(map[0] == (cpus >= 8 ? 0xff : (1u << cpus) - 1) && !map[249] && map[250] == 0xff,
	      "CPUs of the pool: %02x %02x %02x", map[0], map[249], map[250]);
	call.u.cpupool_op.cpupool_id = 1;
	CHECK_RET(sysctl(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
	clear();
	CHECK_RET(sysctl(XEN_SYSCTL_sched_id), 0);
	CHECK(call.u.sched_id.sched_id == XEN_SCHEDULER_CREDIT2, "scheduler");
	return cpus;
}

static void check_domains(void)
{
	static struct xen_domctl_getdomaininfo info[2];
	struct xen_sysctl_getdomaininfolist *u = &call.u.getdomaininfolist;

	clear();
	u->max_domains = 2;
	set_xen_guest_handle(u->buffer, info);
	CHECK_RET(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
	CHECK(u->num_domains == 1, "%u domains", u->num_domains);
	printf("domain %u: flags %x, %lu of %lu pages, %u of %u vCPUs, %u bits\n", info[0].domain,
	       info[0].flags, info[0].tot_pages, info[0].max_pages, info[0].nr_online_vcpus,
	       info[0].max_vcpu_id + 1, info[0].gpaddr_bits);
	CHECK(info[0].domain == 0 && info[0].nr_online_vcpus == 1, "the domain");
	CHECK((info[0].flags & ~XEN_DOMINF_xs_domain & 0xffff) ==
		      (XEN_DOMINF_hvm_guest | XEN_DOMINF_hap | XEN_DOMINF_running),
	      "flags %x", info[0].flags);
	CHECK(info[0].cpu_time, "no CPU time");
	u->first_domain = 1;
	CHECK_RET(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
	CHECK(u->num_domains == 0, "%u domains from 1 on", u->num_domains);
	u->first_domain = 0;
	set_xen_guest_handle(u->buffer, UNMAPPED);
	CHECK_RET(sysctl(XEN_SYSCTL_getdomaininfolist), -XEN_EFAULT);
}

static void check_policy(uint32_t index)
{
	static xen_cpuid_leaf_t leaves[LEAVES];
	static xen_msr_entry_t msrs[16];
	static uint32_t words[32];
	struct xen_sysctl_cpu_policy *u = &call.u.cpu_policy;
	uint32_t most;

	clear();
	u->index = index;
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
	most = u->nr_leaves;
	CHECK(most > 40 && most <= LEAVES && u->nr_msrs && u->nr_msrs <= 16, "%u leaves, %u MSRs",
	      most, u->nr_msrs);
	set_xen_guest_handle(u->leaves, leaves);
	set_xen_guest_handle(u->msrs, msrs);
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
	printf("policy %u: %u leaves, %u MSRs\n", index, u->nr_leaves, u->nr_msrs);
	CHECK(u->nr_leaves <= most && leaves[0].leaf == 0, "leaves");
	/* libxc searches them by halves. */
	for (uint32_t i = 1; i < u->nr_leaves; i++)
		CHECK(leaves[i].leaf >= leaves[i - 1].leaf, "leaf %x after %x", leaves[i].leaf,
		      leaves[i - 1].leaf);
	CHECK(msrs[0].idx == 0xce, "MSR %x", msrs[0].idx);
	u->nr_leaves = 3;
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_policy), -XEN_ENOBUFS);

	clear();
	call.u.cpu_featureset.index =
		index == XEN_SYSCTL_cpu_policy_hvm_default ? XEN_SYSCTL_cpu_featureset_hvm : index;
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
	call.u.cpu_featureset.nr_features = ARRAY_SIZE(words);
	set_xen_guest_handle(call.u.cpu_featureset.features, words);
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
	printf("%u words: %08x %08x %08x %08x %08x %08x\n", call.u.cpu_featureset.nr_features,
	       words[0], words[1], words[2], words[3], words[4], words[5]);
	CHECK(words[0] & 1, "no FPU");
}

static void check_log(void)
{
	static char text[16384];
	struct xen_sysctl_readconsole *u = &call.u.readconsole;
	uint32_t all = 0, index = 0;

	do {
		clear();
		u->incremental = 1;
		u->index = index;
		u->count = sizeof(text);
		set_xen_guest_handle(u->buffer, text);
		CHECK_RET(sysctl(XEN_SYSCTL_readconsole), 0);
		all += u->count;
		index = u->index;
	} while (u->count);
	printf("log: %u characters\n", all);
	CHECK(all > 100, "a short log");
}

static void check_platform(uint32_t cpus)
{
	static struct xen_platform_op op = { .cmd = XENPF_get_cpuinfo,
					     .interface_version = XENPF_INTERFACE_VERSION };
	struct shared_info *s = shared_info;
	uint32_t version;

	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &op), 0);
	CHECK(op.u.pcpu_info.flags == XEN_PCPU_FLAGS_ONLINE &&
		      op.u.pcpu_info.max_present == cpus - 1,
	      "CPU 0: flags %x, max %u", op.u.pcpu_info.flags, op.u.pcpu_info.max_present);
	op.cmd = XENPF_get_cpu_version;
	op.u.pcpu_version.xen_cpuid = 0;
	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &op), 0);
	printf("CPU: %.12s family %u model %u\n", op.u.pcpu_version.vendor_id,
	       op.u.pcpu_version.family, op.u.pcpu_version.model);
	memset(&op.u, 0, sizeof(op.u));
	op.cmd = XENPF_settime64;
	op.u.settime64.secs = 2000000000;
	op.u.settime64.nsecs = 5;
	version = s->wc_version;
	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &op), 0);
	CHECK(s->wc_sec == 2000000000 && s->wc_nsec == 5 && !(s->wc_version & 1) &&
		      s->wc_version != version,
	      "the clock reads %u.%09u", s->wc_sec, s->wc_nsec);
	op.u.settime64.mbz = 1;
	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &op), -XEN_EINVAL);
	op.interface_version--;
	CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &op), -XEN_EACCES);
}

int main(void)
{
	static const char keys[] = { 'h' };
	uint32_t cpus;

	check_refusals();
	/* Early: on a slow line the key's output may come between two halves of a line of ours. */
	clear();
	set_xen_guest_handle(call.u.debug_keys.keys, keys);
	call.u.debug_keys.nr_keys = 1;
	CHECK_RET(sysctl(XEN_SYSCTL_debug_keys), 0);
	cpus = check_machine();
	check_domains();
	check_policy(XEN_SYSCTL_cpu_policy_raw);
	check_policy(XEN_SYSCTL_cpu_policy_host);
	check_policy(XEN_SYSCTL_cpu_policy_hvm_default);
	clear();
	call.u.cpu_policy.index = 6;
	CHECK_RET(sysctl(XEN_SYSCTL_get_cpu_policy), -XEN_EINVAL);
	check_log();
	check_platform(cpus);
	pass();
}
