/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the virtual CPU's code needs around it in unit tests: a domain of four vCPUs, a clock the test
 * turns, timers it fires, a scheduler and a back-end that note what they were asked.
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
	int sipi_vector; /* of the last start, -1 when there was none */
};

extern struct domain mock_domain;
extern struct mock_vcpu mock_vcpus[MOCK_VCPUS];
extern stime_t mock_now;  /* the TSC counts the same nanoseconds */
extern int mock_shutdown; /* SHUTDOWN_*, -1 when there was none */
extern unsigned int mock_crashes, mock_timers_fired;

/* Everything anew; with local APICs if asked for. */
void mock_vcpu_init(bool lapic);
void mock_vcpu_free(void);
/* Turns the clock, fires the timers that are due, in order. */
void mock_time_to(stime_t t);

static inline struct vcpu *vcpu_nr(unsigned int i)
{
	return &mock_vcpus[i].v;
}

#endif
