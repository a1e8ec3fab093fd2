/* SPDX-License-Identifier: BSD-2-Clause */
/* Grades the errors in machine-check banks. SDM 3B 16.6 and 16.9.3, APM2 9.3. */
#include <x86/mce.h>

#define MISC_LSB(misc) ((misc) & 63)	/* the lowest valid bit of the address */
#define MISC_MODE(misc) ((misc) >> 6 & 7)
#define MODE_PHYSICAL 2

bool mce_has_page(const struct mce_bank *b, const struct mce_caps *caps)
{
	if (!(b->status & MC_ADDRV))
		return false;
	/* Other addresses of AMD's may be relative to a memory channel. */
	if (!caps->intel)
		return b->status & MC_POISON;
	return (b->status & MC_MISCV) && MISC_MODE(b->misc) == MODE_PHYSICAL &&
	       MISC_LSB(b->misc) <= PAGE_SHIFT;
}

static enum mce_grade grade_intel(const struct mce_bank *b, const struct mce_caps *caps)
{
	if (!(b->status & MC_EN))
		return MCE_LATENT;
	if ((b->status & MC_PCC) || !caps->recovery)
		return MCE_FATAL;
	if (!(b->status & MC_S))
		return MCE_LATENT;
	if (!(b->status & MC_AR))
		return MCE_OPTIONAL;
	return (b->status & MC_OVER) || !mce_has_page(b, caps) ? MCE_FATAL : MCE_REQUIRED;
}

static enum mce_grade grade_amd(const struct mce_bank *b, const struct mce_caps *caps)
{
	if ((b->status & (MC_PCC | MC_TCC)) || !caps->recovery ||
	    ((b->status & MC_OVER) && !caps->overflow_recovery))
		return MCE_FATAL;
	return mce_has_page(b, caps) ? MCE_REQUIRED : MCE_FATAL;
}

enum mce_grade mce_grade(const struct mce_bank *b, const struct mce_caps *caps)
{
	if (!(b->status & MC_VAL))
		return MCE_NONE;
	if (b->status & MC_UC)
		return caps->intel ? grade_intel(b, caps) : grade_amd(b, caps);
	return !caps->intel && (b->status & MC_DEFERRED) ? MCE_LATENT : MCE_CORRECTED;
}
