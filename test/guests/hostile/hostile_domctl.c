/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: privileged calls with boundary and random arguments from all vCPUs of a control domain,
 * beside `bystander`. Operations that end, stop or change a domain by design name only domains that
 * this one made. At the end it destroys those, and all memory has come back. deny=1: the guest has no
 * privilege, and each call is refused.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <xen/arch-x86/xen-mca.h>
#include <xen/domctl.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define CPUS		8u
#define MADE		4u
#define WAIT		(120 * NS_PER_S)
#define GUEST_FLAGS	(XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)
#define NOBODY		0x7000u

/* Of one vCPU. Structures are filled with garbage, handles point into `buffer` or nowhere. */
struct attacker {
	uint64_t seed, calls, done, served;
	domid_t made[MADE];	/* 0: none */
	uintptr_t hole;
	uint64_t scratch[128];
	uint8_t buffer[4 * PAGE_SIZE] PAGE_ALIGNED;
};

static struct attacker attackers[CPUS];
static uint64_t calls_each;
static volatile unsigned int next_id;

static uint64_t rnd(struct attacker *a)
{
	a->seed ^= a->seed << 13;
	a->seed ^= a->seed >> 7;
	a->seed ^= a->seed << 17;
	return a->seed;
}

/* A number of a kind that checks get wrong. */
static uint64_t edge(struct attacker *a)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 4095, 4096, 0x7fff,
		0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7fffffffffffffff, 0x8000000000000000, ~0ul - 4095, ~0ul - 1, ~0ul,
	};
	uint64_t r = rnd(a);

	return r & 0x300 ? edges[(r >> 16) % ARRAY_SIZE(edges)] :
	       r & 0x400 ? (uintptr_t)a->buffer + ((r >> 16) & 0x1fff) :
			   rnd(a);
}

static uint64_t pointer(struct attacker *a)
{
	return rnd(a) & 7 ? (uintptr_t)a->buffer + (rnd(a) & 0xff8) :
			    bad_pointers[rnd(a) % nr_bad_pointers];
}

static void garbage(struct attacker *a, void *p, size_t n)
{
	uint32_t *words = p;

	for (size_t i = 0; i < n / 4; i++)
		words[i] = (uint32_t)edge(a);
}

static domid_t some_made(struct attacker *a)
{
	domid_t d = a->made[rnd(a) % MADE];

	return d ? d : NOBODY;
}

/* Another domain, this one, one of its own, or none. */
static domid_t some_domain(struct attacker *a)
{
	static const domid_t ids[] = { 0, 1, 2, DOMID_SELF, DOMID_IO, DOMID_XEN, DOMID_COW,
				       DOMID_INVALID, DOMID_IDLE, 0xffff, 0x7fef };

	return rnd(a) & 1 ? some_made(a) : ids[rnd(a) % ARRAY_SIZE(ids)];
}

static long domctl(struct xen_domctl *op)
{
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return hypercall1(__HYPERVISOR_domctl, op);
}

/* Returns whether the operation may name any domain: it changes nothing. */
static bool only_reads(uint32_t cmd)
{
	return cmd == XEN_DOMCTL_getdomaininfo || cmd == XEN_DOMCTL_getvcpuaffinity ||
	       cmd == XEN_DOMCTL_getvcpuinfo || cmd == XEN_DOMCTL_getnodeaffinity ||
	       cmd == XEN_DOMCTL_gethvmcontext || cmd == XEN_DOMCTL_gettscinfo ||
	       cmd == XEN_DOMCTL_get_cpu_policy || cmd == XEN_DOMCTL_get_paging_mempool_size;
}

