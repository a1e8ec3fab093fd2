/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The longest times with interrupts off, or without a look for other work, per place. Debug builds
 * only; see hold.h.
 */
#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/hold.h>
#include <margay/percpu.h>
#include <margay/printk.h>

#ifdef DEBUG
static struct place {
	const char *name;
	u64 longest[2];	/* TSC ticks with interrupts off, and without a look for work */
} places[128];

void hold_at(const char *place)
{
	this_cpu()->hold_place = place;
}

void hold_begin(void)
{
	struct cpu *c = this_cpu();

	c->hold_start[0] = rdtsc();
	if (!c->hold_start[1])
		c->hold_start[1] = c->hold_start[0];
}

static void end(struct cpu *c, unsigned kind)
{
	u64 ticks = rdtsc() - c->hold_start[kind], seen;

	/* Skip the time before a CPU's first window: it is starting up, and no guest notices. */
	for (unsigned i = 0; c->hold_start[kind] && c->hold_place && i < ARRAY_SIZE(places); i++) {
		struct place *p = &places[i];

		if (!p->name)
			atomic_cas(&p->name, NULL, c->hold_place);
		if (p->name != c->hold_place)
			continue;
		while ((seen = READ_ONCE(p->longest[kind])) < ticks &&
		       !atomic_cas(&p->longest[kind], seen, ticks))
			;
		break;
	}
}

void hold_end(void)
{
	end(this_cpu(), 0);
}

void hold_over(void)
{
	struct cpu *c = this_cpu();

	end(c, 0);
	end(c, 1);
	c->hold_start[1] = 0;
}

void hold_look(void)
{
	hold_over();
	hold_begin();
}

void hold_print(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(places) && places[i].name; i++)
		printk("hold %s %lu %lu\n", places[i].name, places[i].longest[0],
		       places[i].longest[1]);
}
#endif
