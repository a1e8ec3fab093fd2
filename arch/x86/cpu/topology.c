/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the CPUs that are hyperthreads of one core. SDM 3A 9.9.3, APM3 E.4.15. */
#include <margay/printk.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/smp.h>

#define LEAF_TOPOLOGY 0xbU
#define LEAF_AMD_TOPOLOGY 0x8000001eU
#define AMD_TOPOLOGY_EXTENSIONS BIT(22)

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

void __init topology_init(void)
{
	unsigned bits = thread_bits(), cores = nr_cpus;

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
