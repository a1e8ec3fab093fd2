/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static void divide(int n, uint32_t total, const uint32_t *weight, const uint32_t *cap,
		   uint32_t *share)
{
	uint64_t sum = 0, room = 0;
	bool all = true;

	memset(share, 255, (size_t)n * 4);
	shares(weight, cap, n, total, share);
	for (int i = 0; i < n; i++) {
		EXPECT(!cap[i] || share[i] <= cap[i], "a guest has %u, and its cap is %u", share[i],
		       cap[i]);
		EXPECT(share[i] <= total, "a guest has %u of %u", share[i], total);
		sum += share[i];
		room += cap[i];
		all = all && cap[i];
	}
	EXPECT(sum <= total, "%lu are divided, but there are %u", sum, total);
	EXPECT(sum + (unsigned)n >= (all && room < total ? room : total), "%lu of %u are divided",
	       sum, total);
	for (int i = 0; i < n;
	     i++) /* who is below its cap has no less by its weight than another */
		for (int j = 0; j < n; j++) {
			uint64_t mine = (uint64_t)(share[i] + 1) * weight[j];

			EXPECT((cap[i] && share[i] + 1 >= cap[i]) ||
				       mine >= (uint64_t)share[j] * weight[i],
			       "guest %d of weight %u has %u, and guest %d of weight %u has %u", i,
			       weight[i], share[i], j, weight[j], share[j]);
		}
}

int main(void)
{
	uint32_t weight[64] = { 256, 512, 256 }, cap[64] = { 0 }, share[64];

	divide(3, 1000, weight, cap, share);
	EXPECT(share[0] == 250 && share[1] == 500 && share[2] == 250,
	       "weights 1:2:1 of 1000 are 250, 500, 250");
	cap[1] = 200;
	divide(3, 1000, weight, cap, share);
	EXPECT(share[0] == 400 && share[1] == 200 && share[2] == 400,
	       "with a cap of 200: 400, 200, 400");
	for (int round = 0; round < 20000; round++) {
		int n = 1 + (int)(chance() % 64);

		for (int i = 0; i < n; i++) {
			weight[i] = 1 + (uint32_t)(chance() % (chance() % 2 ? 65535 : 10));
			cap[i] = chance() % 2 ? 0 : 1 + (uint32_t)(chance() % 100000);
		}
		divide(n, (uint32_t)(chance() % 1000001), weight, cap, share);
	}
	return 0;
}
