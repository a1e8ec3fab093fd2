/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the MSRs for speculation match CPUID. Bits of SPEC_CTRL that CPUID lacks fault, PRED_CMD
 * and FLUSH_CMD can only be written, each vCPU has its own SPEC_CTRL, and accesses do not exit.
 */
#include "guest.h"

#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD 0x49
#define MSR_FLUSH_CMD 0x10b
#define EXIT_TICKS 80	/* fewer than an exit takes, more than an access without one */

static uint64_t bits;

/* Returns the bits of SPEC_CTRL that the guest may set. */
static uint64_t allowed(void)
{
	static const struct {
		uint8_t feature;
		uint32_t ctrl;
	} newer[] = {
		{ 0, 1u << 7 }, { 1, 3u << 3 }, { 2, 3u << 5 }, { 3, 1u << 8 }, { 4, 1u << 10 }
	};
	uint32_t d = cpuid(7, 0).d;
	uint64_t may = (d >> 26 & 1) | (d >> 27 & 1) << 1 | (d >> 31 & 1) << 2;

	if (may && cpuid(7, 0).a >= 2)
		for (unsigned int i = 0; i < ARRAY_SIZE(newer); i++)
			may |= cpuid(7, 2).d >> newer[i].feature & 1 ? newer[i].ctrl : 0;
	return may;
}

static void check_command(uint32_t msr, bool has)
{
	uint64_t v;

	CHECK(rdmsr_safe(msr, &v) == X86_GP, "MSR %x can be read", msr);
	CHECK(wrmsr_safe(msr, 1) == (has ? -1 : X86_GP), "MSR %x: writing 1 and CPUID differ", msr);
	CHECK(wrmsr_safe(msr, 1ul << 63) == X86_GP, "MSR %x takes bit 63", msr);
}

static uint64_t write_ticks(uint32_t msr, uint64_t val)
{
	uint64_t start = rdtsc(), least = ~0ul;

	for (unsigned int i = 0; i < 10; i++) {
		wrmsr(msr, val);
		if (rdtsc() - start < least)
			least = rdtsc() - start;
		start = rdtsc();
	}
	return least;
}

/* Two vCPUs share a CPU: neither may see the other's value. */
static void keep(uint64_t val)
{
	for (unsigned int i = 0; i < 100; i++) {
		wrmsr(MSR_SPEC_CTRL, val);
		hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
		CHECK(rdmsr(MSR_SPEC_CTRL) == val, "SPEC_CTRL reads %lx, not %lx",
		      rdmsr(MSR_SPEC_CTRL), val);
	}
}

static void other(void)
{
	CHECK(rdmsr(MSR_SPEC_CTRL) == 0, "SPEC_CTRL starts as %lx", rdmsr(MSR_SPEC_CTRL));
	keep(bits & -bits);
}

int main(void)
{
	uint64_t v;

	bits = allowed();
	printf("SPEC_CTRL has the bits %lx\n", bits);
	check_command(MSR_PRED_CMD, bits);
	check_command(MSR_FLUSH_CMD, cpuid(7, 0).d >> 28 & 1);
	if (!bits) {
		CHECK(rdmsr_safe(MSR_SPEC_CTRL, &v) == X86_GP, "SPEC_CTRL without CPUID");
		pass();
	}
	for (unsigned int i = 0; i < 64; i++)
		CHECK(wrmsr_safe(MSR_SPEC_CTRL, 1ul << i) == (bits >> i & 1 ? -1 : X86_GP),
		      "bit %u of SPEC_CTRL and CPUID differ", i);
	CHECK(write_ticks(MSR_SPEC_CTRL, bits) < EXIT_TICKS, "a write of SPEC_CTRL exits");
	CHECK(write_ticks(MSR_PRED_CMD, 1) < EXIT_TICKS, "a write of PRED_CMD exits");
	cpu_start(1, other);
	do
		keep(bits);
	while (!cpus_done());
	pass();
}
