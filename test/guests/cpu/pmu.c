/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: performance counters. The guest finds them all clear, then writes them and reads them again
 * and again for ms=N milliseconds, while it moves between CPUs of its own and shared ones, and another
 * guest does the same there. The emulators' counters do not count; without stored=1 they do not even
 * keep what is written, so that only the control registers are compared.
 */
#include "guest.h"

#define MSR_PERFEVTSEL0 0x186
#define MSR_FIXED_CTR0 0x309
#define MSR_PERF_CAPABILITIES 0x345
#define MSR_FIXED_CTR_CTRL 0x38d
#define MSR_GLOBAL_STATUS 0x38e
#define MSR_GLOBAL_CTRL 0x38f
#define MSR_GLOBAL_OVF_CTRL 0x390
#define MSR_PEBS_ENABLE 0x3f1
#define MSR_A_PMC0 0x4c1
#define MSR_K7_EVNTSEL0 0xc0010000
#define MSR_K7_PERFCTR0 0xc0010004
#define MSR_CORE_EVNTSEL0 0xc0010200

#define CPUID_PDCM (1u << 15)
#define CPUID_PERFCTR_CORE (1u << 23)
#define SELECT_EN (1u << 22)
#define SELECT_ANY_THREAD (1u << 21)

/* The registers, with what the guest writes. */
static struct reg {
	uint32_t msr;
	bool counter;
	uint64_t first, value;
} regs[32];
static unsigned int nr;

static void add(uint32_t msr, bool counter, uint64_t first, uint64_t value)
{
	regs[nr++] = (struct reg){ msr, counter, first, value };
}

static void find_intel(uint64_t seed)
{
	struct cpuid_regs r = cpuid(10, 0);
	unsigned int n = r.a >> 8 & 0xff, fixed = r.d & 0x1f;

	CHECK((r.a & 0xff) == 2 && n, "leaf 10 is %x %x %x %x", r.a, r.b, r.c, r.d);
	CHECK(rdmsr(MSR_PERF_CAPABILITIES) == 1u << 13, "PERF_CAPABILITIES %lx",
	      rdmsr(MSR_PERF_CAPABILITIES));
	for (unsigned int i = 0; i < n; i++) {
		add(MSR_PERFEVTSEL0 + i, false, 0, SELECT_EN | (seed & 0xff) << 8 | (0xc0 + i));
		add(MSR_A_PMC0 + i, true, 0, seed << 32 | i);
	}
	for (unsigned int i = 0; i < fixed; i++)
		add(MSR_FIXED_CTR0 + i, true, 0, seed << 16 | i);
	add(MSR_FIXED_CTR_CTRL, false, 0, seed & 0xb);
	add(MSR_GLOBAL_CTRL, true, (1ul << n) - 1, seed & 5);
	CHECK(!rdmsr(MSR_GLOBAL_STATUS), "GLOBAL_STATUS %lx", rdmsr(MSR_GLOBAL_STATUS));
	CHECK(wrmsr_safe(MSR_GLOBAL_OVF_CTRL, 1) < 0, "GLOBAL_OVF_CTRL refuses 1");
	CHECK(wrmsr_safe(MSR_GLOBAL_STATUS, 0) == X86_GP, "GLOBAL_STATUS can be written");
	CHECK(wrmsr_safe(MSR_PERFEVTSEL0, SELECT_ANY_THREAD) == X86_GP, "AnyThread is possible");
	CHECK(wrmsr_safe(MSR_FIXED_CTR_CTRL, 4) == X86_GP, "AnyThread is possible, fixed");
	CHECK(wrmsr_safe(MSR_PEBS_ENABLE, 0) == X86_GP, "there is PEBS");
}

static void find_amd(uint64_t seed)
{
	bool core = cpuid(0x80000001, 0).c & CPUID_PERFCTR_CORE;

	for (unsigned int i = 0; i < (core ? 6 : 4); i++) {
		add(core ? MSR_CORE_EVNTSEL0 + 2 * i : MSR_K7_EVNTSEL0 + i, false, 0,
		    SELECT_EN | (seed & 0xff) << 8 | (0xc0 + i));
		add(core ? MSR_CORE_EVNTSEL0 + 2 * i + 1 : MSR_K7_PERFCTR0 + i, true, 0,
		    seed << 16 | i);
	}
}

int main(void)
{
	uint64_t seed = cmdline_number("seed", 1), ms = cmdline_number("ms", 500), rounds = 0, v;
	bool stored = cmdline_number("stored", 0);
	uint64_t end = now_ns() + ms * NS_PER_MS;

	if (cpu_is_amd())
		find_amd(seed);
	else
		find_intel(seed);
	for (unsigned int i = 0; i < nr; i++) {
		v = rdmsr(regs[i].msr);
		CHECK(v == (stored || !regs[i].counter ? regs[i].first : 0),
		      "MSR %x begins with %lx", regs[i].msr, v);
		wrmsr(regs[i].msr, regs[i].value);
	}
	while (now_ns() < end) {
		for (unsigned int i = 0; i < nr; i++) {
			v = rdmsr(regs[i].msr);
			CHECK(!stored && regs[i].counter ? !v : v == regs[i].value,
			      "MSR %x reads %lx, not %lx, in round %lu", regs[i].msr, v,
			      regs[i].value, rounds);
		}
		rounds++;
		block_until(now_ns() + 100 * NS_PER_US);
	}
	printf("%u registers, read %lu times\n", nr, rounds);
	CHECK(rounds > 10, "%lu rounds", rounds);
	pass();
}