/* Points what is a handle in the operation to memory of ours, for results must not hit the rest. */
static void set_handles(struct attacker *a, struct xen_domctl *op)
{
	void *p = (void *)pointer(a), *q = (void *)pointer(a);
	uint32_t bits = (uint32_t)edge(a) % 8000;

	switch (op->cmd) {
	case XEN_DOMCTL_setvcpuaffinity:
	case XEN_DOMCTL_getvcpuaffinity:
		set_xen_guest_handle(op->u.vcpuaffinity.cpumap_hard.bitmap, p);
		set_xen_guest_handle(op->u.vcpuaffinity.cpumap_soft.bitmap, q);
		op->u.vcpuaffinity.cpumap_hard.nr_bits = bits;
		op->u.vcpuaffinity.cpumap_soft.nr_bits = bits;
		break;
	case XEN_DOMCTL_setnodeaffinity:
	case XEN_DOMCTL_getnodeaffinity:
		set_xen_guest_handle(op->u.nodeaffinity.nodemap.bitmap, p);
		op->u.nodeaffinity.nodemap.nr_bits = bits;
		break;
	case XEN_DOMCTL_gethvmcontext:
	case XEN_DOMCTL_sethvmcontext:
		set_xen_guest_handle(op->u.hvmcontext.buffer, p);
		op->u.hvmcontext.size %= 8192;
		break;
	case XEN_DOMCTL_shadow_op: {
		static const uint8_t ops[] = { 0, 2, 11, 11, 12, 30, 32, 99 };

		op->u.shadow_op.op = ops[rnd(a) % ARRAY_SIZE(ops)];
		op->u.shadow_op.mode = rnd(a) & 3 ? rnd(a) & 1 : (uint32_t)edge(a);
		p = rnd(a) & 7 ? p : NULL;
		if (p)
			op->u.shadow_op.pages %= 70000;
		set_xen_guest_handle(op->u.shadow_op.dirty_bitmap, p);
		break;
	}
	case XEN_DOMCTL_get_cpu_policy:
	case XEN_DOMCTL_set_cpu_policy:
		set_xen_guest_handle(op->u.cpu_policy.leaves, p);
		set_xen_guest_handle(op->u.cpu_policy.msrs, q);
		op->u.cpu_policy.nr_leaves %= 200;
		op->u.cpu_policy.nr_msrs %= 4;
		break;
	}
}

static long make_domain(struct attacker *a, bool sound)
{
	domid_t *slot = &a->made[rnd(a) % MADE];
	struct xen_domctl op;
	struct xen_domctl_createdomain *c = &op.u.createdomain;
	long rc;

	if (*slot)
		return 0;
	memset(&op, 0, sizeof(op));
	if (!sound)
		garbage(a, c, sizeof(*c));
	op.cmd = XEN_DOMCTL_createdomain;
	op.domain = sound ? DOMID_INVALID : some_domain(a);
	if (sound || rnd(a) & 3) {
		c->flags = GUEST_FLAGS;
		c->arch.emulation_flags = XEN_X86_EMU_LAPIC;
		c->arch.misc_flags = 0;
		c->max_vcpus = 1 + (uint32_t)(rnd(a) & 3);
		c->grant_opts = XEN_DOMCTL_GRANT_version(1);
		c->iommu_opts = c->vmtrace_size = c->cpupool_id = 0;
	}
	rc = domctl(&op);
	if (rc)
		return rc;
	*slot = op.domain;
	if (rnd(a) & 7) {
		op.cmd = XEN_DOMCTL_max_vcpus;
		op.u.max_vcpus.max = c->max_vcpus;
		rc = domctl(&op);
		op.cmd = XEN_DOMCTL_max_mem;
		op.u.max_mem.max_memkb = 2048;
		if (!rc)
			rc = domctl(&op);
	}
	return rc;
}

static long end_domain(domid_t *slot)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_destroydomain, .domain = *slot };
	long rc = *slot ? domctl(&op) : 0;

	if (!rc)
		*slot = 0;
	return rc;
}

static long try_domctl(struct attacker *a)
{
	struct xen_domctl op;

	switch (rnd(a) % 16) {
	case 0: return make_domain(a, true);
	case 1: return make_domain(a, false);
	case 2: return end_domain(&a->made[rnd(a) % MADE]);
	}
	garbage(a, &op, sizeof(op));
	op.cmd = rnd(a) & 31 ? (uint32_t)(rnd(a) % 90) : op.cmd;
	if (op.cmd == XEN_DOMCTL_createdomain || op.cmd == XEN_DOMCTL_destroydomain)
		return 0;
	op.domain = only_reads(op.cmd) ? some_domain(a) : some_made(a);
	set_handles(a, &op);
	return domctl(&op);
}

