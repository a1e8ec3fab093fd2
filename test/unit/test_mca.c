/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of machine checks and HYPERVISOR_mca, which converts its records for the control domain.
 * unit-sources: hypercall/mca.c common/mce_log.c
 */
#include "host.h"

#include <margay/arch.h>
#include <margay/cpu_policy.h>
#include <margay/guest_copy.h>
#include <margay/hypercall.h>
#include <margay/mce_log.h>
#include <margay/sched.h>

#include <xen/arch-x86/xen-mca.h>
#include <xen/platform.h>

#define CPUS 3
#define BAD ((void *)8)

struct cpu *cpus[MAX_CPUS];
unsigned nr_cpus = CPUS;
static struct cpu cpu[CPUS];

long do_mca(struct vcpu *v, struct regs *h);
void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub);
void machine_version(struct xenpf_pcpu_version *u);

void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub)
{
	(void)v;
	(void)arg;
	(void)sub;
	assert_int_equal(nr, 48);
}

void machine_version(struct xenpf_pcpu_version *u)
{
	memcpy(u->vendor_id, "AuthenticAMD", 12);
	u->family = 23;
	u->model = 1;
	u->stepping = 2;
}

void cpu_policy_features(struct cpuid_policy *p, u32 words[CPU_FEATURE_WORDS])
{
	assert_null(p);
	for (u32 i = 0; i < CPU_FEATURE_WORDS; i++)
		words[i] = 100 + i;
}

u64 arch_mce_caps(void)
{
	return 0x10a;
}

void arch_cpu_topology(const struct cpu *c, u32 *core, u32 *package)
{
	*core = c->apic_id >> 1 & 1;
	*package = c->apic_id >> 2;
}

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	if (src < 4096)
		return -EFAULT;
	memcpy(dst, (void *)src, n);
	return 0;
}

int copy_to_guest(gvaddr_t dst, const void *src, size_t n)
{
	if (dst < 4096)
		return -EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}

static int setup(void **state)
{
	struct mce_record r;

	(void)state;
	for (unsigned i = 0; i < CPUS; i++) {
		cpu[i].id = i;
		cpu[i].apic_id = i ? 3 + i : 0;	/* CPUs 1 and 2 are threads of a core */
		cpu[i].sibling = &cpu[i];
		cpus[i] = &cpu[i];
	}
	cpu[1].sibling = &cpu[2];
	cpu[2].sibling = &cpu[1];
	for (unsigned urgent = 0; urgent < 2; urgent++)
		while (mce_log_oldest(urgent, &r))
			mce_log_ack(urgent, r.id);
	return 0;
}

static struct xen_mc op;

static long mca(u32 cmd)
{
	struct regs h = { .rdi = (u64)&op };

	op.cmd = cmd;
	op.interface_version = XEN_MCA_INTERFACE_VERSION;
	return do_mca(NULL, &h);
}

static long fetch(u32 flags, void *info)
{
	op.u.mc_fetch.flags = flags;
	op.u.mc_fetch.data.p = info;
	return mca(XEN_MC_fetch);
}

static void test_fetch(void **state)
{
	struct mce_record r = { .status = 0x9c00000000000012, .addr = 0x1000, .misc = 3, .tsc = 99,
				.bank = 4, .cpu = 2, .apic_id = 5, .flags = MC_FLAG_POLLED,
				.gstatus = 7, .owner = 9 };
	struct mc_info info;
	struct mcinfo_common *entry;
	struct mcinfo_global *g;
	struct mcinfo_bank *b;
	u64 id;

	(void)state;
	assert_int_equal(fetch(XEN_MC_NONURGENT, &info), 0);
	assert_int_equal(op.u.mc_fetch.flags, XEN_MC_NODATA);
	mce_log(&r, false);
	r.bank = 5;
	mce_log(&r, false);
	assert_int_equal(fetch(XEN_MC_URGENT, &info), 0);
	assert_int_equal(op.u.mc_fetch.flags, XEN_MC_NODATA);
	assert_int_equal(fetch(XEN_MC_NONURGENT, BAD), -EFAULT);
	assert_int_equal(fetch(XEN_MC_NONURGENT, &info), 0);
	assert_int_equal(op.u.mc_fetch.flags, XEN_MC_OK);
	id = op.u.mc_fetch.fetch_id;

	assert_int_equal(info.mi_nentries, 2);
	x86_mcinfo_lookup(entry, &info, MC_TYPE_GLOBAL);
	g = (struct mcinfo_global *)entry;
	assert_int_equal(g->mc_domid, DOMID_INVALID);
	assert_int_equal(g->mc_vcpuid, XEN_MC_VCPUID_INVALID);
	assert_int_equal(g->mc_socketid, 1);
	assert_int_equal(g->mc_coreid, 0);
	assert_int_equal(g->mc_core_threadid, 1);
	assert_int_equal(g->mc_apicid, 5);
	assert_int_equal(g->mc_flags, MC_FLAG_POLLED);
	assert_int_equal(g->mc_gstatus, 7);
	x86_mcinfo_lookup(entry, &info, MC_TYPE_BANK);
	b = (struct mcinfo_bank *)entry;
	assert_int_equal(b->mc_bank, 4);
	assert_int_equal(b->mc_domid, 9);
	assert_true(b->mc_status == r.status);
	assert_int_equal(b->mc_addr, 0x1000);
	assert_int_equal(b->mc_misc, 3);
	assert_int_equal(b->mc_tsc, 99);

	/* The same one again, until it is acknowledged. */
	assert_int_equal(fetch(XEN_MC_NONURGENT, &info), 0);
	assert_int_equal(op.u.mc_fetch.fetch_id, id);
	op.u.mc_fetch.fetch_id = id + 1;
	assert_int_equal(fetch(XEN_MC_NONURGENT | XEN_MC_ACK, NULL), 0);
	op.u.mc_fetch.fetch_id = id;
	assert_int_equal(fetch(XEN_MC_URGENT | XEN_MC_ACK, NULL), 0);
	assert_int_equal(fetch(XEN_MC_NONURGENT, &info), 0);
	assert_int_equal(op.u.mc_fetch.fetch_id, id);
	assert_int_equal(fetch(XEN_MC_NONURGENT | XEN_MC_ACK, NULL), 0);
	assert_int_equal(fetch(XEN_MC_NONURGENT, &info), 0);
	assert_int_not_equal(op.u.mc_fetch.fetch_id, id);
}

