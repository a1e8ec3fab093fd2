/* SPDX-License-Identifier: BSD-2-Clause */
/* Grace periods. common/domain/quiesce.c */
#pragma once

#include <margay/percpu.h>

/*
 * Starts a grace period and returns its number. Once it is over, no CPU uses an object that it
 * looked up before, nor an old translation of Margay's own pages. Any context below LOCK_RUNQ.
 */
u64 quiesce_start(void);
/* Returns whether the period is over. Never waits: the caller retries from the scheduler's loop. */
bool quiesce_over(u64 period);
/*
 * Acknowledges the grace period (CPU_WORK_QUIESCE). Called in the scheduler's loop, where the CPU
 * holds no objects.
 */
void quiesce_here(void);
/*
 * Raises work that a change for all CPUs needs. A CPU that is outside does it when it comes back. Any
 * context.
 */
void quiesce_raise(struct cpu *c, u32 work);
/*
 * An isolated CPU calls quiesce_outside() in the scheduler's loop before it does its last pending
 * work and enters its guest, and quiesce_inside() before it does anything else for Margay. Grace
 * periods that begin in between do not wait for it.
 */
void quiesce_outside(void);
void quiesce_inside(void);
