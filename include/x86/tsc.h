/* SPDX-License-Identifier: BSD-2-Clause */
/* The TSC as the clock. arch/x86/cpu/tsc.c */
#pragma once

#include <margay/percpu.h>

void tsc_init(void);
extern u64 tsc_mul;
#define TSC_SHIFT 28
static inline u64 ns_to_tsc(u64 ns)
{
	return (u64)((unsigned __int128)ns * tsc_mul >> TSC_SHIFT);
}
extern u64 tsc_base; /* TSC at system time 0 */
void tsc_sync_bsp(struct cpu *c);
void tsc_sync_ap(void);
extern u64 tsc_skew_max; /* worst TSC skew between CPUs, in ticks; 0: none */
void tsc_pvclock_scale(u32 *mul, s8 *shift);
