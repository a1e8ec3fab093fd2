/* SPDX-License-Identifier: BSD-2-Clause */
/* Machine checks: what the registers of a bank say, and its grade. SDM 3B 16, APM2 9. */
#pragma once

#include <margay/percpu.h>

#define MCG_CAP_CTL_P BIT(8)
#define MCG_CAP_SER_P BIT(24)	/* Intel: software error recovery */
#define MCG_STATUS_RIPV BIT(0)	/* the interrupted code can continue */
#define MCG_STATUS_EIPV BIT(1)	/* the error belongs to the interrupted code */

#define MC_VAL BIT(63)
#define MC_OVER BIT(62)		/* another error was lost */
#define MC_UC BIT(61)
#define MC_EN BIT(60)
#define MC_MISCV BIT(59)
#define MC_ADDRV BIT(58)
#define MC_PCC BIT(57)		/* the CPU's state is corrupt */
#define MC_S BIT(56)		/* Intel: signalled by an exception */
#define MC_AR BIT(55)		/* Intel: action required; AMD: TCC */
#define MC_TCC BIT(55)		/* AMD: the interrupted code's state is corrupt */
#define MC_DEFERRED BIT(44)	/* AMD: uncorrected, not consumed yet */
#define MC_POISON BIT(43)	/* AMD: poisoned data was consumed; address is a physical one */

struct mce_bank {
	u32 bank;
	u64 status, addr, misc;
};

/* What the CPU can recover from. */
struct mce_caps {
	bool intel;		/* bank registers have Intel's meaning */
	bool recovery;		/* Intel: MCG_CAP.SER_P; AMD: SUCCOR */
	bool overflow_recovery;	/* AMD */
};

enum mce_grade {
	MCE_NONE,	/* no error */
	MCE_CORRECTED,
	MCE_LATENT,	/* uncorrected memory that nobody has consumed: its owner need not know */
	MCE_OPTIONAL,	/* uncorrected memory that nobody has consumed: its owner ends */
	MCE_REQUIRED,	/* the interrupted code consumed bad data and cannot continue */
	MCE_FATAL,
};

enum mce_grade mce_grade(const struct mce_bank *b, const struct mce_caps *caps);
/* Returns whether b's address is that of a page of memory. */
bool mce_has_page(const struct mce_bank *b, const struct mce_caps *caps);

void mce_init_cpu(void);
/*
 * Handles and clears the errors in this CPU's banks: those that an exception signals only after it
 * (cpu->mce_signalled). Called from the scheduler's loop.
 */
void mce_report(void);
/* Polls this CPU's banks from now on. Called when its timers work. */
void mce_start_polling(void);
struct trap_frame;
void mce_trap(struct trap_frame *f);	/* #MC in Margay */
