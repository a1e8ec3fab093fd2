/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupts of devices that guests own. Each has a vector on one CPU; Margay takes it there and
 * passes it on. arch/x86/cpu/irq.c
 */
#pragma once

#include <margay/percpu.h>

#define VEC_DEVICE_FIRST 0x30
#define VEC_DEVICE_LAST 0xef
#define IRQS_A_USER 64U

struct irq {
	/* Called on the CPU, with interrupts off, after the EOI. Takes locks from LOCK_IOAPIC on. */
	void (*fn)(struct irq *i);
	const struct domain *user; /* may have IRQS_A_USER of a CPU's vectors; NULL: all */
	struct cpu *cpu;	/* NULL: not bound */
	u8 vector;
	void *arg;		/* of fn */
};

/* Gives i a free vector of c. 0 or -ENOSPC. Any context; takes LOCK_IRQ. */
int irq_bind(struct irq *i, struct cpu *c);
/* Takes it away. The caller has stopped the source. Returns when fn no longer runs. */
void irq_unbind(struct irq *i);
/*
 * An interrupt that moves between CPUs. It keeps the last vector: one may be on its way to it. The
 * caller sees that no two CPUs move one at once.
 */
struct moving_irq {
	struct irq irq[2];
	u8 now;			/* index of the one in use */
};

static inline struct irq *irq_now(struct moving_irq *m) { return &m->irq[m->now]; }
static inline struct irq *irq_last(struct moving_irq *m) { return &m->irq[!m->now]; }

/* Gives m a vector of c. 0 or -ENOSPC: it has the one before, if any. */
static inline int irq_move(struct moving_irq *m, struct cpu *c)
{
	int rc;

	irq_unbind(irq_last(m));
	rc = irq_bind(irq_last(m), c);
	if (!rc)
		m->now = !m->now;
	return rc;
}

static inline void irq_stop(struct moving_irq *m)
{
	irq_unbind(&m->irq[0]);
	irq_unbind(&m->irq[1]);
}

/* Handles an interrupt on this CPU. Returns false if it is no device's. */
bool irq_handle(u8 vector);
