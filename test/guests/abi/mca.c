/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a control domain asks for the machine's errors and CPUs. error=1: waits for a corrected
 * error, which gdb puts into a bank (test/beds/fault_cases.py).
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <xen/arch-x86/xen-mca.h>
#include <xen/physdev.h>

#define UNMAPPED	((void *)0x7f0000000000ul)
#define CORRECTED	0x9c00000000000000ul

static struct xen_mc op;
static struct mc_info info;
static struct mcinfo_logical_cpu cpus[MAX_CPUS];

static long mca(uint32_t cmd)
{
	op.cmd = cmd;
	op.interface_version = XEN_MCA_INTERFACE_VERSION;
	return hypercall1(__HYPERVISOR_mca, &op);
}

static long fetch(uint32_t flags, void *to)
{
	op.u.mc_fetch.flags = flags;
	set_xen_guest_handle(op.u.mc_fetch.data, to);
	return mca(XEN_MC_fetch);
}

static void check_refusals(void)
{
	CHECK_RET(hypercall1(__HYPERVISOR_mca, UNMAPPED), -XEN_EFAULT);
	op.interface_version = XEN_MCA_INTERFACE_VERSION + 1;
	op.cmd = XEN_MC_fetch;
	CHECK_RET(hypercall1(__HYPERVISOR_mca, &op), -XEN_EACCES);
	CHECK_RET(fetch(0, &info), -XEN_EINVAL);
	CHECK_RET(fetch(XEN_MC_NONURGENT, NULL), -XEN_EINVAL);
	CHECK_RET(mca(XEN_MC_notifydomain), -XEN_EINVAL);
	CHECK_RET(mca(99), -XEN_EINVAL);
}

static void check_cpus(void)
{
	uint32_t n;

	memset(&op, 0, sizeof(op));
	CHECK_RET(mca(XEN_MC_physcpuinfo), 0);
	n = op.u.mc_physcpuinfo.ncpus;
	CHECK(n && n <= MAX_CPUS, "%u CPUs", n);
	set_xen_guest_handle(op.u.mc_physcpuinfo.info, cpus);
	CHECK_RET(mca(XEN_MC_physcpuinfo), 0);
	CHECK(op.u.mc_physcpuinfo.ncpus == n, "%u CPUs, then %u", n, op.u.mc_physcpuinfo.ncpus);
	for (uint32_t i = 0; i < n; i++)
		printf("CPU %u: %.12s family %u model %u, APIC id %u, socket %u core %u thread %u\n",
		       cpus[i].mc_cpunr, cpus[i].mc_vendorid, cpus[i].mc_family, cpus[i].mc_model,
		       cpus[i].mc_apicid, cpus[i].mc_chipid, cpus[i].mc_coreid,
		       cpus[i].mc_threadid);
	CHECK(n < 2 || cpus[0].mc_apicid != cpus[1].mc_apicid, "all of one APIC id");
	op.u.mc_physcpuinfo.ncpus = 0;
	CHECK_RET(mca(XEN_MC_physcpuinfo), -XEN_EINVAL);
}

static void take_error(void)
{
	struct mcinfo_common *entry;
	uint64_t id = op.u.mc_fetch.fetch_id;

	x86_mcinfo_lookup(entry, &info, MC_TYPE_GLOBAL);
	CHECK(entry, "no global entry");
	x86_mcinfo_lookup(entry, &info, MC_TYPE_BANK);
	CHECK(entry, "no bank");
	printf("bank %u status %lx address %lx\n", ((struct mcinfo_bank *)entry)->mc_bank,
	       ((struct mcinfo_bank *)entry)->mc_status, ((struct mcinfo_bank *)entry)->mc_addr);
	CHECK(((struct mcinfo_bank *)entry)->mc_status == CORRECTED, "another status");
	CHECK_RET(fetch(XEN_MC_NONURGENT | XEN_MC_ACK, NULL), 0);
	CHECK_RET(fetch(XEN_MC_NONURGENT, &info), 0);
	CHECK(op.u.mc_fetch.flags == XEN_MC_NODATA && op.u.mc_fetch.fetch_id != id,
	      "a second error");
}

int main(void)
{
	long port = evtchn_bind_virq(VIRQ_MCA, 0);

	CHECK(port > 0, "bind_virq = %ld", port);
	check_refusals();
	check_cpus();
	if (cmdline_number("error", 0)) {
		CHECK(WAIT_FOR(evtchn_pending((evtchn_port_t)port), 100 * NS_PER_S), "no event");
		CHECK_RET(fetch(XEN_MC_NONURGENT, &info), 0);
		CHECK(op.u.mc_fetch.flags == XEN_MC_OK, "no error: flags %x", op.u.mc_fetch.flags);
		take_error();
	} else {
		CHECK_RET(fetch(XEN_MC_NONURGENT, &info), 0);
		CHECK(op.u.mc_fetch.flags == XEN_MC_NODATA, "flags %x", op.u.mc_fetch.flags);
	}
	CHECK_RET(fetch(XEN_MC_URGENT, &info), 0);
	CHECK(op.u.mc_fetch.flags == XEN_MC_NODATA, "flags %x", op.u.mc_fetch.flags);
	pass();
}
