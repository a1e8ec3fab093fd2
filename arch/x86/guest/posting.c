/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Posted interrupts of vCPUs. Each vCPU that gets any has a vector of Margay's for the notifications,
 * on the CPU that runs it or ran it last. A vCPU that waits for its CPU needs none: it looks when it
 * is loaded. One that sleeps is woken by the handler. No emulator has this; see status.rst.
 */
#include <x86/irq.h>
#include <x86/posting.h>

#include "guest.h"

struct posting {
	struct posted desc;
	struct moving_irq notify;	/* the vCPU's CPU moves it */
};

/* Passes on what was posted. */
static void take(struct vcpu *v)
{
	u64 bits[4];
	unsigned i;

	if (posted_take(&v->vlapic->posting->desc, bits) && vlapic_enabled(v->vlapic))
		for_each_bit(i, bits, 256)
			arch_vcpu_interrupt(v, (u8)i);
}

static void notified(struct irq *i)
{
	take(i->arg);
}

static void aim(struct posting *p, bool suppress)
{
	const struct irq *i = irq_now(&p->notify);

	posted_aim(&p->desc, i->vector, i->cpu->apic_id, x86.x2apic, suppress);
}

static struct posting *new_posting(struct vcpu *v)
{
	struct posting *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->notify.irq[0] = p->notify.irq[1] = (struct irq){
		.fn = notified, .arg = v, .user = v->domain->hardware ? NULL : v->domain
	};
	if (irq_move(&p->notify, READ_ONCE(v->cpu))) {
		kfree(p);
		return NULL;
	}
	aim(p, false);
	atomic_store(&v->vlapic->posting, p);
	/* From the next load on it follows the vCPU. */
	vcpu_post(v, VCPU_WORK_LAPIC);
	return p;
}

paddr_t posting_target(struct domain *d, u64 address, u32 data)
{
	u32 id = address >> MSG_DEST_SHIFT & 0xff;
	struct vcpu *v = vlapic_find(d, id);
	struct posting *p;

	if (!x86.posting || (address & ~(0xffUL << MSG_DEST_SHIFT)) != MSG_BASE || !v ||
	    (data & ~0xffU) || data < 16 || id == 0xff)
		return 0;
	p = v->vlapic->posting;
	p = p ? p : new_posting(v);
	return p ? virt_to_phys(&p->desc) : 0;
}

void posting_load(struct vcpu *v)
{
	struct posting *p = atomic_load(&v->vlapic->posting);

	if (likely(!p))
		return;
	if (irq_now(&p->notify)->cpu != this_cpu())
		(void)irq_move(&p->notify, this_cpu());
	aim(p, false);
	take(v);
	atomic_or(&v->pending, VCPU_WORK_LAPIC);
}

void posting_save(struct vcpu *v)
{
	struct posting *p = atomic_load(&v->vlapic->posting);

	if (unlikely(p) && v->state == RUN_RUNNABLE)
		aim(p, true);
}

u8 posting_vector(const struct vcpu *v, paddr_t *at)
{
	struct posting *p = atomic_load(&v->vlapic->posting);

	if (likely(!p) || irq_now(&p->notify)->cpu != this_cpu())
		return 0;
	*at = virt_to_phys(&p->desc);
	return irq_now(&p->notify)->vector;
}

void posting_free(struct vcpu *v)
{
	struct posting *p = v->vlapic->posting;

	if (!p)
		return;
	irq_stop(&p->notify);
	kfree(p);
}
