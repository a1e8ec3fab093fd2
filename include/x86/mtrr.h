/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory type range registers. SDM 3A 12.11, APM2 7.7. */
#pragma once

#include <margay/boot.h>
#include <margay/lib.h>

enum { MEMTYPE_UC = 0, MEMTYPE_WC = 1, MEMTYPE_WT = 4, MEMTYPE_WP = 5, MEMTYPE_WB = 6 };

#define MSR_MTRR_CAP 0xfeU
#define MSR_MTRR_DEF 0x2ffU
#define MTRR_FIXED 11U		/* registers, each with the types of eight ranges */
#define MTRR_MAX_VARIABLE 32U
#define MTRR_DEF_FIXED BIT(10)
#define MTRR_DEF_ON BIT(11)
#define MTRR_MASK_VALID BIT(11)

struct mtrrs {
	/* The fixed registers, lowest address first; then pairs of base and mask. */
	u64 regs[MTRR_FIXED + 2 * MTRR_MAX_VARIABLE];
	unsigned nr_regs;	/* 0: memory is write-back everywhere */
	u64 def;		/* IA32_MTRR_DEF_TYPE */
	u64 wb_top;		/* AMD: write-back by default from 4 GiB up to this address */
	u8 phys_bits;
};

extern struct mtrrs mtrrs;	/* of the boot CPU */

/* Returns the type at an address, and cuts *len (not 0) to the part that has this type. */
u8 mtrr_type(const struct mtrrs *m, paddr_t at, u64 *len);
/*
 * Finds the RAM that is not write-back. Warns of it, and writes its ranges, at most max, to out.
 * Returns their number.
 */
unsigned mtrr_uncached_ram(const struct mem_range *mem, unsigned n, struct mem_range *out,
			   unsigned max);
/* Reads the boot CPU's. Ignores them where they do not make the memory at `image` write-back. */
void mtrr_init(paddr_t image);
/* Gives this CPU the boot CPU's. */
void mtrr_init_cpu(void);