/* Leaves out what other tests do: keys print, and some would stop the machine. */
static long try_sysctl(struct attacker *a)
{
	struct xen_sysctl op;
	uint64_t *u = (uint64_t *)&op.u;

	garbage(a, &op, sizeof(op));
	op.cmd = (uint32_t)(rnd(a) % 36);
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	/* Every pointer-sized field is small, or an address that is ours or nobody's. */
	for (unsigned int i = 0; i < sizeof(op.u) / 8; i++)
		if (u[i] > 0x3fffffff && op.cmd != XEN_SYSCTL_readconsole)
			u[i] = (u[i] & 1) ? pointer(a) : u[i] << 32;
	switch (op.cmd) {
	case XEN_SYSCTL_debug_keys: return 0;
	case XEN_SYSCTL_readconsole:
		op.u.readconsole.count %= 4096;
		op.u.readconsole.clear = 0;
		set_xen_guest_handle(op.u.readconsole.buffer, (char *)pointer(a));
		break;
	case XEN_SYSCTL_getdomaininfolist: op.u.getdomaininfolist.max_domains %= 64; break;
	case XEN_SYSCTL_pcitopoinfo: op.u.pcitopoinfo.num_devs %= 256; break;
	case XEN_SYSCTL_getcpuinfo: op.u.getcpuinfo.max_cpus %= 64; break;
	}
	return hypercall1(__HYPERVISOR_sysctl, &op);
}

/* Maps a page of a domain that this one made, which may end meanwhile, or takes it out again. */
static long try_foreign(struct attacker *a)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = a->hole >> PAGE_SHIFT };

	return rnd(a) & 1 ? map_foreign(some_made(a), rnd(a) % 2048, a->hole) :
			    memory_op(XENMEM_remove_from_physmap, &r);
}

static long try_memory(struct attacker *a)
{
	domid_t made = some_made(a);
	uint64_t *list = (uint64_t *)a->buffer;

	for (unsigned int i = 0; i < 16; i++)
		list[i] = rnd(a) & 3 ? rnd(a) % 2048 : edge(a);
	switch (rnd(a) % 10) {
	case 9: return try_foreign(a);
	case 0:
	case 1: {
		struct xen_memory_reservation r = { .nr_extents = rnd(a) % 16, .domid = made };

		r.extent_order = rnd(a) & 3 ? 0 : (unsigned int)edge(a);
		set_xen_guest_handle(r.extent_start, (xen_pfn_t *)pointer(a));
		return memory_op(rnd(a) & 1 ? XENMEM_populate_physmap : XENMEM_decrease_reservation,
				 &r);
	}
	case 2: {
		struct xen_memory_reservation r = { .nr_extents = edge(a),
						    .domid = some_domain(a) };

		return memory_op(XENMEM_claim_pages, &r);
	}
	case 3: {
		domid_t d = some_domain(a);

		return memory_op(XENMEM_current_reservation + (unsigned int)(rnd(a) & 1), &d);
	}
	case 4: {
		struct xen_foreign_memory_map m = { .domid = made };

		m.map.nr_entries = (unsigned int)edge(a);
		set_xen_guest_handle(m.map.buffer, (void *)pointer(a));
		return memory_op(XENMEM_set_memory_map, &m);
	}
	case 5: {
		struct xen_add_to_physmap_batch b = {
			.domid = made, .space = (uint16_t)(rnd(a) % 8),
			.size = (uint16_t)(rnd(a) % 8), .u.foreign_domid = some_domain(a),
		};

		set_xen_guest_handle(b.idxs, (xen_ulong_t *)pointer(a));
		set_xen_guest_handle(b.gpfns, (xen_pfn_t *)pointer(a));
		set_xen_guest_handle(b.errs, (int *)(a->buffer + 8192));
		return memory_op(XENMEM_add_to_physmap_batch, &b);
	}
	case 6: {
		struct xen_remove_from_physmap r = { .domid = made, .gpfn = edge(a) };

		return memory_op(XENMEM_remove_from_physmap, &r);
	}
	case 7: {
		struct xen_mem_acquire_resource r = {
			.domid = made, .type = (uint16_t)(rnd(a) % 4), .id = (uint32_t)(rnd(a) % 3),
			.frame = edge(a),
		};

		r.nr_frames = rnd(a) & 1 ? (uint32_t)edge(a) : 1;
		if (rnd(a) & 3) {	/* frames that do not exist: no mapping stays */
			r.frame |= 1ul << 40;
			set_xen_guest_handle(r.frame_list, (xen_pfn_t *)pointer(a));
		}
		return memory_op(XENMEM_acquire_resource, &r);
	}
	default: {
		struct xen_pod_target t = { .domid = made, .target_pages = edge(a) };

		return memory_op(rnd(a) & 1 ? XENMEM_set_pod_target : XENMEM_get_pod_target, &t);
	}
	}
}

