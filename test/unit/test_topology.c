/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPUs are threads of one core, by Intel's leaf 0xb, by AMD's leaf 0x8000001e, or unknown.
 * unit-sources: arch/x86/cpu/topology.c
 */
#include "host.h"

#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/smp.h>

#define CPUS 8

struct x86_features x86;
struct cpu *cpus[MAX_CPUS];
unsigned nr_cpus;
static struct cpu cpu[CPUS];
static struct cpuid_regs leaf0, leaf1, leaf_b, leaf_b1, leaf_amd1, leaf_amd8, leaf_amd1e;

void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	assert_true(subleaf == 0 || (leaf == 0xb && subleaf == 1));
	switch (leaf) {
	case 0:
		*out = leaf0;
		break;
	case 1:
		*out = leaf1;
		break;
	case 0xb:
		*out = subleaf ? leaf_b1 : leaf_b;
		break;
	case 0x80000008:
		*out = leaf_amd8;
		break;
	case 0x80000001:
		*out = leaf_amd1;
		break;
	case 0x8000001e:
		*out = leaf_amd1e;
		break;
	default:
		fail_msg("leaf %#x", leaf);
	}
}

static int setup(void **state)
{
	(void)state;
	host_log_clear();
	leaf0 = (struct cpuid_regs){ .eax = 0xd };
	leaf1 = leaf_b = leaf_b1 = leaf_amd1 = leaf_amd8 = leaf_amd1e = (struct cpuid_regs){ 0 };
	x86.vendor = X86_VENDOR_INTEL;
	return 0;
}

/* Starts CPUs with these APIC ids. */
static void start(const u32 *ids, unsigned n)
{
	nr_cpus = n;
	for (unsigned i = 0; i < n; i++) {
		cpu[i] = (struct cpu){ .id = i, .apic_id = ids[i], .sibling = &cpu[i] };
		cpus[i] = &cpu[i];
	}
	topology_init();
}

/* Checks that the ring of CPU i holds the CPUs of the mask. */
static void ring(unsigned i, unsigned mask)
{
	struct cpu *c = &cpu[i];
	unsigned found = 0, steps = 0;

	do {
		found |= 1U << c->id;
		c = c->sibling;
		assert_true(++steps <= CPUS);
	} while (c != &cpu[i]);
	assert_int_equal(found, mask);
	assert_int_equal(steps, __builtin_popcount(mask));
}

/* Firmware lists all first threads before the second ones, and has switched one thread off. */
static void test_leaf_b(void **state)
{
	static const u32 ids[] = { 0, 2, 0x10000, 4, 1, 3, 0x10001 };

	(void)state;
	leaf_b = (struct cpuid_regs){ .eax = 1, .ebx = 2, .ecx = 0x100 };
	start(ids, ARRAY_SIZE(ids));
	assert_int_equal(package_first_id(&cpu[1]), 2);	/* no level of packages: a core each */
	leaf_b1 = (struct cpuid_regs){ .eax = 16, .ebx = 4, .ecx = 0x201 };
	start(ids, ARRAY_SIZE(ids));
	assert_int_equal(package_first_id(&cpu[1]), 0);
	assert_int_equal(package_first_id(&cpu[6]), 0x10000);
	ring(0, 0x11);
	ring(4, 0x11);
	ring(1, 0x22);
	ring(2, 0x44);
	ring(6, 0x44);
	ring(3, 0x08);
	assert_logged("7 CPUs are hyperthreads of 4 cores");
}

static void test_four_threads(void **state)
{
	static const u32 ids[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	(void)state;
	leaf_b = (struct cpuid_regs){ .eax = 2, .ebx = 4, .ecx = 0x100 };
	start(ids, ARRAY_SIZE(ids));
	for (unsigned i = 0; i < 8; i++)
		ring(i, i < 4 ? 0x0f : 0xf0);
}

static void test_amd(void **state)
{
	static const u32 ids[] = { 8, 9, 10, 11 };

	(void)state;
	leaf_amd1.ecx = BIT(22);
	leaf_amd1e.ebx = 0x104;
	/* Intel has no such leaf. */
	start(ids, ARRAY_SIZE(ids));
	ring(0, 1);
	x86.vendor = X86_VENDOR_AMD;
	start(ids, ARRAY_SIZE(ids));
	ring(0, 3);
	ring(3, 0xc);
	/* Without topology extensions, or with one thread per core, each CPU is alone. */
	leaf_amd1.ecx = 0;
	start(ids, ARRAY_SIZE(ids));
	ring(0, 1);
	leaf_amd1.ecx = BIT(22);
	leaf_amd1e.ebx = 4;
	host_log_clear();
	start(ids, ARRAY_SIZE(ids));
	ring(0, 1);
	assert_silent();
}

/* A CPU without leaf 0xb, and values that no CPU has. */
static void test_odd(void **state)
{
	static const u32 ids[] = { 0, 1, 0xfffffffe, 0xffffffff };

	(void)state;
	leaf_b = (struct cpuid_regs){ .eax = 1, .ebx = 2 };
	leaf0.eax = 7;
	start(ids, ARRAY_SIZE(ids));
	ring(0, 1);
	leaf0.eax = 0xb;
	leaf_b.eax = 0xffffffff;
	start(ids, ARRAY_SIZE(ids));
	ring(0, 3);
	ring(2, 0xc);
}

static void place(unsigned i, u32 core, u32 package)
{
	u32 c, p;

	arch_cpu_topology(&cpu[i], &c, &p);
	assert_int_equal(c, core);
	assert_int_equal(p, package);
}

/* Cores and packages, from each leaf that may tell them, and from none. */
static void test_packages(void **state)
{
	static const u32 ids[] = { 0, 1, 2, 9, 0xfffffff5 };

	(void)state;
	leaf_b = (struct cpuid_regs){ .eax = 1, .ebx = 2, .ecx = 0x100 };
	leaf_b1 = (struct cpuid_regs){ .eax = 3, .ebx = 8, .ecx = 0x201 };
	start(ids, ARRAY_SIZE(ids));
	place(0, 0, 0);
	place(1, 0, 0);
	place(2, 1, 0);
	place(3, 0, 1);
	place(4, 2, 0x1ffffffe);
	leaf_b = leaf_b1 = (struct cpuid_regs){ 0 };
	leaf1 = (struct cpuid_regs){ .ebx = 3 << 16, .edx = BIT(28) };
	start(ids, ARRAY_SIZE(ids));
	place(3, 1, 2);
	leaf1.edx = 0;
	start(ids, ARRAY_SIZE(ids));
	place(3, 0, 9);
	x86.vendor = X86_VENDOR_AMD;
	leaf_amd8.ecx = 7;
	start(ids, ARRAY_SIZE(ids));
	place(3, 1, 1);
	leaf_amd8.ecx = 2 << 12 | 1;
	start(ids, ARRAY_SIZE(ids));
	place(3, 1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_leaf_b, setup),
		cmocka_unit_test_setup(test_four_threads, setup),
		cmocka_unit_test_setup(test_amd, setup),
		cmocka_unit_test_setup(test_odd, setup),
		cmocka_unit_test_setup(test_packages, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
