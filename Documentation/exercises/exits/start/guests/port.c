/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: prints through I/O port 0xe9, which Margay lacks until you add it. */
#include "console.h"
#include "test.h"
#include "x86.h"

#define PORT_PRINT 0xe9

int main(void)
{
	for (const char *s = "one byte at a time\n"; *s; s++)
		asm volatile("outb %0, %1" ::"a"(*s), "Nd"((uint16_t)PORT_PRINT));
	pass();
}
