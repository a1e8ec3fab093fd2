/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches the exits of domain 1, whose vCPUs have CPUs of their own: there must be none for ms=N
 * milliseconds on end, while the domain does its work. Then the domain says what it has done, by
 * hypercalls, which end the silence. Each second it prints the exits, and the interrupts of the
 * domain's function that Margay took.
 */
#include "guest.h"

#include <public/margay.h>

#define MAX 400u
#define PAUSE_NS NS_PER_MS

static struct margay_op op;
static struct margay_counter got[MAX];

/* Exits by reason: now, and when they were last printed. */
static struct {
	char name[sizeof(got[0].name)];
	uint64_t now, shown;
} reason[MAX];

static void add(const struct margay_counter *c)
{
	unsigned int n = 0;

	while (reason[n].name[0] && strncmp(reason[n].name, c->name, sizeof(c->name)))
		n++;
	memcpy(reason[n].name, c->name, sizeof(c->name));
	reason[n].now += c->value;
}

static void show(void)
{
	memset(&op, 0, sizeof(op));
	op.cmd = MARGAY_PCI_LIST;
	op.interface = MARGAY_INTERFACE;
	while (!hypercall1(MARGAY_HYPERCALL, &op) && op.u.pci.domain != 1)
		op.u.pci.index++;
	if (op.u.pci.domain == 1)
		printf("Margay took %lu interrupts\n", (unsigned long)op.u.pci.interrupts);
	printf("exits in a second:");
	for (unsigned int n = 0; reason[n].name[0]; n++)
		if (reason[n].now != reason[n].shown) {
			printf(" %s %lu", reason[n].name, reason[n].now - reason[n].shown);
			reason[n].shown = reason[n].now;
		}
	printf("\n");
}

/* Adds up the exits of all vCPUs. Returns false when the domain has ended. */
static bool exits(uint64_t *sum)
{
	*sum = 0;
	for (unsigned int n = 0; reason[n].name[0]; n++)
		reason[n].now = 0;
	for (uint32_t v = 0;; v++) {
		long rc;

		memset(&op, 0, sizeof(op));
		op.cmd = MARGAY_STAT;
		op.interface = MARGAY_INTERFACE;
		op.u.stat.domain = 1;
		op.u.stat.index = v;
		op.u.stat.counters = (uint64_t)got;
		op.u.stat.max = MAX;
		rc = hypercall1(MARGAY_HYPERCALL, &op);
		if (rc)
			return v && rc == -2;
		for (uint32_t i = 0; i < op.u.stat.nr; i++)
			if (!strncmp(got[i].group, "exit", 5)) {
				*sum += got[i].value;
				add(&got[i]);
			}
	}
}

int main(void)
{
	uint64_t want = cmdline_number("ms", 1000), before, sum, since = now_ns(), longest = 0;
	uint64_t marked = since, looked = since;

	while (!exits(&before))
		CHECK(now_ns() - since < 60 * NS_PER_S, "there is no domain 1");
	for (since = now_ns(); longest < want * NS_PER_MS;) {
		uint64_t t = now_ns();
		bool there = exits(&sum);

		if (!there) {	/* at its end it has not been silent since the last look */
			longest = looked > since + longest ? looked - since : longest;
			break;
		}
		looked = t;

		if (sum != before) {
			longest = t - since > longest ? t - since : longest;
			since = t;
		}
		before = sum;
		if (t - marked > NS_PER_S) {
			show();
			marked = t;
		}
		block_until(t + PAUSE_NS);	/* timers let QEMU go on with other CPUs */
	}
	longest /= NS_PER_MS;
	printf("%lu exits; none in %lu ms on end\n", before, longest);
	CHECK(longest >= want, "no exits for %lu ms at most", longest);
	pass();
}
