/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The environment of the virtual CPU's code in unit tests: a domain of four vCPUs, a clock that the
 * test sets, timers that the clock fires, and a scheduler and a back-end that record their calls.
 */
#ifndef TEST_UNIT_MOCK_VCPU_H
#define TEST_UNIT_MOCK_VCPU_H

#include "host.h"

#include <margay/arch.h>
#include <margay/errno.h>
#include <x86/cpuid_policy.h>
#include <x86/exit.h>
#include <x86/hvm.h>
#include <x86/vlapic.h>

#define MOCK_VCPUS 4

struct mock_vcpu {
	struct vcpu v;
	struct vcpu_info info;
	struct vcpu_mode mode;
	unsigned int woken, downs, ups, resets, time_updates, flushes, shadow_drops;
	int sipi_vector; /* of the last start; -1 if there was none */
};

extern struct domain mock_domain;
extern struct mock_vcpu mock_vcpus[MOCK_VCPUS];
extern stime_t mock_now;  /* ns; the TSC counts the same */
extern int mock_shutdown; /* SHUTDOWN_*, or -1 if there was none */
extern unsigned int mock_crashes, mock_timers_fired;
extern unsigned int mock_polls_kept;	/* calls of timers_keep_poll() */

/* Resets everything, with local APICs on request. */
void mock_vcpu_init(bool lapic);
void mock_vcpu_free(void);
/* Advances the clock and fires the due timers in order. */
void mock_time_to(stime_t t);

static inline struct vcpu *vcpu_nr(unsigned int i)
{
	return &mock_vcpus[i].v;
}

#endif
