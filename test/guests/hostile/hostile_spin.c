/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that spins forever with interrupts off. It never prints PASS: another guest on the same
 * CPU must make progress.
 */
#include "guest.h"

int main(void)
{
	printf("spinning\n");
	console_flush();
	asm volatile("cli");
	for (;;)
		asm volatile("");
}
