/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: output for a long time. No console, and no bed's screen, may stand still. */
#include "guest.h"

int main(void)
{
	uint64_t lines = cmdline_number("lines", 2000);

	for (uint64_t i = 0; i < lines; i++)
		printf("line %lu: all %lu lines appear, however slow the consoles are\n", i, lines);
	pass();
}
