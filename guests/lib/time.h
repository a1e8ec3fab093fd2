/* SPDX-License-Identifier: BSD-2-Clause */
/* Time since the hypervisor started, from the pvclock record of the calling vCPU. */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include "hypercall.h"

uint64_t now_ns(void);
uint64_t pvclock_ns(const struct vcpu_time_info *t);
uint64_t tsc_khz(void);

/* Spin for at least ns nanoseconds. */
void delay_ns(uint64_t ns);

/* Spin until the condition holds; false if it did not within ns nanoseconds. */
#define WAIT_FOR(cond, ns) ({						\
	uint64_t end_ = now_ns() + (ns);				\
	bool ok_;							\
	while (!(ok_ = (cond)) && now_ns() < end_)			\
		cpu_pause();						\
	ok_ || (cond); })

/* One-shot timer of the calling vCPU (VIRQ_TIMER), at an absolute time. */
long singleshot_timer(uint64_t when_ns, uint32_t flags);

#endif
