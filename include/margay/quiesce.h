/* SPDX-License-Identifier: BSD-2-Clause */
/* Grace periods. common/domain/quiesce.c */
#ifndef MARGAY_QUIESCE_H
#define MARGAY_QUIESCE_H

#include <margay/types.h>

/*
 * Starts a grace period and returns its number. Once it is over, no CPU uses what it looked up before, nor an old
 * translation of Margay's own pages. Any context below LOCK_RUNQ.
 */
u64 quiesce_start(void);
/* Is the period over? Never waits: a caller that is not done comes back later, from the scheduler's loop. */
bool quiesce_over(u64 period);
/* CPU_WORK_QUIESCE: this CPU is in the scheduler's loop and holds nothing. */
void quiesce_here(void);

#endif
