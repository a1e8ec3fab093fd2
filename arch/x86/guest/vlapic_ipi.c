/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interprocessor interrupts. The sender's CPU sets fixed interrupts and NMIs in the target. It
 * leaves INIT and SIPI in the target's `startup` word; the target handles them on its own CPU
 * before its next instruction. So no CPU writes the state of a vCPU that may be running, and no
 * lock is needed. An INIT takes any vCPU offline, including the first. SDM 3A 9.4 and 11.6.
 */
#include <margay/hold.h>
#include <margay/isolate.h>
#include <margay/sched.h>
#include <x86/apic.h>
#include <x86/direct.h>

#include "guest.h"

enum { MODE_FIXED = 0, MODE_LOWEST = 1, MODE_NMI = 4, MODE_INIT = 5, MODE_SIPI = 6 };
enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define DFR_MODEL 0xf0000000U
#define DEST_ALL 0xffffffffU
#define XAPIC_DEST_ALL 0xffU
#define DATA_MODE(data) ((data) >> 8 & 7)

u32 vlapic_logical_id(const struct vlapic *vl)
{
	u32 id = vlapic_id(vl->v);

	return (id & ~0xfU) << 12 | 1U << (id & 0xf);
}

static bool logical_match(const struct vlapic *t, u32 dest)
{
	u32 ldr;

	if (vlapic_x2apic(t)) {
		ldr = vlapic_logical_id(t);
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	}
	ldr = t->ldr >> 24;
	if ((t->dfr & DFR_MODEL) == DFR_MODEL)
		return dest & ldr & 0xff;
	return (dest >> 4 & 0xf) == ldr >> 4 && (dest & ldr & 0xf);
}

static bool ipi_match(const struct vlapic *t, u32 dest, bool logical)
{
	if (!vlapic_hw_enabled(t))
		return false;
	if (dest == DEST_ALL)
		return true;
	return logical ? logical_match(t, dest) : dest == vlapic_id(t->v);
}

static void send_init(struct vcpu *t)
{
	atomic_store(&t->vlapic->startup, STARTUP_INIT);
	vcpu_post(t, VCPU_WORK_LAPIC);
	vcpu_wake(t);
}

/*
 * Sends a SIPI. Ignored unless the target waits for one or has an INIT pending; the first SIPI
 * counts.
 */
static void send_sipi(struct vcpu *t, u8 vector)
{
	u32 *word = &t->vlapic->startup, old;

	do {
		old = atomic_load(word);
		if ((old & STARTUP_SIPI) || (!(old & STARTUP_INIT) && !READ_ONCE(t->sipi_wait)))
			return;
	} while (!atomic_cas(word, old, old | STARTUP_SIPI | (u32)vector << STARTUP_VECTOR_SHIFT));
	vcpu_post(t, VCPU_WORK_LAPIC);
	vcpu_up(t);
	vcpu_wake(t);
}

bool vlapic_handle_startup(struct vcpu *v)
{
	struct vlapic *vl = v->vlapic;
	u32 word = atomic_load(&vl->startup);

	/* Set sipi_wait before clearing the word: a sender sees either the INIT or sipi_wait. */
	if (word & STARTUP_INIT)
		WRITE_ONCE(v->sipi_wait, true);
	word = atomic_xchg(&vl->startup, 0);

	if (word & STARTUP_INIT) {
		if (v->direct)
			direct_leave(v);
		vlapic_init_regs(vl);
		arch_vcpu_reset(v);
		v->initialised = false;
	} else if (!v->sipi_wait) {
		return false;
	}
	if (word & STARTUP_SIPI) {
		WRITE_ONCE(v->sipi_wait, false);
		v->initialised = true;
		arch_vcpu_start_sipi(v, (u8)(word >> STARTUP_VECTOR_SHIFT));
		return true;
	}
	/* A SIPI that arrived before vcpu_down() found v still up: bring v up again. */
	vcpu_down(v);
	if (atomic_load(&vl->startup) & STARTUP_SIPI)
		vcpu_up(v);
	return true;
}

static void ipi_deliver(struct vcpu *t, unsigned mode, u8 vector)
{
	switch (mode) {
	case MODE_FIXED:
	case MODE_LOWEST:
		if (vlapic_enabled(t->vlapic))
			arch_vcpu_interrupt(t, vector);
		break;
	case MODE_NMI:
		if (READ_ONCE(t->sipi_wait))
			break;
		WRITE_ONCE(t->nmi_pending, true);
		vcpu_post(t, VCPU_WORK_NMI);
		vcpu_wake(t);
		break;
	case MODE_INIT: send_init(t); break;
	case MODE_SIPI: send_sipi(t, vector); break;
	}
}

/* Selects the target of a lowest-priority interrupt: the first vCPU with the lowest priority. */
static struct vcpu *lowest(struct vcpu *best, struct vcpu *t)
{
	if (!vlapic_enabled(t->vlapic))
		return best;
	return !best || vlapic_ppr(t->vlapic) < vlapic_ppr(best->vlapic) ? t : best;
}

#define IPIS_AT_ONCE 64U

/*
 * Delivers to all vCPUs that match, from number `from` on. A guest with many has windows for
 * interrupts in between. If this CPU has other work, the rest waits until the sender is entered.
 */
