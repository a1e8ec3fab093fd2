/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

#define PER_MS 25	/* pages that the network sends */
#define PAGES 65536	/* of each guest */
#define MOST_ROUNDS 60

/*
 * A guest that writes `rate` pages in a millisecond, among `set` pages, by turns. Sets how many pages were sent before the stop,
 * and how many milliseconds that takes.
 */
static void migrate(uint64_t rate, uint64_t set, unsigned *rounds, uint64_t *sent,
		    uint64_t *stop_ms)
{
	static uint32_t domain;
	uint64_t pages = PAGES, dirty;
	enum migrate_how how = MIGRATE_GO_ON;

	domain++;
	*sent = 0;
	for (*rounds = 0; how != MIGRATE_STOP; pages = dirty) {
		struct migrate_round r = { domain, ++*rounds, PAGES, 0, pages * 1000000 / PER_MS };

		*sent += pages;
		dirty = pages * rate / PER_MS;
		r.dirty = dirty = dirty < set ? dirty : set;
		how = round_of(&r);
		EXPECT(how == MIGRATE_GO_ON || how == MIGRATE_STOP,
		       "round %u: it is yours to decide", *rounds);
		EXPECT(*rounds < MOST_ROUNDS,
		       "a guest with %lu pages written in a millisecond of %lu never stops", rate,
		       set);
	}
	*sent += pages;
	*stop_ms = pages * rate / PER_MS / PER_MS;
	if (*stop_ms > set / PER_MS)
		*stop_ms = set / PER_MS;
}

int main(void)
{
	uint64_t sent, ms;
	unsigned rounds;

	migrate(0, 0, &rounds, &sent, &ms);
	EXPECT(rounds == 1, "an idle guest takes %u rounds", rounds);
	/* It writes the same pages all the time, faster than the network: no round gets shorter. */
	migrate(100, 10000, &rounds, &sent, &ms);
	EXPECT(rounds <= 3,
	       "a guest that writes the same 10,000 pages all the time takes %u rounds", rounds);
	migrate(100, PAGES, &rounds, &sent, &ms);
	EXPECT(sent <= 3 * PAGES,
	       "%lu pages are sent of a guest that writes faster than the network, and has %u",
	       sent, PAGES);
	/* Each round has 0.2 to 0.8 of the one before. */
	for (uint64_t rate = 5; rate <= 20; rate++) {
		migrate(rate, PAGES, &rounds, &sent, &ms);
		EXPECT(ms <= 3,
		       "a guest that writes %lu pages in a millisecond stops for %lu ms: its rounds got shorter",
		       rate, ms);
		EXPECT(sent <= 6 * PAGES, "%lu pages are sent of a guest with %u", sent, PAGES);
	}
	/* One guest after the other: what was of the first does not count for the second. */
	migrate(100, 60, &rounds, &sent, &ms);
	migrate(20, PAGES, &rounds, &sent, &ms);
	EXPECT(ms <= 3, "a guest stops for %lu ms after another one was migrated", ms);
	return 0;
}
