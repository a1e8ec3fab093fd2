/* SPDX-License-Identifier: BSD-2-Clause */
/* The longest time with interrupts off, per place. Debug builds only; see hold.h. */
#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/hold.h>
#include <margay/percpu.h>
#include <margay/printk.h>

#ifdef DEBUG
static struct place {
	const char *name;
	u64 longest;	/* TSC ticks */
} places[128];

void hold_at(const char *place)
{
	this_cpu()->hold_place = place;
}

void hold_begin(void)
{
	this_cpu()->hold_start = rdtsc();
}

void hold_end(void)
{
	struct cpu *c = this_cpu();
	u64 ticks = rdtsc() - c->hold_start, seen;

	/* Skip the time before a CPU's first window: it is starting up, and no guest notices. */
	for (unsigned i = 0; c->hold_start && c->hold_place && i < ARRAY_SIZE(places); i++) {
		struct place *p = &places[i];

		if (!p->name)
			atomic_cas(&p->name, NULL, c->hold_place);
		if (p->name != c->hold_place)
			continue;
		while ((seen = READ_ONCE(p->longest)) < ticks &&
		       !atomic_cas(&p->longest, seen, ticks))
			;
		break;
	}
}

void hold_print(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(places) && places[i].name; i++)
		printk("hold %s %lu\n", places[i].name, places[i].longest);
}
#endif
