/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

static long find(const uint32_t *words, uint32_t n, uint32_t type)
{
	uint8_t *info = malloc(n ? n : 1);	/* no byte more: the sanitizer watches */
	const uint8_t *tag;
	long at;

	memcpy(info, words, n);
	tag = find_tag(info, n, type);
	at = tag ? tag - info : -1;
	free(info);
	return at;
}

int main(void)
{
	uint32_t good[] = { 48, 0, 4, 13, 1, 0xff000000, 6, 16, 7, 7, 0, 8 }, wild[16];

	EXPECT(find(good, 48, 4) == 8, "the first tag is at 8");
	EXPECT(find(good, 48, 6) == 24, "the second tag is at 24, as tags are aligned");
	EXPECT(find(good, 48, 0) == 40, "the end is a tag, too");
	EXPECT(find(good, 48, 5) == -1, "there is no tag 5");
	good[0] = 30;
	EXPECT(find(good, 48, 6) == -1, "a tag beyond the total size is none");
	good[0] = ~0U;
	EXPECT(find(good, 32, 6) == -1, "a tag beyond the room is none");
	good[3] = 0;
	EXPECT(find(good, 48, 6) == -1, "a size below 8 leads nowhere");
	good[3] = ~0U - 3;
	EXPECT(find(good, 48, 6) == -1, "a size near 4 GiB leads nowhere");
	for (unsigned n = 0; n < 8; n++)
		EXPECT(find(good, n, 4) == -1, "%u bytes hold no tag", n);
	for (int round = 0; round < 100000; round++) {
		uint32_t n = chance() % sizeof(wild);

		for (unsigned i = 0; i < 16; i++)
			wild[i] = chance() % 8 ? chance() % 40 : chance();
		find(wild, n, chance() % 8 + 1);
	}
	return 0;
}