/* A full log keeps the oldest. */
static void test_full(void **state)
{
	struct mce_record r = { 0 }, got;
	u32 n;

	(void)state;
	for (r.bank = 0; r.bank < 100; r.bank++)
		mce_log(&r, true);
	for (n = 0; mce_log_oldest(true, &got); n++) {
		assert_int_equal(got.bank, n);
		mce_log_ack(true, got.id);
	}
	assert_in_range(n, 8, 99);
	mce_log_ack(true, got.id);
	assert_false(mce_log_oldest(true, &got));
	mce_log(&r, true);
	assert_true(mce_log_oldest(true, &got));
	assert_int_equal(got.bank, 100);
}

static void test_cpus(void **state)
{
	static struct mcinfo_logical_cpu l[CPUS + 1];

	(void)state;
	memset(&op, 0, sizeof(op));
	assert_int_equal(mca(XEN_MC_physcpuinfo), 0);
	assert_int_equal(op.u.mc_physcpuinfo.ncpus, CPUS);
	op.u.mc_physcpuinfo.info.p = l;
	op.u.mc_physcpuinfo.ncpus = 100;
	assert_int_equal(mca(XEN_MC_physcpuinfo), 0);
	assert_int_equal(op.u.mc_physcpuinfo.ncpus, CPUS);
	assert_int_equal(l[2].mc_apicid, 5);
	assert_int_equal(l[2].mc_chipid, 1);
	assert_int_equal(l[2].mc_threadid, 1);
	assert_int_equal(l[2].mc_nthreads, 2);
	assert_int_equal(l[0].mc_nthreads, 1);
	assert_int_equal(l[0].mc_family, 23);
	assert_int_equal(l[0].mc_vendor, 2);
	assert_string_equal(l[0].mc_vendorid, "AuthenticAMD");
	assert_int_equal(l[0].mc_cpu_caps[MC_CAPS_AMD_ECX], 103);
	assert_int_equal(l[0].mc_msrvalues[0].value, 0x10a);
	assert_int_equal(l[CPUS].mc_apicid, 0);
	op.u.mc_physcpuinfo.ncpus = 0;
	assert_int_equal(mca(XEN_MC_physcpuinfo), -EINVAL);
	op.u.mc_physcpuinfo.ncpus = 1;
	op.u.mc_physcpuinfo.info.p = BAD;
	assert_int_equal(mca(XEN_MC_physcpuinfo), -EFAULT);
}

static void test_refusals(void **state)
{
	struct regs h = { .rdi = 8 };
	struct mc_info info;

	(void)state;
	assert_int_equal(do_mca(NULL, &h), -EFAULT);
	h.rdi = (u64)&op;
	op.interface_version = XEN_MCA_INTERFACE_VERSION - 1;
	assert_int_equal(do_mca(NULL, &h), -EACCES);
	assert_int_equal(fetch(0, &info), -EINVAL);
	assert_int_equal(fetch(XEN_MC_URGENT | XEN_MC_NONURGENT, &info), -EINVAL);
	assert_int_equal(fetch(XEN_MC_URGENT, NULL), -EINVAL);
	assert_int_equal(mca(XEN_MC_msrinject), -EOPNOTSUPP);
	assert_int_equal(mca(XEN_MC_inject_v2), -EOPNOTSUPP);
	assert_int_equal(mca(XEN_MC_notifydomain), -EINVAL);
	assert_int_equal(mca(0), -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_fetch), TEST(test_full), TEST(test_cpus), TEST(test_refusals),
	};

	return cmocka_run_group_tests_name("mca", tests, NULL, NULL);
}
