/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: all ports, in and out, and string I/O with unmapped buffers. */
#include "guest.h"

static void string_io(uintptr_t where, uint64_t count)
{
	FAULT_OF({
		uintptr_t p = where;
		uint64_t n = count;

		asm volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(0x80) : "memory");
	});
	FAULT_OF({
		uintptr_t p = where;
		uint64_t n = count;

		asm volatile("rep insl" : "+D"(p), "+c"(n) : "d"(0x80) : "memory");
	});
	FAULT_OF({
		uintptr_t p = where;
		uint64_t n = count;

		asm volatile("std; rep insw; cld" : "+D"(p), "+c"(n) : "d"(0x80) : "memory");
	});
	asm volatile("cld");
}

/* Returns whether a port can reset the guest: the keyboard controller's and the chipset's. */
static bool resets(uint32_t port)
{
	return (port >= 0x60 && port <= 0x64) || port == 0x92 || (port >= 0xcf6 && port <= 0xcf9);
}

int main(void)
{
	static uint8_t buffer[2 * PAGE_SIZE] PAGE_ALIGNED;

	canary_init(16);
	for (uint32_t port = 0; port < 0x10000; port++) {
		if (resets(port))
			continue;
		outb((uint16_t)port, (uint8_t)random_u64());
		(void)inb((uint16_t)port);
		if (port % 16 == 0) {
			outl((uint16_t)port, (uint32_t)random_u64());
			(void)inl((uint16_t)port);
			outw((uint16_t)port, (uint16_t)random_u64());
			(void)inw((uint16_t)port);
		}
	}
	(void)inl(0xffff);
	outl(0xfffd, 1);
	canary_check("port I/O");

	bad_pointers_init();
	for (volatile unsigned int i = 0; i + 1 < nr_bad_pointers; i = i + 1) {
		string_io(bad_pointers[i], 4);
		string_io(bad_pointers[i], ~0ul);
	}
	string_io((uintptr_t)buffer + PAGE_SIZE - 2, 16);
	string_io((uintptr_t)buffer + PAGE_SIZE, 0);
	canary_check("string I/O");
	pass();
}
