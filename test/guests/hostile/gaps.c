/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the victim of a neighbour on the same CPU. Spins for ms= milliseconds and reads the
 * clock: no gap may exceed most_us= microseconds. The emulator's clock counts instructions.
 */
#include "guest.h"

int main(void)
{
	uint64_t last = now_ns(), end = last + cmdline_number("ms", 3000) * NS_PER_MS;
	uint64_t most = cmdline_number("most_us", 1000) * 1000, longest = 0;

	while (last < end) {
		uint64_t now = now_ns();

		longest = now - last > longest ? now - last : longest;
		last = now;
	}
	printf("the longest gap is %lu ns\n", longest);
	CHECK(longest <= most, "a gap of %lu ns", longest);
	pass();
}
