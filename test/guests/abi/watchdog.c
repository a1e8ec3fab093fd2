/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: SCHEDOP_watchdog: ids and limits; a disarmed watchdog does not fire. */
#include "guest.h"

/* Xen returns this call's error in 32 bits, zero-extended. */
static int watchdog(uint32_t id, uint32_t seconds)
{
	struct sched_watchdog w = { .id = id, .timeout = seconds };

	return (int)sched_op(SCHEDOP_watchdog, &w);
}

int main(void)
{
	int first = watchdog(0, 30), second = watchdog(0, 1);

	CHECK(first > 0, "first watchdog: %d", first);
	CHECK(second > 0 && second != first, "second watchdog: %d", second);
	CHECK_RET(watchdog(0, 30), -XEN_ENOSPC);
	CHECK_RET(watchdog(99, 30), -XEN_EINVAL);

	/* Re-armed in time, then disarmed: nothing happens. */
	for (int i = 0; i < 4; i++) {
		delay_ns(500 * NS_PER_MS);
		CHECK_RET(watchdog((uint32_t)second, 1), 0);
	}
	CHECK_RET(watchdog((uint32_t)second, 0), 0);
	CHECK_RET(watchdog((uint32_t)second, 0), -XEN_EINVAL);
	delay_ns(1500 * NS_PER_MS);
	CHECK_RET(watchdog((uint32_t)first, 0), 0);
	second = watchdog(0, 30);
	CHECK(second > 0, "a freed watchdog cannot be had: %d", second);
	CHECK_RET(watchdog((uint32_t)second, 0), 0);
	pass();
}
