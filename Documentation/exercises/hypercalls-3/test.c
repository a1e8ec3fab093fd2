/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static uint32_t served[5000], nr_served, in_call;

void serve(uint32_t request)
{
	EXPECT(nr_served < 5000, "more requests are served than there are");
	served[nr_served++] = request;
	in_call++;
}

static long run(const uint32_t *requests, uint32_t nr, uint32_t budget, uint32_t *done)
{
	struct args a = { requests, nr, 0 };
	long ret;

	nr_served = 0;
	do {
		uint32_t before = nr_served;

		in_call = 0;
		ret = do_requests(&a, budget);
		EXPECT(in_call <= budget, "%u requests in a call, and the budget is %u", in_call,
		       budget);
		EXPECT(ret != RESTART || nr_served > before,
		       "a call without progress asks for a restart");
	} while (ret == RESTART);
	*done = a.done;
	return ret;
}

int main(void)
{
	static uint32_t requests[1000];
	struct args wild = { requests, 10, 11 };
	uint32_t done;

	for (uint32_t i = 0; i < 1000; i++)
		requests[i] = (uint32_t)chance() % 1000;
	for (uint32_t nr = 0; nr <= 1000; nr += 1 + nr / 3)
		for (uint32_t budget = 1; budget < 1200; budget = budget * 2 + 1) {
			EXPECT(run(requests, nr, budget, &done) == 0, "%u valid requests fail", nr);
			EXPECT(nr_served == nr, "%u of %u requests are served", nr_served, nr);
			EXPECT(!memcmp(served, requests, nr * 4), "requests in the wrong order");
		}
	requests[500] = 1000;
	EXPECT(run(requests, 1000, 7, &done) == -EINVAL, "an invalid request is accepted");
	EXPECT(done == 500 && nr_served == 500,
	       "the 500 requests before it are done, and done is its index");
	in_call = 0;
	EXPECT(do_requests(&wild, 5) != RESTART && !in_call, "done beyond nr is not a progress");
	return 0;
}