static void send_to_many(struct vlapic *vl, u32 icr, u32 dest, unsigned from)
{
	struct domain *d = vl->v->domain;
	unsigned mode = icr >> 8 & 7, to = icr >> 18 & 3, i = from, end = d->nr_vcpus;
	bool logical = icr & ICR_LOGICAL;
	struct vcpu *best = NULL;

	/* A logical x2APIC destination is one cluster of 16. */
	if (to == TO_DEST && logical && dest != DEST_ALL && vlapic_x2apic(vl) && !d->apic_ids) {
		i = dest >> 16 << 4 >> d->apic_shift;
		end = min(end, i + (16U >> d->apic_shift));
	}
	vl->ipi_next = 0;
	for (; i < end; i++) {
		struct vcpu *t = d->vcpus[i];

		if (i % IPIS_AT_ONCE == IPIS_AT_ONCE - 1 && i != from) {
			arch_poll_irqs();
			hold_look();
			if (READ_ONCE(this_cpu()->work) && mode != MODE_LOWEST) {
				vl->ipi_next = i;
				atomic_or(&vl->v->pending, VCPU_WORK_IPI);
				return;
			}
		}
		if (to == TO_OTHERS && t == vl->v)
			continue;
		if (to == TO_DEST && !ipi_match(t->vlapic, dest, logical))
			continue;
		if (mode == MODE_LOWEST)
			best = lowest(best, t);
		else
			ipi_deliver(t, mode, (u8)icr);
	}
	if (best)
		ipi_deliver(best, mode, (u8)icr);
}

static u32 destination(const struct vlapic *vl)
{
	u32 dest = (u32)(vl->icr >> 32);

	if (vlapic_x2apic(vl))
		return dest;
	return dest >> 24 == XAPIC_DEST_ALL ? DEST_ALL : dest >> 24;
}

void vlapic_continue_ipi(struct vlapic *vl)
{
	if (vl->ipi_next)
		send_to_many(vl, (u32)vl->icr, destination(vl), vl->ipi_next);
}

void vlapic_send_icr(struct vlapic *vl)
{
	struct vcpu *v = vl->v, *t;
	struct domain *d = v->domain;
	u32 icr = (u32)vl->icr, dest = destination(vl);
	unsigned mode = icr >> 8 & 7, to = icr >> 18 & 3;
	u8 vector = (u8)icr;
	bool logical = icr & ICR_LOGICAL;

	if (mode <= MODE_LOWEST && vector < 16) {
		vlapic_error(vl, ESR_SEND_ILLEGAL);
		return;
	}
	/* INIT level de-assert has no effect on current CPUs. */
	if (mode == MODE_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
		return;
	/* Shorthands that include the sender allow only fixed mode. SDM 3A table 11-3. */
	if ((to == TO_SELF || to == TO_ALL) && mode != MODE_FIXED)
		return;
	if (to == TO_SELF) {
		ipi_deliver(v, mode, vector);
		return;
	}
	/* The common case, without a search: one target by its id. */
	if (to == TO_DEST && !logical && dest != DEST_ALL) {
		t = vlapic_find(d, dest);
		if (t && vlapic_hw_enabled(t->vlapic))
			ipi_deliver(t, mode, vector);
		return;
	}
	send_to_many(vl, icr, dest, 0);
}

static void device_deliver(struct vcpu *t, u8 vector, bool level)
{
	if (!vlapic_enabled(t->vlapic))
		return;
	if (level)
		vlapic_level(t->vlapic, vector);
	else
		arch_vcpu_interrupt(t, vector);
}

void vlapic_message(struct domain *d, u64 address, u32 data, bool level)
{
	u8 dest = (u8)(address >> MSG_DEST_SHIFT);
	bool logical = address & MSG_LOGICAL;
	bool to_lowest = DATA_MODE(data) == MODE_LOWEST || (logical && (address & MSG_HINT));
	u32 to = dest == XAPIC_DEST_ALL ? DEST_ALL : dest;
	unsigned i = 0, end = d->nr_vcpus;
	struct vcpu *best = NULL, *one;

	if (address >> 20 != MSG_BASE >> 20 || DATA_MODE(data) > MODE_LOWEST)
		return;
	if (!logical && to != DEST_ALL) {	/* one at most */
		one = vlapic_find(d, to);
		i = one ? one->id : end;
		end = min(i + 1, end);
	}
	for (; i < end; i++) {
		struct vcpu *t = d->vcpus[i];

		if (!ipi_match(t->vlapic, to, logical))
			continue;
		if (to_lowest)
			best = lowest(best, t);
		else
			device_deliver(t, (u8)data, level);
	}
	if (best)
		device_deliver(best, (u8)data, level);
}

struct cpu *vlapic_message_owner(const struct domain *d, u64 address, u32 data)
{
	u8 dest = (u8)(address >> MSG_DEST_SHIFT);
	bool logical = address & MSG_LOGICAL;
	const struct vcpu *found = NULL;

	if (d->isolation != ISOLATION_DONE || address >> 20 != MSG_BASE >> 20 || data & ~0xffU ||
	    data < 32)
		return NULL;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		if (!ipi_match(d->vcpus[i]->vlapic, dest == XAPIC_DEST_ALL ? DEST_ALL : dest,
			       logical))
			continue;
		if (found || !READ_ONCE(d->vcpus[i]->direct))
			return NULL;
		found = d->vcpus[i];
	}
	return found ? found->core : NULL;
}

struct vcpu *vlapic_message_vcpu(struct domain *d, u64 address)
{
	u32 id = address >> MSG_DEST_SHIFT & 0xff;
	struct vcpu *v = address & MSG_LOGICAL ? NULL : vlapic_find(d, id);

	return v ? v : d->vcpus[0];
}
