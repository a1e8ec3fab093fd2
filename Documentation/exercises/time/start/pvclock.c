/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: compute system time in ns from a pvclock record and a TSC value not before its stamp.
 */
#include <stdint.h>

struct pvclock {
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
};

static uint64_t pvclock_ns(const struct pvclock *t, uint64_t tsc)
{
	/* Mind products of more than 64 bits and negative shifts. */
	return t->system_time + (tsc - t->tsc_timestamp);
}
