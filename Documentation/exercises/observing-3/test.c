/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

enum { SIZE = 16 };

static struct record records[SIZE];
static uint64_t written, at_reading, burst;

static void writing(uint64_t n)
{
	while (n--) {
		records[written % SIZE].number = written;
		written++;
	}
	records[written % SIZE].number = ~0UL;	/* half of the next one */
}

static uint64_t count(void)
{
	uint64_t now = written;

	if (++at_reading == 1)
		writing(burst);		/* the writer goes on after the first reading */
	return now;
}

int main(void)
{
	const struct ring ring = { records, SIZE, count };

	for (uint64_t before = 0; before < 40; before++)
		for (burst = 0; burst < 40; burst++) {
			uint64_t next = 0, lost = 0, n, end;
			struct record *to = malloc(sizeof(records));

			written = 0;
			writing(before);
			at_reading = 0;
			n = drain(&ring, &next, to, &lost);
			end = before;
			EXPECT(next == end, "after %lu records next is %lu", end, next);
			EXPECT(n + lost == end, "%lu kept and %lu lost, of %lu", n, lost, end);
			for (uint64_t i = 0; i < n; i++)
				EXPECT(to[i].number == end - n + i,
				       "%lu records, then %lu: at %lu is %ld, not %lu", before,
				       burst, i, (long)to[i].number, end - n + i);
			if (burst + 1 <= SIZE)
				EXPECT(n >= (before < SIZE - 1 - burst ? before : SIZE - 1 - burst),
				       "%lu records, then %lu: only %lu are kept", before, burst,
				       n);
			free(to);
		}
	return 0;
}