static long try_rest(struct attacker *a)
{
	switch (rnd(a) % 5) {
	case 0: {
		struct xen_hvm_param p = { .domid = some_made(a), .value = edge(a) };

		p.index = (uint32_t)(rnd(a) & 7 ? rnd(a) % HVM_NR_PARAMS : edge(a));
		return hvm_op(rnd(a) & 1 ? HVMOP_set_param : HVMOP_get_param, &p);
	}
	case 1: {
		struct evtchn_alloc_unbound au = { .dom = some_made(a),
						   .remote_dom = some_domain(a) };

		return event_channel_op(EVTCHNOP_alloc_unbound, &au);
	}
	case 2: {
		struct evtchn_status st = { .dom = some_domain(a), .port = (uint32_t)edge(a) };

		return event_channel_op(EVTCHNOP_status, &st);
	}
	case 3: {
		struct xen_platform_op op;

		garbage(a, &op, sizeof(op));
		op.cmd = (uint32_t)(rnd(a) % 70);
		op.interface_version = XENPF_INTERFACE_VERSION;
		if (op.cmd == XENPF_settime32 || op.cmd == XENPF_settime64)
			return 0;	/* the bystander has a clock, too */
		set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, (void *)pointer(a));
		set_xen_guest_handle(op.u.getidletime.idletime, (void *)pointer(a));
		return hypercall1(__HYPERVISOR_platform_op, &op);
	}
	default: {
		struct xen_mc op;

		if (rnd(a) & 1)
			return hypercall2(__HYPERVISOR_physdev_op, rnd(a) % 40, pointer(a));
		garbage(a, &op, sizeof(op));
		op.cmd = (uint32_t)(rnd(a) % 8);
		op.interface_version = XEN_MCA_INTERFACE_VERSION;
		if (op.cmd == XEN_MC_physcpuinfo)
			op.u.mc_physcpuinfo.ncpus %= 8;
		set_xen_guest_handle(op.u.mc_physcpuinfo.info, (void *)pointer(a));
		return hypercall1(__HYPERVISOR_mca, &op);
	}
	}
}

static void attack(void)
{
	struct attacker *a = &attackers[__atomic_fetch_add(&next_id, 1, __ATOMIC_SEQ_CST)];
	static long (*const tries[])(struct attacker *) = { try_domctl, try_domctl, try_sysctl,
							    try_memory, try_rest };

	for (a->calls = 0; a->calls < calls_each; a->calls++)
		a->served += tries[rnd(a) % ARRAY_SIZE(tries)](a) >= 0;
	a->done = 1;
}

static uint64_t free_pages(void)
{
	static struct xen_sysctl op;

	op.cmd = XEN_SYSCTL_physinfo;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	CHECK_RET(hypercall1(__HYPERVISOR_sysctl, &op), 0);
	return op.u.physinfo.free_pages;
}

static void end_all(void)
{
	for (unsigned int i = 0; i < CPUS; i++)
		for (unsigned int j = 0; j < MADE; j++) {
			long rc = end_domain(&attackers[i].made[j]);

			CHECK(!rc || rc == -XEN_ESRCH, "destroying domain %u: %ld",
			      attackers[i].made[j], rc);
		}
}

