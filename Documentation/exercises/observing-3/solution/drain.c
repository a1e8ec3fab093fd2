/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: read a trace ring that a writer overwrites meanwhile. Record number n is at ring[n % size]; the writer
 * writes a record, then the count of all records so far.
 */
#include <stdint.h>

struct record {
	uint64_t number;	/* what a real record has instead: time, kind, ... */
};

struct ring {
	const struct record *records;
	uint64_t size;
	uint64_t (*count)(void); /* reads the writer's count; it can have grown at each reading */
};

/*
 * Copies the records from *next on to `to`, which has room for size records, in order, and moves *next behind the last
 * one. A record may be kept only if the writer cannot have overwritten it during the copy, where it may always be
 * writing one record more than it has counted. *lost is how many records since the old *next are not kept. Returns how
 * many are.
 */
static uint64_t drain(const struct ring *r, uint64_t *next, struct record *to, uint64_t *lost)
{
	uint64_t end = r->count(), first = *next, kept = 0, safe;

	if (end > r->size && first < end - r->size)
		first = end - r->size;
	for (uint64_t n = first; n < end; n++)
		to[n - first] = r->records[n % r->size];
	safe = r->count() + 1;
	safe = safe > r->size ? safe - r->size : 0;
	if (safe > end)
		safe = end;
	for (uint64_t n = first > safe ? first : safe; n < end; n++)
		to[kept++] = to[n - first];
	*lost = end - *next - kept;
	*next = end;
	return kept;
}
