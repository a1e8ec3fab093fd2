/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: divide CPU time by weights and caps, as the module credit does. Each guest gets time in proportion to its
 * weight, but none more than its cap (0: no cap); what capped guests leave is divided among the others in the same way.
 */
#include <stdint.h>

#define MAX_GUESTS 64

/*
 * Divides `total` thousandths of a CPU (up to 10^6) among n guests with weights from 1 to 65535 and caps in the same
 * thousandths. Rounded down; so up to n thousandths may be left over.
 */
static void shares(const uint32_t *weight, const uint32_t *cap, int n, uint32_t total,
		   uint32_t *share)
{
	char fixed[MAX_GUESTS] = { 0 };
	uint64_t rest = total, weights;
	int again;

	do {
		weights = 0;
		for (int i = 0; i < n; i++)
			weights += fixed[i] ? 0 : weight[i];
		again = 0;
		for (int i = 0; i < n && weights; i++)
			if (!fixed[i] && cap[i] && rest * weight[i] > cap[i] * weights) {
				fixed[i] = 1;
				share[i] = cap[i];
				again = 1;
			}
		rest = total;
		for (int i = 0; i < n; i++)
			rest -= fixed[i] ? share[i] : 0;
	} while (again);
	for (int i = 0; i < n; i++)
		if (!fixed[i])
			share[i] = (uint32_t)(rest * weight[i] / weights);
}
