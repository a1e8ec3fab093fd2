/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader's first guest: prints the uptime and measures a sleep by the guest's clock. */
#include "console.h"
#include "hypercall.h"
#include "test.h"
#include "time.h"

#define NAP (100 * NS_PER_MS)

/* No port to wait for: only the timeout ends this poll. */
static void sleep_until(uint64_t ns)
{
	struct sched_poll poll = { .timeout = ns };

	while (now_ns() < ns)
		CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
}

int main(void)
{
	uint64_t start = now_ns(), up = start / NS_PER_MS, slept;

	printf("up since %lu.%03lu s\n", up / 1000, up % 1000);
	sleep_until(start + NAP);
	slept = (now_ns() - start) / NS_PER_MS;
	printf("slept %lu ms\n", slept);
	pass();
}
