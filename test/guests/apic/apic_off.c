/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: CPUID reports no local APIC while IA32_APIC_BASE disables it. SDM 3A 11.4.3. */
#include "guest.h"

#define CPUID1_C_X2APIC		(1u << 21)
#define CPUID1_D_APIC		(1u << 9)

static void check(bool there, const char *when)
{
	struct cpuid_regs r = cpuid(1, 0);

	CHECK(!!(r.d & CPUID1_D_APIC) == there, "%s: leaf 1 EDX %x", when, r.d);
	CHECK(!!(r.c & CPUID1_C_X2APIC) == there, "%s: leaf 1 ECX %x", when, r.c);
	r = cpuid(0x80000001, 0);
	CHECK(!!(r.d & CPUID1_D_APIC) == (there && cpu_is_amd()), "%s: leaf 80000001 EDX %x", when,
	      r.d);
}

int main(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	check(true, "at first");
	wrmsr(MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_ENABLE);
	check(false, "disabled");
	wrmsr(MSR_APIC_BASE, base);
	check(true, "enabled");
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	check(true, "x2APIC");
	wrmsr(MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_ENABLE);
	check(false, "disabled again");
	pass();
}
