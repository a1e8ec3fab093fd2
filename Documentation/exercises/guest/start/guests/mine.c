/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: a guest that sleeps. SCHEDOP_poll (xen/sched.h) without ports returns when its time is there. */
#include "console.h"
#include "hypercall.h"
#include "test.h"
#include "time.h"

int main(void)
{
	uint64_t start = now_ns(), slept;

	/* Sleep for 100 ms here, with a hypercall. */
	slept = (now_ns() - start) / NS_PER_MS;
	printf("slept %lu ms\n", slept);
	pass();
}
