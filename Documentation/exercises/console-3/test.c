/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static volatile struct ring *ring;

static void put(uint32_t at, const char *text)
{
	for (; *text; text++, at++)
		ring->out[at % OUT_SIZE] = *text;
}

static void expect(uint32_t prod, uint32_t *cons, unsigned room, const char *wanted)
{
	char *to = malloc(room ? room : 1);
	uint32_t before = *cons;
	unsigned n;

	ring->out_prod = prod;
	ring->out_cons = (uint32_t)chance();
	n = ring_read(ring, cons, to, room);
	EXPECT(n == strlen(wanted) && !memcmp(to, wanted, n),
	       "indices %#x, %#x, room for %u: '%s' comes, not '%.*s'", before, prod, room, wanted,
	       (int)n, to);
	EXPECT(ring->out_cons == *cons, "out_cons is not written");
	free(to);
}

int main(void)
{
	uint32_t cons = 0;
	char all[OUT_SIZE + 1];

	ring = calloc(1, sizeof(*ring));
	put(0, "hello world");
	expect(0, &cons, 10, "");
	expect(5, &cons, 10, "hello");
	expect(11, &cons, 2, " w");
	expect(11, &cons, 0, "");
	expect(11, &cons, 10, "orld");
	cons = 2046;
	put(2046, "around");
	expect(2052, &cons, 10, "around");
	cons = 0xfffffffd;
	put(0xfffffffd, "zero");
	expect(1, &cons, 10, "zero");
	EXPECT(cons == 1, "the index goes on at 0 after 2^32");
	memset(all, 'x', OUT_SIZE);
	all[OUT_SIZE] = 0;
	put(1, all);
	expect(1 + OUT_SIZE, &cons, OUT_SIZE, all);
	expect(cons + OUT_SIZE + 1, &cons, 100, "");
	EXPECT(cons == 2 * OUT_SIZE + 2, "invalid output is not dropped");
	expect(cons - 1, &cons, 100, "");
	for (int round = 0; round < 100000; round++) {
		char to[64];

		ring->out_prod = chance() % 2 ? cons + (uint32_t)chance() % 3000 :
						(uint32_t)chance();
		EXPECT(ring_read(ring, &cons, to, chance() % 65) <= 64,
		       "more characters than room");
	}
	free((void *)ring);
	return 0;
}
