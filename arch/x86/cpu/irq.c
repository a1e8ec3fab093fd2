/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of devices' interrupts, on each CPU for itself. irq_lock protects the tables; handlers
 * read them without it. A CPU says which vector it handles before it reads its table, so that
 * irq_unbind() either hides the entry from it or sees that it must wait. SDM 3A 6.3.2.
 */
#include <margay/arch.h>
#include <margay/errno.h>
#include <margay/mm.h>
#include <x86/irq.h>

#define NR_DEVICE_VECTORS (VEC_DEVICE_LAST - VEC_DEVICE_FIRST + 1)

struct irq_table {
	struct irq *irq[NR_DEVICE_VECTORS];
	unsigned last;		/* given out: a vector is used again as late as possible */
	volatile unsigned handled; /* index + 1; 0: none */
};

static struct spinlock irq_lock = SPINLOCK_INIT(LOCK_IRQ);
static struct irq_table *tables[MAX_CPUS];
static u64 bound;

u64 arch_device_vectors(void) { return READ_ONCE(bound); }

static void ignore(struct irq *i __unused) {}

/* For a vector that was used: its interrupt may have been on its way when the source stopped. */
static struct irq gone = { .fn = ignore };

int irq_bind(struct irq *i, struct cpu *c)
{
	struct irq_table *t;
	unsigned has = 0;

	guard(&irq_lock);
	t = tables[c->id];
	if (!t) {
		t = kzalloc(sizeof(*t));
		if (!t)
			return -ENOSPC;
		atomic_store(&tables[c->id], t);
	}
	for (unsigned n = 0; i->user && n < NR_DEVICE_VECTORS; n++)
		has += t->irq[n] && t->irq[n]->user == i->user;
	for (unsigned n = 1; n <= NR_DEVICE_VECTORS && has < IRQS_A_USER; n++) {
		unsigned at = (t->last + n) % NR_DEVICE_VECTORS;

		if (t->irq[at] && t->irq[at] != &gone)
			continue;
		t->last = at;
		i->cpu = c;
		i->vector = (u8)(VEC_DEVICE_FIRST + at);
		atomic_store(&t->irq[at], i);
		bound++;
		c->device_vectors++;
		return 0;
	}
	return -ENOSPC;
}

void irq_unbind(struct irq *i)
{
	unsigned at = i->vector - VEC_DEVICE_FIRST;
	struct irq_table *t;

	if (!i->cpu)
		return;
	t = tables[i->cpu->id];
	spin_lock(&irq_lock);
	(void)atomic_xchg(&t->irq[at], &gone);
	bound--;
	i->cpu->device_vectors--;
	spin_unlock(&irq_lock);
	while (t->handled == at + 1)
		cpu_relax();
	i->cpu = NULL;
}

bool irq_handle(u8 vector)
{
	struct irq_table *t = READ_ONCE(tables[this_cpu()->id]);
	unsigned at = vector - VEC_DEVICE_FIRST;
	struct irq *i;

	if (!t || at >= NR_DEVICE_VECTORS)
		return false;
	(void)atomic_xchg(&t->handled, at + 1);
	i = atomic_load(&t->irq[at]);
	if (i)
		i->fn(i);
	atomic_store(&t->handled, 0U);
	return i;
}
