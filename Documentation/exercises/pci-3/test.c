/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static uint8_t config[256];

static void expect(uint8_t id, unsigned int size, unsigned int wanted)
{
	unsigned int got = find_cap(config, id, size);

	EXPECT(got == wanted, "capability %#x of %u bytes is at %#x, not at %#x", id, size, wanted,
	       got);
}

static void put(unsigned int at, uint8_t id, uint8_t next)
{
	config[at] = id;
	config[at + 1] = next;
}

int main(void)
{
	config[0x34] = 0x43;		/* reserved bits are set */
	put(0x40, 0x01, 0x52);
	put(0x50, 0x05, 0xfd);
	put(0xfc, 0x11, 0x60);
	put(0x60, 0x11, 0x80);
	put(0x80, 0x10, 0);
	expect(0x01, 8, 0);		/* there is no list */
	config[0x06] = 0x10;
	expect(0x01, 8, 0x40);
	expect(0x05, 24, 0x50);
	expect(0x11, 4, 0xfc);
	expect(0x11, 12, 0x60);		/* the first does not fit */
	expect(0x10, 0x80, 0x80);
	expect(0x10, 0x81, 0);
	expect(0x77, 4, 0);
	put(0x80, 0x10, 0x50);		/* a loop */
	expect(0x10, 20, 0x80);
	expect(0x77, 4, 0);
	put(0x80, 0x10, 0x80);		/* a shorter one */
	expect(0x77, 4, 0);
	put(0x80, 0x10, 0x3c);		/* below the first place */
	put(0x3c, 0x77, 0);
	expect(0x77, 4, 0);
	config[0x34] = 0x3c;
	expect(0x77, 4, 0);
	/* The longest list, and then any bytes. */
	config[0x34] = 0x40;
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		put(at, 0x05, (uint8_t)(at + 4));
	put(0xfc, 0x77, 0);
	expect(0x77, 4, 0xfc);
	for (unsigned int i = 0; i < 100000; i++) {
		config[chance() % 256] = (uint8_t)chance();
		config[0x06] |= 0x10;
		find_cap(config, (uint8_t)chance(), chance() % 64);
	}
	return 0;
}
