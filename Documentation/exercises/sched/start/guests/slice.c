/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: measure how long a vCPU waits while another runs on its CPU. For 2 vCPUs on 1 CPU. */
#include "guest.h"

#define RUN_TIME NS_PER_S

static volatile uint64_t gap[2];	/* how long the other vCPU's turns are, ns */

static void spin(void)
{
	/*
	 * Read the clock until RUN_TIME has passed. A gap between two readings is a turn of the
	 * other vCPU if that vCPU has read the clock in between.
	 */
}

int main(void)
{
	uint64_t largest;

	cpu_start_all(spin);
	spin();
	largest = (gap[0] > gap[1] ? gap[0] : gap[1]) / NS_PER_US;
	printf("slice %lu us\n", largest);
	pass();
}
