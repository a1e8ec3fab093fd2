/* SPDX-License-Identifier: BSD-2-Clause */
/* Returns system time in ns from a pvclock record and a TSC value not before its time stamp. */
#include <stdint.h>

struct pvclock {
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
};

static uint64_t pvclock_ns(const struct pvclock *t, uint64_t tsc)
{
	uint64_t delta = tsc - t->tsc_timestamp;

	delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
	return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}
