/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures how long a vCPU waits while another runs on its CPU. For 2 vCPUs on 1 CPU. */
#include "guest.h"

#define RUN_TIME NS_PER_S
#define GAPS 64

static volatile uint64_t seen[2];	/* each vCPU's last reading of the clock, ns */
static uint64_t gap[2];			/* a typical gap of each vCPU, ns */

/* Returns the median: the emulator may cause the largest gap. */
static uint64_t middle(uint64_t *list, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++)
		for (unsigned int j = i; j && list[j] < list[j - 1]; j--) {
			uint64_t t = list[j];

			list[j] = list[j - 1];
			list[j - 1] = t;
		}
	return n ? list[n / 2] : 0;
}

/* A gap is the other vCPU's turn if that has read the clock since; else it is just a delay. */
static void spin(void)
{
	unsigned int me = this_cpu()->id, n = 0;
	uint64_t last = now_ns(), end = last + RUN_TIME, list[GAPS];

	while (last < end && n < GAPS) {
		uint64_t t = now_ns();

		if (seen[!me] > last)
			list[n++] = t - last;
		seen[me] = last = t;
	}
	gap[me] = middle(list, n);
}

int main(void)
{
	uint64_t largest;

	cpu_start_all(spin);
	spin();
	CHECK(WAIT_FOR(cpus_done() == cpu_count() - 1, 5 * NS_PER_S), "the other vCPU is not done");
	largest = (gap[0] > gap[1] ? gap[0] : gap[1]) / NS_PER_US;
	printf("slice %lu us\n", largest);
	pass();
}
