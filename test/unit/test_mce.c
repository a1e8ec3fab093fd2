/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grades of machine checks: the combinations of SDM 3B table 16-6 and APM2 9.3.
 * unit-sources: arch/x86/cpu/mce_grade.c
 */
#include "host.h"

#include <x86/mce.h>

static const struct mce_caps intel = { .intel = true, .recovery = true };
static const struct mce_caps intel_old = { .intel = true };
static const struct mce_caps amd = { .recovery = true, .overflow_recovery = true };
static const struct mce_caps amd_no_overflow = { .recovery = true };
static const struct mce_caps amd_old = { 0 };

#define INTEL_UC (MC_VAL | MC_UC | MC_EN)
#define INTEL_PAGE (INTEL_UC | MC_ADDRV | MC_MISCV)
#define PAGE_MISC (2 << 6 | 12)

static const struct {
	const struct mce_caps *caps;
	u64 status, misc;
	enum mce_grade grade;
	bool page;
} cases[] = {
	{ &intel, ~MC_VAL, 0, MCE_NONE, false },
	{ &intel, MC_VAL, 0, MCE_CORRECTED, false },
	{ &intel, MC_VAL | MC_OVER | MC_ADDRV, PAGE_MISC, MCE_CORRECTED, false },
	/* Bits 43 and 44 belong to a count or to the model on Intel. */
	{ &intel, MC_VAL | MC_DEFERRED | MC_POISON, 0, MCE_CORRECTED, false },
	/* UCNA, SRAO, SRAR. */
	{ &intel, INTEL_PAGE, PAGE_MISC, MCE_LATENT, true },
	{ &intel, INTEL_PAGE | MC_S, PAGE_MISC, MCE_OPTIONAL, true },
	{ &intel, INTEL_PAGE | MC_S | MC_OVER, PAGE_MISC, MCE_OPTIONAL, true },
	{ &intel, INTEL_PAGE | MC_S | MC_AR, PAGE_MISC, MCE_REQUIRED, true },
	{ &intel, INTEL_PAGE | MC_S | MC_AR, 2 << 6 | 6, MCE_REQUIRED, true },
	/* A required action without an address: linear, too coarse, lost, not valid. */
	{ &intel, INTEL_PAGE | MC_S | MC_AR, 1 << 6 | 12, MCE_FATAL, false },
	{ &intel, INTEL_PAGE | MC_S | MC_AR, 2 << 6 | 13, MCE_FATAL, false },
	{ &intel, INTEL_PAGE | MC_S | MC_AR | MC_OVER, PAGE_MISC, MCE_FATAL, true },
	{ &intel, INTEL_UC | MC_S | MC_AR | MC_ADDRV, PAGE_MISC, MCE_FATAL, false },
	{ &intel, INTEL_UC | MC_S | MC_AR | MC_MISCV, PAGE_MISC, MCE_FATAL, false },
	/* PCC wins, but only of a bank that is enabled. */
	{ &intel, INTEL_PAGE | MC_S | MC_AR | MC_PCC, PAGE_MISC, MCE_FATAL, true },
	{ &intel, (INTEL_PAGE | MC_PCC) & ~MC_EN, PAGE_MISC, MCE_LATENT, true },
	{ &intel_old, INTEL_PAGE | MC_S | MC_AR, PAGE_MISC, MCE_FATAL, true },

	{ &amd, MC_VAL | MC_ADDRV, 0, MCE_CORRECTED, false },
	{ &amd, MC_VAL | MC_DEFERRED | MC_ADDRV, 0, MCE_LATENT, false },
	{ &amd, MC_VAL | MC_UC | MC_ADDRV | MC_POISON, 0, MCE_REQUIRED, true },
	{ &amd, MC_VAL | MC_UC | MC_ADDRV, 0, MCE_FATAL, false },
	{ &amd, MC_VAL | MC_UC | MC_ADDRV | MC_POISON | MC_PCC, 0, MCE_FATAL, true },
	{ &amd, MC_VAL | MC_UC | MC_ADDRV | MC_POISON | MC_TCC, 0, MCE_FATAL, true },
	{ &amd, MC_VAL | MC_UC | MC_ADDRV | MC_POISON | MC_OVER, 0, MCE_REQUIRED, true },
	{ &amd_no_overflow, MC_VAL | MC_UC | MC_ADDRV | MC_POISON | MC_OVER, 0, MCE_FATAL, true },
	{ &amd_old, MC_VAL | MC_UC | MC_ADDRV | MC_POISON, 0, MCE_FATAL, true },
};

static void test_grades(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mce_bank b = { .status = cases[i].status, .misc = cases[i].misc };

		if (mce_grade(&b, cases[i].caps) != cases[i].grade ||
		    mce_has_page(&b, cases[i].caps) != cases[i].page)
			fail_msg("case %u: grade %d, page %d", i, mce_grade(&b, cases[i].caps),
				 mce_has_page(&b, cases[i].caps));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
