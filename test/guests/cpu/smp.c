/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: application processors start by INIT/SIPI, twice, in the state that the manual defines.
 */
#include "guest.h"

static unsigned int ran[MAX_CPUS];
static uint8_t fresh[MAX_CPUS];

static void note(void)
{
	unsigned int id = this_cpu()->id;

	ran[id]++;
	CHECK(lapic_id() == cpu_apic_id(id), "vCPU %u has APIC ID %u, the MADT says %u", id,
	      lapic_id(), cpu_apic_id(id));
	CHECK(cpuid(xen_leaf + 4, 0).b == id, "vCPU %u is %u by CPUID", id,
	      cpuid(xen_leaf + 4, 0).b);
	CHECK(!(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP), "vCPU %u says it is the boot CPU", id);
	/* A reset LAPIC is software-disabled until the guest enables it. */
	fresh[id] = !(lapic_read(LAPIC_SVR) & SVR_ENABLE);
	lapic_enable();
	CHECK(vcpu_op(VCPUOP_is_up, id, NULL) == 1, "vCPU %u runs and is not up", id);
}

int main(void)
{
	unsigned int n = cpu_count();

	CHECK(n > 1, "needs more than one vCPU");
	CHECK(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP, "vCPU 0 is not the boot CPU");
	for (unsigned int round = 1; round <= 3; round++) {
		cpu_start_all(note);
		CHECK(WAIT_FOR(cpus_done() == n - 1, 5 * NS_PER_S), "%u of %u vCPUs finished",
		      cpus_done(), n - 1);
		for (unsigned int id = 1; id < n; id++) {
			CHECK(ran[id] == round, "vCPU %u ran %u times in round %u", id, ran[id],
			      round);
			CHECK(fresh[id], "INIT left the LAPIC of vCPU %u enabled", id);
		}
	}
	/* A SIPI alone has no effect on a running vCPU. */
	lapic_icr(cpu_apic_id(1), ICR_STARTUP | ICR_ASSERT | 0xf0);
	delay_ns(10 * NS_PER_MS);
	CHECK(ran[1] == 3, "a SIPI restarted vCPU 1");
	pass();
}
