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
};

/* Gives i a free vector of c. 0 or -ENOSPC. Any context; takes LOCK_IRQ. */
int irq_bind(struct irq *i, struct cpu *c);
/* Takes it away. The caller has stopped the source. Returns when fn no longer runs. */
void irq_unbind(struct irq *i);
/* Handles an interrupt on this CPU. Returns false if it is no device's. */
bool irq_handle(u8 vector);
