/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The choice between MWAIT and HLT for idle CPUs, and of the deepest C-state.
 * unit-sources: arch/x86/cpu/idle.c
 */
#include "host.h"

#include <margay/arch.h>
#include <margay/cmdline.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/smp.h>

#define MONITOR BIT(3)
#define HYPERVISOR BIT(31)
#define ARAT BIT(2)

struct x86_features x86;
struct margay_options opt;
struct cpu *host_cpu;
static u32 max, ecx1, edx5, eax6;

void arch_poll_irqs(void)
{
}

void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	assert_int_equal(subleaf, 0);
	assert_true(leaf == 0 || leaf <= max);
	*out = (struct cpuid_regs){ 0 };
	out->eax = leaf == 0 ? max : leaf == 6 ? eax6 : 0;
	out->ecx = leaf == 1 ? ecx1 : 0;
	out->edx = leaf == 5 ? edx5 : 0;
}

/* Expects idle CPUs to sleep as `says`; NULL: by HLT. */
static void expect(const char *says)
{
	host_log_clear();
	idle_init();
	if (says)
		assert_logged(says);
	else
		assert_silent();
}

static void test_auto(void **state)
{
	(void)state;
	opt.idle = IDLE_AUTO;
	max = 0xd;
	ecx1 = MONITOR;
	eax6 = ARAT;
	x86.invariant_tsc = true;
	/* Skylake servers: C1, C1E and C6. */
	edx5 = 0x2020;
	expect("MWAIT, at most in C3\n");
	edx5 = 0x11142120;
	expect("MWAIT, at most in C7\n");
	/* AMD: C1 only. */
	edx5 = 0x11;
	expect("MWAIT, at most in C1\n");
	/* The timer or the TSC stops in deep states. */
	edx5 = 0x2020;
	eax6 = 0;
	expect("MWAIT, at most in C1\n");
	eax6 = ARAT;
	x86.invariant_tsc = false;
	expect("MWAIT, at most in C1\n");
	x86.invariant_tsc = true;
	/* No C-states, only C0, no MONITOR, no leaf 5, or another hypervisor. */
	edx5 = 0;
	expect(NULL);
	edx5 = 1;
	expect(NULL);
	edx5 = 0x2020;
	ecx1 = 0;
	expect(NULL);
	ecx1 = MONITOR;
	max = 4;
	expect(NULL);
	max = 0xd;
	ecx1 = MONITOR | HYPERVISOR;
	expect(NULL);
}

static void test_chosen(void **state)
{
	(void)state;
	max = 0xd;
	ecx1 = MONITOR;
	edx5 = 0x2020;
	eax6 = ARAT;
	x86.invariant_tsc = true;
	opt.idle = IDLE_HLT;
	expect(NULL);
	opt.idle = IDLE_MWAIT;
	ecx1 = MONITOR | HYPERVISOR;
	expect("MWAIT, at most in C3\n");
	edx5 = 0;
	expect("MWAIT, at most in C1\n");
	ecx1 = 0;
	expect(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
