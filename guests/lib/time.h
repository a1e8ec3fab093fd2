/* SPDX-License-Identifier: BSD-2-Clause */
/* Time since the hypervisor started, from the calling vCPU's pvclock record. */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include "hypercall.h"

uint64_t now_ns(void);
uint64_t pvclock_ns(const struct vcpu_time_info *t);
uint64_t tsc_khz(void);

/* Spins for at least ns nanoseconds. */
void delay_ns(uint64_t ns);

/* Blocks the vCPU until an absolute time. Interrupts and events do not end it. */
void block_until(uint64_t when_ns);

/* Spins until the condition holds. Returns false if it does not within ns nanoseconds. */
#define WAIT_FOR(cond, ns) ({						\
	uint64_t end_ = now_ns() + (ns);				\
	bool ok_;							\
	while (!(ok_ = (cond)) && now_ns() < end_)			\
		cpu_pause();						\
	ok_ || (cond); })

/* Arms the calling vCPU's one-shot timer (VIRQ_TIMER) at an absolute time. */
long singleshot_timer(uint64_t when_ns, uint32_t flags);

#endif
