/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the victim of a pair (see hostile_a, pci_hostile). For some seconds it checks that its
 * memory, its clock, its channels and its grants do not change, and with pause_ms=N that its timer
 * wakes it in time for each round.
 */
#include "guest.h"

#define CHANNELS	16u
#define REF		FIRST_GRANT
#define FRIENDS		(FIRST_GRANT + 1)	/* read-only, for the domain friend=N */
#define NOBODY		0x7123

#define LATE_MS		250u

static evtchn_port_t open[CHANNELS], loop[2];

static void check_channels(void)
{
	struct evtchn_status st;

	for (unsigned int i = 0; i < CHANNELS; i++) {
		CHECK_RET(evtchn_status(open[i], &st), 0);
		CHECK(st.status == EVTCHNSTAT_unbound, "port %u has status %u", open[i], st.status);
		CHECK(!evtchn_pending(open[i]), "somebody sent on port %u", open[i]);
	}
	CHECK(!evtchn_pending(loop[1]), "somebody sent on port %u", loop[1]);
	CHECK_RET(evtchn_send(loop[0]), 0);
	CHECK(evtchn_clear(loop[1]), "an event of our own was lost");
}

static void pause(uint64_t ns)
{
	uint64_t due = now_ns() + ns, now;

	block_until(due);
	now = now_ns();
	CHECK(now - due < LATE_MS * NS_PER_MS, "its timer is %lu ms late",
	      (unsigned long)((now - due) / NS_PER_MS));
}

int main(void)
{
	uint64_t end = now_ns() + cmdline_number("seconds", 10) * NS_PER_S, last = 0, now;
	uint64_t pause_ns = cmdline_number("pause_ms", 0) * NS_PER_MS;
	domid_t friend = (domid_t)cmdline_number("friend", 0);
	uint8_t *page = page_alloc(1);
	uint64_t *shown = page_alloc(1);
	unsigned int rounds = 0;

	canary_init((unsigned int)cmdline_number("pages", 512));
	grants_init();
	for (unsigned int i = 0; i < CHANNELS; i++)
		open[i] = (evtchn_port_t)evtchn_alloc_unbound(NOBODY);
	evtchn_to_self(&loop[0], &loop[1]);
	grant(REF, NOBODY, page, 0);
	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		shown[i] = i;
	if (friend)
		grant(FRIENDS, friend, shown, GTF_readonly);
	do {
		now = now_ns();
		CHECK(now >= last, "the clock went back by %lu ns", last - now);
		last = now;
		check_channels();
		CHECK(!grant_in_use(REF), "a grant to nobody is in use: flags %x",
		      grant_table[REF].flags);
		canary_check("a while");
		for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
			CHECK(READ_ONCE(shown[i]) == i, "a page granted read-only has changed");
		if (pause_ns)
			pause(pause_ns);
		else
			sched_op(SCHEDOP_yield, NULL);
		if (!rounds++)
			printf("watching\n");	/* and all that a round does has been done */
		cpu_pause();	/* QEMU by -icount goes to the other CPU only then */
	} while (now < end);
	printf("%u rounds undisturbed\n", rounds);
	pass();
}
