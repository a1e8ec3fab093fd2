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
	(void)weight, (void)cap, (void)total;
	for (int i = 0; i < n; i++)
		share[i] = 0;
}
