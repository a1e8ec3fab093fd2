/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the CPUs that are hyperthreads of one core, or in one package. SDM 3A 9.9.3, APM3 E.4.15. */
#include <margay/printk.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/smp.h>

#define LEAF_TOPOLOGY 0xbU
#define LEAF_AMD_TOPOLOGY 0x8000001eU
#define FEATURE_HTT BIT(28)	/* leaf 1, EDX: EBX has the number of threads */
#define LEAF_AMD_SIZES 0x80000008U
#define AMD_TOPOLOGY_EXTENSIONS BIT(22)

/* The low bits of an APIC id that number the threads of a core, and of a package. */
static unsigned core_shift, package_shift;

unsigned __init thread_bits(void)
{
	struct cpuid_regs r;
	unsigned bits = 0, threads;

	cpuid_machine(0, 0, &r);
	if (r.eax >= LEAF_TOPOLOGY) {
		/* Subleaf 0 of the newer leaf 0x1f has the same values. */
		cpuid_machine(LEAF_TOPOLOGY, 0, &r);
		if (r.ebx)
			return r.eax & 31;
	}
	cpuid_machine(0x80000001, 0, &r);
	if (x86.vendor != X86_VENDOR_AMD || !(r.ecx & AMD_TOPOLOGY_EXTENSIONS))
		return 0;
	cpuid_machine(LEAF_AMD_TOPOLOGY, 0, &r);
	threads = (r.ebx >> 8 & 0xff) + 1;
	while (1U << bits < threads)
		bits++;
	return bits;
}

/* Returns the number of low bits of an APIC id that number the threads of a package. */
static unsigned __init package_bits(void)
{
	struct cpuid_regs r;
	unsigned bits = 0, threads;

	cpuid_machine(0, 0, &r);
	if (r.eax >= LEAF_TOPOLOGY) {
		cpuid_machine(LEAF_TOPOLOGY, 1, &r);
		if (r.ebx)
			return r.eax & 31;
	}
	if (x86.vendor == X86_VENDOR_AMD) {
		cpuid_machine(LEAF_AMD_SIZES, 0, &r);
		if (r.ecx >> 12 & 15)
			return r.ecx >> 12 & 15;
		threads = (r.ecx & 0xff) + 1;
	} else {
		cpuid_machine(1, 0, &r);
		threads = r.edx & FEATURE_HTT ? r.ebx >> 16 & 0xff : 1;
	}
	while (1U << bits < threads)
		bits++;
	return bits;
}

void arch_cpu_topology(const struct cpu *c, u32 *core, u32 *package)
{
	*package = c->apic_id >> package_shift;
	*core = (c->apic_id - (*package << package_shift)) >> core_shift;
}

void topology_init_here(struct cpu *c)
{
	struct cpuid_regs r;

	cpuid_machine(0x80000000, 0, &r);
	if (r.eax >= LEAF_AMD_TOPOLOGY) {
		cpuid_machine(LEAF_AMD_TOPOLOGY, 0, &r);
		c->amd_core[0] = r.ebx;
		c->amd_core[1] = r.ecx;
	}
}

u32 package_first_id(const struct cpu *c)
{
	return c->apic_id >> package_shift << package_shift;
}

void __init topology_init(void)
{
	unsigned bits = thread_bits(), cores = nr_cpus;

	core_shift = bits;
	package_shift = max(bits, package_bits());
	for (unsigned i = 1; i < nr_cpus && bits; i++) {
		unsigned j = i;

		while (j-- > 0)
			if (cpus[i]->apic_id >> bits == cpus[j]->apic_id >> bits) {
				cpus[i]->sibling = cpus[j]->sibling;
				cpus[j]->sibling = cpus[i];
				cores--;
				break;
			}
	}
	if (cores < nr_cpus)
		pr_info("%u CPUs are hyperthreads of %u core%s\n", nr_cpus, cores,
			cores == 1 ? "" : "s");
}
