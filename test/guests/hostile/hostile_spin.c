/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that spins for ever with interrupts off. There is no PASS: another guest on the same CPU goes on,
 * or not.
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
