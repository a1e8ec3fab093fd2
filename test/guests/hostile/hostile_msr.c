/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: every MSR of the architectural ranges, read and written with random values. Leaves out
 * those that would only hurt this guest: EFER, the TSC, the LAPIC's base, the hypercall page.
 */
#include "guest.h"

static uint32_t hypercall_msr;

static bool own_affair(uint32_t msr)
{
	return msr == MSR_EFER || msr == MSR_TSC || msr == 0x3b || msr == MSR_APIC_BASE ||
	       msr == MSR_TSC_DEADLINE || msr == hypercall_msr || msr == MSR_PAT ||
	       (msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100);
}

static void sweep(uint32_t first, uint32_t count)
{
	unsigned int readable = 0, writable = 0;

	for (volatile uint32_t msr = first; msr < first + count; msr = msr + 1) {
		volatile uint64_t old = 0;
		uint64_t v = 0;

		if (own_affair(msr))
			continue;
		if (rdmsr_safe(msr, &v) < 0) {
			readable++;
			old = v;
		}
		if (wrmsr_safe(msr, random_u64()) < 0)
			writable++;
		if (wrmsr_safe(msr, random_u64() & 0xff) < 0)
			writable++;
		wrmsr_safe(msr, old);
	}
	printf("MSRs %x to %x: %u readable, %u values taken\n", first, first + count - 1, readable,
	       writable);
}

int main(void)
{
	uint64_t start = now_ns();

	canary_init(16);
	hypercall_msr = cpuid(xen_leaf + 2, 0).b;
	sweep(0, 0x2000);
	sweep(0x40000000, 0x200);
	sweep(0x4b564d00, 0x10);
	sweep(0xc0000000, 0x2000);
	sweep(0xc0010000, 0x2000);
	/* Hypercall pages with no memory behind them or beyond the address space. */
	wrmsr_safe(hypercall_msr, hole_alloc(1));
	wrmsr_safe(hypercall_msr, ~0xffful);
	wrmsr_safe(hypercall_msr, 1ul << 40);
	wrmsr_safe(hypercall_msr, 0xfee00000);
	CHECK(now_ns() > start, "the clock stopped");
	CHECK(xen_version(XENVER_version, NULL) > 0, "hypercalls stopped working");
	canary_check("MSRs");
	pass();
}
