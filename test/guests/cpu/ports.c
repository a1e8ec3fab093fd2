/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: ports of absent devices read as 0, so that no probe or calibration loop of a kernel
 * waits for them. Writes are dropped.
 */
#include "guest.h"

int main(void)
{
	static const uint16_t legacy[] = {
		0x20, 0x21, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0xa0, 0xa1, 0x2f8,
		0x3d4, 0x3d5, 0x3f8, 0x3fd, 0x510, 0x511,
	};
	static uint8_t buffer[64];
	uint8_t *p = buffer;
	size_t n = sizeof(buffer);

	for (unsigned int i = 0; i < ARRAY_SIZE(legacy); i++) {
		uint16_t port = legacy[i];

		outb(port, 0x55);
		outw(port, 0x5555);
		outl(port, 0x55555555);
		CHECK(inb(port) == 0, "port %x answers %x", port, inb(port));
		CHECK(inw(port) == 0, "port %x answers %x", port, inw(port));
		CHECK(inl(port) == 0, "port %x answers %x", port, inl(port));
	}
	/* A narrow read preserves the rest of RAX; a 32-bit read clears its upper half. */
	{
		uint64_t rax = 0x1122334455667788;

		asm volatile("inb $0x61, %%al" : "+a"(rax));
		CHECK(rax == 0x1122334455667700, "RAX %lx after INB", rax);
		asm volatile("inl $0x61, %%eax" : "+a"(rax));
		CHECK(rax == 0, "RAX %lx after INL", rax);
	}
	memset(buffer, 0xaa, sizeof(buffer));
	asm volatile("rep insb" : "+D"(p), "+c"(n) : "d"(0x61) : "memory");
	CHECK(!n && p == buffer + sizeof(buffer), "REP INSB stopped with %lu left", n);
	for (unsigned int i = 0; i < sizeof(buffer); i++)
		CHECK(!buffer[i], "REP INSB wrote %x", buffer[i]);
	pass();
}
