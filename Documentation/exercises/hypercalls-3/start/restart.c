/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: a hypercall that a guest may call with a million requests. Do at most `budget` of them (at least one), then
 * return RESTART with the progress in the arguments: the guest's vCPU calls again with the same arguments.
 */
#include <stdint.h>

#define RESTART 1L
#define EINVAL 22

struct args {
	const uint32_t *requests;	/* each is valid if it is below 1000 */
	uint32_t nr;			/* of requests, from the guest */
	uint32_t done; /* how many are done; yours, but the guest can write it between two calls */
};

void serve(uint32_t request);		/* does one */

/* Returns 0 when all are done, RESTART, or -EINVAL for an invalid request, of which `done` is then the index. */
static long do_requests(struct args *a, uint32_t budget)
{
	(void)a, (void)budget;
	return 0;
}
