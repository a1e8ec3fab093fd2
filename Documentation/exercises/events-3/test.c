/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

int main(void)
{
	static uint32_t words[4096];

	for (int round = 0; round < 2000; round++) {
		uint32_t ports[64], wanted[64], n = chance() % 64, nr = 0, head, port;

		memset(words, 0, sizeof(words));
		for (uint32_t i = 0; i < n; i++) {
			do
				ports[i] = 1 + (uint32_t)chance() % 4095;
			while (words[ports[i]]);
			words[ports[i]] = LINKED | (chance() % 4 ? PENDING : 0) |
					  (chance() % 4 ? 0 : MASKED);
			if ((words[ports[i]] & (PENDING | MASKED)) == PENDING)
				wanted[nr++] = ports[i];
		}
		for (uint32_t i = 0; i + 1 < n; i++)
			words[ports[i]] |= ports[i + 1];
		head = n ? ports[0] : 0;
		for (uint32_t i = 0; i < nr; i++) {
			port = fifo_take(words, &head);
			EXPECT(port == wanted[i], "port %u comes, not %u", wanted[i], port);
			EXPECT(!(words[port] & PENDING), "port %u is still pending", port);
		}
		port = fifo_take(words, &head);
		EXPECT(!port && !head, "the queue is empty, but %u comes, and the head is %u", port,
		       head);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t word = words[ports[i]];

			EXPECT(!(word & (LINKED | LINK)), "port %u is still linked", ports[i]);
			EXPECT(!(word & MASKED) || i >= n || !(word & PENDING) ||
				       word == (PENDING | MASKED),
			       "the masked port %u has changed", ports[i]);
		}
	}
	return 0;
}
