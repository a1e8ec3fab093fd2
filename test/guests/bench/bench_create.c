/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain with much memory costs the hypervisor when clean memory is there: a control domain
 * waits until idle CPUs have scrubbed all, and makes a domain of gib=N GiB as the tools do. It must
 * take less than a millisecond of the hypervisor's time. What it had is clean again some time later, to
 * which all idle CPUs contribute. One that comes while only dirty memory is there has as much.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <public/margay.h>
#include <xen/domctl.h>

#include "bench.h"

#define MOST 64u
#define MAX_COUNTERS 400u
#define MAX_PCPUS 64u
#define ORDER_1G 18u
#define LIMIT_NS NS_PER_MS

static struct xen_domctl op;
static struct margay_counter got[MAX_COUNTERS];
static xen_pfn_t extents[MOST];

static long domctl(uint32_t cmd, unsigned int id)
{
	op.cmd = cmd;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = (domid_t)id;
	return hypercall1(__HYPERVISOR_domctl, &op);
}

/* Returns a CPU's or the whole machine's counter of that name. */
static uint64_t counter(uint32_t index, const char *name)
{
	static struct margay_op stat;

	memset(&stat, 0, sizeof(stat));
	stat.cmd = MARGAY_STAT;
	stat.interface = MARGAY_INTERFACE;
	stat.u.stat.domain = MARGAY_STAT_MACHINE;
	stat.u.stat.index = index;
	stat.u.stat.counters = (uint64_t)got;
	stat.u.stat.max = MAX_COUNTERS;
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, &stat), 0);
	for (uint32_t i = 0; i < stat.u.stat.nr; i++)
		if (!strncmp(got[i].name, name, sizeof(got[i].name)))
			return got[i].value;
	fail("no counter %s", name);
}

/* Waits until all free memory is zero. All CPUs must have had their part in it, if they were idle. */
static void wait_clean(bool idle)
{
	static uint64_t before[MAX_PCPUS];
	uint32_t cpus = (uint32_t)counter(MARGAY_STAT_WHOLE, "online");
	uint64_t since = now_ns(), pages[MAX_PCPUS], all = 0;

	CHECK(cpus <= MAX_PCPUS, "%u CPUs", cpus);
	while (counter(MARGAY_STAT_WHOLE, "unscrubbed")) {
		CHECK(now_ns() - since < 300 * NS_PER_S, "memory stays dirty");
		block_until(now_ns() + NS_PER_MS);
	}
	printf("clean after %lu us; MiB by CPU:", (now_ns() - since) / 1000ul);
	for (uint32_t i = 0; i < cpus; i++) {
		pages[i] = counter(i, "scrubbed-page") - before[i];
		before[i] += pages[i];
		all += pages[i];
		printf(" %lu", pages[i] >> 8);
	}
	printf("\n");
	for (uint32_t i = 0; i < cpus && idle; i++)
		CHECK(pages[i] >= all / cpus / 2, "CPU %u has done too little", i);
}

/* Makes a domain and gives it memory. Returns the time that it took, in ns. */
static uint64_t make(unsigned int *id, unsigned int gib)
{
	struct xen_memory_reservation r = { .nr_extents = gib, .extent_order = ORDER_1G };
	uint64_t start = now_ns();

	for (unsigned int i = 0; i < gib; i++)
		extents[i] = (xen_pfn_t)i << ORDER_1G;
	memset(&op, 0, sizeof(op));
	op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
	op.u.createdomain.max_vcpus = 2;
	op.u.createdomain.max_grant_frames = op.u.createdomain.max_maptrack_frames = 32;
	op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
	op.u.createdomain.arch.emulation_flags = XEN_X86_EMU_LAPIC;
	CHECK_RET(domctl(XEN_DOMCTL_createdomain, 0), 0);
	*id = op.domain;
	op.u.max_vcpus.max = 2;
	CHECK_RET(domctl(XEN_DOMCTL_max_vcpus, *id), 0);
	op.u.max_mem.max_memkb = (uint64_t)gib << 20;
	CHECK_RET(domctl(XEN_DOMCTL_max_mem, *id), 0);
	r.domid = (domid_t)*id;
	set_xen_guest_handle(r.extent_start, extents);
	CHECK_RET(memory_op(XENMEM_populate_physmap, &r), gib);
	return now_ns() - start;
}

static uint64_t end(unsigned int id)
{
	uint64_t start = now_ns();

	CHECK_RET(domctl(XEN_DOMCTL_destroydomain, id), 0);
	return now_ns() - start;
}

int main(void)
{
	unsigned int gib = (unsigned int)cmdline_number("gib", 2), id;
	uint64_t took;

	CHECK(gib && gib <= MOST, "gib=%u", gib);
	wait_clean(true);	/* what the firmware left */
	took = make(&id, gib);
	printf("%u GiB of clean memory: %lu ns\n", gib, took);
	CHECK(took < LIMIT_NS, "more than a millisecond");
	took = end(id);
	printf("given back: %lu ns\n", took);
	wait_clean(true);
	took = make(&id, gib);
	printf("%u GiB of clean memory: %lu ns\n", gib, took);
	CHECK(took < LIMIT_NS, "more than a millisecond");
	/* At once again, when only dirty memory is there. */
	end(id);
	took = make(&id, gib);
	printf("%u GiB of dirty memory: %lu us\n", gib, took / 1000ul);
	end(id);
	wait_clean(false);
	pass();
}