/* The other domain exists; NOBODY does not. */
static void check_denied(void)
{
	struct attacker *a = &attackers[0];
	domid_t other = own_domid() == 1 ? 2 : 1;

	for (uint32_t cmd = 0; cmd < 90; cmd++) {
		struct xen_domctl d = { .cmd = cmd, .domain = other };
		struct xen_sysctl s = { .cmd = cmd,
					.interface_version = XEN_SYSCTL_INTERFACE_VERSION };
		struct xen_platform_op p = { .cmd = cmd,
					     .interface_version = XENPF_INTERFACE_VERSION };
		struct xen_mc m = { .cmd = cmd, .interface_version = XEN_MCA_INTERFACE_VERSION };

		CHECK_RET(domctl(&d), -XEN_EPERM);
		d.domain = DOMID_SELF;
		CHECK_RET(domctl(&d), -XEN_EPERM);
		CHECK_RET(hypercall1(__HYPERVISOR_sysctl, &s), -XEN_EPERM);
		CHECK_RET(hypercall1(__HYPERVISOR_platform_op, &p), -XEN_EPERM);
		CHECK_RET(hypercall1(__HYPERVISOR_mca, &m), -XEN_EPERM);
	}
	CHECK_RET(hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, a->buffer),
		  -XEN_EPERM);
	for (unsigned int i = 0; i < 2; i++) {
		domid_t id = i ? NOBODY : other;
		long want = i ? -XEN_ESRCH : -XEN_EPERM;
		struct xen_foreign_memory_map map = { .domid = id };
		struct xen_memory_reservation r = { .domid = id, .nr_extents = 1 };
		struct xen_remove_from_physmap rm = { .domid = id };
		struct xen_hvm_param p = { .domid = id };
		struct evtchn_alloc_unbound au = { .dom = id };
		struct xen_mem_acquire_resource res = { .domid = id };
		struct xen_pod_target pod = { .domid = id };

		set_xen_guest_handle(r.extent_start, (xen_pfn_t *)a->buffer);
		CHECK_RET(memory_op(XENMEM_populate_physmap, &r), 0);
		CHECK_RET(memory_op(XENMEM_claim_pages, &r), -XEN_EPERM);
		CHECK_RET(memory_op(XENMEM_set_memory_map, &map), -XEN_EPERM);
		CHECK_RET(memory_op(XENMEM_acquire_resource, &res), -XEN_EPERM);
		CHECK_RET(memory_op(XENMEM_get_pod_target, &pod), -XEN_EPERM);
		CHECK_RET(memory_op(XENMEM_remove_from_physmap, &rm), want);
		CHECK_RET(memory_op(XENMEM_current_reservation, &id), want);
		CHECK_RET(hvm_op(HVMOP_set_param, &p), want);
		CHECK_RET(hvm_op(HVMOP_get_param, &p), want);
		CHECK_RET(event_channel_op(EVTCHNOP_alloc_unbound, &au), want);
	}
	pass();
}

int main(void)
{
	uint64_t before, served = 0;
	unsigned int n = cpu_count() < CPUS ? cpu_count() : CPUS;

	canary_init(64);
	bad_pointers_init();
	if (cmdline_number("deny", 0))
		check_denied();
	calls_each = cmdline_number("calls", 24000) / n;
	for (unsigned int i = 0; i < CPUS; i++) {
		attackers[i].seed = random_u64() | 1;
		attackers[i].hole = hole_alloc(1);
	}
	before = free_pages();
	cpu_start_all(attack);
	attack();
	CHECK(WAIT_FOR(cpus_done() == n - 1, WAIT), "%u vCPUs finished", cpus_done());
	for (unsigned int i = 0; i < CPUS; i++) {
		struct xen_remove_from_physmap r = { .domid = DOMID_SELF };

		r.gpfn = attackers[i].hole >> PAGE_SHIFT;
		memory_op(XENMEM_remove_from_physmap, &r);
	}
	end_all();
	for (unsigned int i = 0; i < n; i++)
		served += attackers[i].served;
	printf("%lu calls, %lu of them served\n", calls_each * n, served);
	canary_check("the calls");
	CHECK(WAIT_FOR(free_pages() + 16 >= before, WAIT), "%lu pages are missing",
	      before - free_pages());
	pass();
}
