/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The speculation plan for CPUs whose enumeration the manuals document.
 * unit-sources: arch/x86/cpu/spec.c common/boot/cmdline.c
 */
#include "host.h"

#include <margay/cmdline.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/spec.h>

struct x86_features x86;
u8 indirect_thunks[16 * 32];

bool under_tcg(void) { return false; }

void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	(void)leaf;
	(void)subleaf;
	*out = (struct cpuid_regs){ 0 };
}

#define IBRSB BIT(26)
#define STIBP BIT(27)
#define FLUSH BIT(28)
#define ARCH_CAPS BIT(29)
#define SSBD BIT(31)
#define MD_CLEAR BIT(10)
#define INTEL_CTRL (IBRSB | STIBP | SSBD)

static const struct {
	struct spec_cpu cpu;
	u32 actions, host, guest;
} cases[] = {
	/* An emulator, or firmware that enumerates nothing: only retpolines are possible. */
	{ { .intel = true, .family = 6, .model = 0x3d }, SPEC_RETPOLINE, 0, 0 },
	{ { .amd = true, .family = 0x17, .model = 1 }, SPEC_RETPOLINE, 0, 0 },
	/* Broadwell with its last microcode: L1TF and MDS. */
	{ { .intel = true, .family = 6, .model = 0x3d, .l7d = INTEL_CTRL | MD_CLEAR | FLUSH },
	  SPEC_IBPB | SPEC_MSR | SPEC_RSB | SPEC_L1D | SPEC_VERW, 3, 7 },
	/* Cascade Lake: TAA, but neither L1TF nor MDS. Software clears the branch history. */
	{ { .intel = true,
	    .family = 6,
	    .model = 0x55,
	    .l7d = INTEL_CTRL | MD_CLEAR | FLUSH | ARCH_CAPS,
	    .caps = 0x2b },
	  SPEC_IBPB | SPEC_MSR | SPEC_RSB | SPEC_BHB | SPEC_VERW, 3, 7 },
	/* Sapphire Rapids: BHI_DIS_S, no buffers to clear. */
	{ { .intel = true,
	    .family = 6,
	    .model = 0x8f,
	    .l7d = INTEL_CTRL | MD_CLEAR | FLUSH | ARCH_CAPS,
	    .l72d = BIT(4),
	    .caps = 0xe1eb },
	  SPEC_IBPB | SPEC_MSR | SPEC_RSB,
	  3 | BIT(10),
	  7 | BIT(10) },
	/* The same, if it were immune to BHI. */
	{ { .intel = true,
	    .family = 6,
	    .model = 0x8f,
	    .l7d = INTEL_CTRL | MD_CLEAR | FLUSH | ARCH_CAPS,
	    .l72d = BIT(4),
	    .caps = 0x10e1eb },
	  SPEC_IBPB | SPEC_MSR | SPEC_RSB,
	  3,
	  7 | BIT(10) },
	/* All controls of SPEC_CTRL. MCDT_NO has none. */
	{ { .intel = true, .l7d = INTEL_CTRL, .l72d = 0x3f, .caps = 0x10e1eb },
	  SPEC_IBPB | SPEC_MSR | SPEC_RSB,
	  3,
	  0x5ff },
	/* Zen 1 has only IBPB; Zen 2 has all, and Zenbleed. Hygon equals Zen 1. */
	{ { .amd = true, .family = 0x17, .model = 1, .e8b = BIT(12) },
	  SPEC_IBPB | SPEC_RSB | SPEC_IBPB_EXIT, 0, 0 },
	{ { .amd = true, .family = 0x18, .model = 0, .e8b = BIT(12) },
	  SPEC_IBPB | SPEC_RSB | SPEC_IBPB_EXIT, 0, 0 },
	{ { .amd = true, .family = 0x17, .model = 0x31, .e8b = 0x100d000 },
	  SPEC_IBPB | SPEC_RSB | SPEC_MSR | SPEC_IBPB_EXIT | SPEC_ZENBLEED, 3, 7 },
	/* Zen 4: automatic IBRS, SRSO. Zen 5: no SRSO. */
	{ { .amd = true, .family = 0x19, .model = 0x11, .e8b = 0x100d000, .e21a = BIT(8) },
	  SPEC_IBPB | SPEC_RSB | SPEC_MSR | SPEC_IBPB_EXIT | SPEC_AUTO_IBRS, 2, 7 },
	{ { .amd = true, .family = 0x1a, .model = 2, .e8b = 0x100d000, .e21a = BIT(8) | BIT(29) },
	  SPEC_IBPB | SPEC_RSB | SPEC_MSR | SPEC_AUTO_IBRS, 2, 7 },
	/* Zen 3 with PSFD. */
	{ { .amd = true, .family = 0x19, .model = 1, .e8b = 0x1100d000, .e21a = BIT(29) },
	  SPEC_IBPB | SPEC_RSB | SPEC_MSR, 3, 0x87 },
	/* IBPB alone, where it is not needed at each exit. */
	{ { .amd = true, .family = 0x15, .e8b = BIT(12) },
	  SPEC_IBPB | SPEC_RSB | SPEC_RETPOLINE, 0, 0 },
	/* Another vendor's leaves are unknown. */
	{ { .family = 6, .l7d = ~0U, .e8b = ~0U, .caps = ~0UL }, SPEC_RETPOLINE, 0, 0 },
};

static void test_decide(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spec_plan p = spec_decide(&cases[i].cpu);

		if (p.actions != cases[i].actions || p.host_ctrl != cases[i].host ||
		    p.guest_ctrl != cases[i].guest)
			fail_msg("case %u: %x %x %x", i, p.actions, p.host_ctrl, p.guest_ctrl);
	}
}

/* Without retpolines each thunk is a jump to its register and INT3. */
static void test_thunks(void **state)
{
	static const u8 rcx[] = { 0xff, 0xe1, 0xcc }, r9[] = { 0x41, 0xff, 0xe1, 0xcc },
			r15[] = { 0x41, 0xff, 0xe7, 0xcc };

	(void)state;
	strcpy(opt.spec, "retpoline");
	spec_init();
	assert_memory_equal(indirect_thunks + 1 * 32, rcx, sizeof(rcx));
	assert_memory_equal(indirect_thunks + 9 * 32, r9, sizeof(r9));
	assert_memory_equal(indirect_thunks + 15 * 32, r15, sizeof(r15));
	memset(indirect_thunks, 0, sizeof(indirect_thunks));
	strcpy(opt.spec, "all");
	spec_init();
	assert_int_equal(indirect_thunks[32], 0);
	assert_true(spec.actions & SPEC_RETPOLINE);
}

/* The list of key `v` fits a terminal. */
static void test_show(void **state)
{
	(void)state;
	host_log_clear();
	arch_show_speculation();
	assert_logged("retpoline on  Spectre v2: retpolines in Margay; cost 4 a branch, else 2\n");
	assert_lines_fit();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_decide),
					    cmocka_unit_test(test_thunks),
					    cmocka_unit_test(test_show) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
