/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stdint.h>

#define STATUS 0x06
#define STATUS_CAPS (1u << 4)
#define FIRST 0x34
#define LOWEST 0x40u
#define MOST ((256 - LOWEST) / 4)

static unsigned int find_cap(const uint8_t config[256], uint8_t id, unsigned int size)
{
	unsigned int at = config[STATUS] & STATUS_CAPS ? config[FIRST] & ~3u : 0;

	for (unsigned int n = 0; n < MOST && at >= LOWEST; n++) {
		if (config[at] == id && at + size <= 256)
			return at;
		at = config[at + 1] & ~3u;
	}
	return 0;
}
