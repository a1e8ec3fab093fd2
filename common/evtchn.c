/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: delivery, and a domain's table of ports. d->evtchn->lock (LOCK_EVTCHN) protects
 * the ports. A connection between two domains changes only under both locks, so holding either one
 * keeps it. Margay accesses the words shared with the guest by atomic operations only and never
 * trusts them. evtchn_bind.c does the binding; evtchn_2l.h and evtchn_fifo.c handle the words.
 */
#include <margay/domain_parts.h>
#include <margay/sched.h>

#include "evtchn_priv.h"

#define DUMP_MAX 64
#define FREE_STEP 32U	/* buckets freed per step of a teardown */

struct vcpu_info dummy_vcpu_info = { .evtchn_upcall_mask = 1 };

inline void evtchn_mark_events_pending(struct vcpu *v)
{
	struct vcpu_info *info = READ_ONCE(v->info);

	if (info == &dummy_vcpu_info || atomic_xchg(&info->evtchn_upcall_pending, 1))
		return;
	if (v->upcall_vector) {
		arch_vcpu_upcall(v);
		return;
	}
	vcpu_post(v, VCPU_WORK_EVENT);
	vcpu_wake(v);
}

void evtchn_move_vcpu_info(struct vcpu *v, struct vcpu_info *to)
{
	struct vcpu_info *from = v->info;

	if (from == &dummy_vcpu_info) {
		memset(to, 0, sizeof(*to));
		to->evtchn_upcall_mask = 1;
	} else {
		memcpy(to, from, sizeof(*to));
	}
	atomic_store(&v->info, to);
	smp_mb();
	/* A sender may have set bits in the old area meanwhile. A spurious event is harmless. */
	to->evtchn_upcall_pending = 0;
	if (v->domain->shared_32bit)
		atomic_store((u32 *)to + 1, ~0U);
	else
		atomic_store(&to->evtchn_pending_sel, ~0UL);
	evtchn_mark_events_pending(v);
}

/*
 * Clears the pollers bit first. If v polls again in between, this ends the new poll early, which
 * guests must expect. In the other order nobody would see the new poll.
 */
bool evtchn_poll_end(struct vcpu *v)
{
	struct evtchn_table *t = v->domain->evtchn;

	if (!READ_ONCE(v->poll_ports))
		return false;
	clear_bit(v->id, t->pollers);
	if (!atomic_xchg(&v->poll_ports, 0))
		return false;
	atomic_sub(&t->nr_pollers, 1);
	return true;
}

void evtchn_poll_begin(struct vcpu *v, unsigned nr, unsigned port)
{
	struct evtchn_table *t = v->domain->evtchn;

	v->poll_port = port;
	if (!atomic_xchg(&v->poll_ports, nr))
		atomic_add(&t->nr_pollers, 1);
	set_bit(v->id, t->pollers);
}

static __noinline void wake_pollers(struct domain *d, unsigned port)
{
	unsigned i;

	for_each_bit(i, d->evtchn->pollers, d->nr_vcpus) {
		struct vcpu *v = d->vcpus[i];
		unsigned nr = READ_ONCE(v->poll_ports);

		if (nr && (nr > 1 || v->poll_port == port) && evtchn_poll_end(v))
			vcpu_wake(v);
	}
}

static __noinline bool set_32(struct domain *d, struct evtchn *chn, unsigned port)
{
	return evtchn_2l_set(d, chn, port, true);
}

static __always_inline void raise_port(struct domain *d, struct evtchn *chn, unsigned port)
{
	bool raised;

	if (d->evtchn->abi) {
		raised = likely(d->evtchn->abi > EVTCHN_2L) ? evtchn_fifo_set(d, chn, port) :
							      set_32(d, chn, port);
		if (raised && unlikely(READ_ONCE(d->evtchn->nr_pollers)))
			wake_pollers(d, port);
		return;
	}
	raised = evtchn_2l_set(d, chn, port, false);
	if (unlikely(READ_ONCE(d->evtchn->abi)))
		evtchn_fifo_adopt(d, port);
	if (raised && unlikely(READ_ONCE(d->evtchn->nr_pollers)))
		wake_pollers(d, port);
}

void evtchn_set_pending(struct domain *d, struct evtchn *chn, unsigned port)
{
	raise_port(d, chn, port);
}

void evtchn_update_layout(struct domain *d)
{
	guard(&d->evtchn->lock);
	if (d->evtchn->abi <= EVTCHN_2L)
		atomic_store(&d->evtchn->abi, d->shared_32bit ? EVTCHN_2L_32 : EVTCHN_2L);
}

int evtchn_pending(struct domain *d, u32 port)
{
	if (!evtchn_at(d, port) && port >= EVTCHN_2L_NR_CHANNELS)
		return -EINVAL;
	return EVTCHN_OP(d, flags, port) >> EVTCHN_FIFO_PENDING & 1;
}

/* The per-vCPU VIRQs are those that xen.h marks (V.). */
bool virq_is_global(unsigned virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF &&
	       virq != VIRQ_XENPMU;
}

/*
 * Takes no lock, since every timer calls it. A port that is closed meanwhile may get one spurious
 * event, which guests must expect on any port.
 */
void evtchn_virq(struct vcpu *v, unsigned virq)
{
	unsigned port = READ_ONCE(v->virq_port[virq]);

	if (port)
		raise_port(v->domain, evtchn_known(v->domain, port), port);
}

/* Returns the port that a PIRQ is bound to, or 0. */
static unsigned pirq_port(const struct domain *d, u32 pirq)
{
	return pirq < NR_PIRQS ? READ_ONCE(d->evtchn->pirq_port[index_nospec(pirq, NR_PIRQS)]) : 0;
}

void evtchn_pirq(struct domain *d, u32 pirq)
{
	unsigned port = pirq_port(d, pirq);

	if (port)
		raise_port(d, evtchn_known(d, port), port);
}

struct vcpu *evtchn_pirq_vcpu(struct domain *d, u32 pirq)
{
	unsigned port = pirq_port(d, pirq);

	return port ? evtchn_vcpu(d, evtchn_known(d, port)) : d->vcpus[0];
}

void evtchn_notify(struct domain *d, unsigned port)
{
	struct evtchn *chn = evtchn_known(d, port);

	guard(&d->evtchn->lock);
	if (chn->state == ECS_MARGAY)
		raise_port(d, chn, port);
}

int evtchn_send(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_at(d, port);
	const struct evtchn_margay *margay = NULL;
	struct domain *peer;
	int rc = 0;

	if (unlikely(!chn))
		return -EINVAL;
	spin_lock(&d->evtchn->lock);
	switch (chn->state) {
	case ECS_IPI:
		raise_port(d, chn, port);
		break;
	case ECS_INTERDOMAIN:
	case ECS_LENT:
		/* d's lock keeps the connection. The peer's vCPU number is always valid. */
		peer = chn->peer;
		port = chn->port;
		raise_port(peer, evtchn_known(peer, port), port);
		break;
	case ECS_MARGAY:
		margay = d->evtchn->margay;
		break;
	case ECS_UNBOUND:
		break;
	default:
		rc = -EINVAL;
	}
	spin_unlock(&d->evtchn->lock);
	if (margay)
		margay->event(d);
	return rc;
}

int evtchn_unmask(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_at(d, port);

	if (!chn)
		return -EINVAL;
	guard(&d->evtchn->lock);
	if (chn->state > ECS_RESERVED)
		EVTCHN_OP(d, unmask, chn, port);
	return 0;
}

unsigned evtchn_next_used(struct domain *d, unsigned port)
{
	const struct evtchn_table *t = d->evtchn;

	while (port < PORTS_MAX) {
		if (!t->used[port / PORTS_PER_BUCKET])
			port = (port / PORTS_PER_BUCKET + 1) * PORTS_PER_BUCKET;
		else if (evtchn_known(d, port)->state != ECS_FREE)
			break;
		else
			port++;
	}
	return min(port, PORTS_MAX);
}

static int evtchn_init(struct domain *d)
{
	struct evtchn_table *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->bucket[0] = dom_alloc_meta(d, 1);
	if (!t->bucket[0]) {
		kfree(t);
		return -ENOMEM;
	}
	spin_init(&t->lock, LOCK_EVTCHN);
	t->bucket[0][0].state = ECS_RESERVED;
	t->used[0] = 1;
	d->evtchn = t;
	return 0;
}

/* Closes every port, so that peers become unbound, and frees all buckets but the first. */
static int evtchn_teardown(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;
	unsigned n = 0;
	int rc;

	if (!t)
		return 0;
	spin_lock(&t->lock);
	t->dying = true;
	spin_unlock(&t->lock);
	rc = evtchn_reset(d);
	for (unsigned i = 1; i < NR_BUCKETS && !rc; i++)
		if (t->bucket[i]) {
			dom_free_meta(d, t->bucket[i], 1);
			t->bucket[i] = NULL;
			rc = ++n == FREE_STEP ? -ERESTART : 0;
		}
	return rc;
}

static void evtchn_free(struct domain *d)
{
	if (!d->evtchn)
		return;
	dom_free_meta(d, d->evtchn->bucket[0], 1);
	kfree(d->evtchn->words);
	kfree(d->evtchn);
	d->evtchn = NULL;
}

const struct domain_part evtchn_part = { evtchn_init, evtchn_teardown, evtchn_free };

/* Prints DUMP_MAX ports at most: senders wait for the lock while it writes to a slow line. */
void evtchn_dump(struct domain *d)
{
	static const char *const names[] = { "free", "reserved", "unbound", "interdomain",
					     "virq", "ipi", "pirq", "margay", "lent" };
	struct evtchn_table *t = d->evtchn;
	unsigned port, shown = 0;

	guard(&t->lock);
	for_each_used(port, d) {
		struct evtchn *chn = evtchn_known(d, port);
		event_word_t flags = EVTCHN_OP(d, flags, port);
		char to[64] = "";

		if (chn->state == ECS_RESERVED)
			continue;
		if (shown++ == DUMP_MAX) {
			printk("%s: and more ports\n", d->name);
			return;
		}
		if (evtchn_connected(chn))
			snprintf(to, sizeof(to), " to %s:%u", chn->peer->name, (u32)chn->port);
		else if (chn->state == ECS_UNBOUND)
			snprintf(to, sizeof(to), " for domain %u", (u32)chn->port);
		else if (chn->state == ECS_VIRQ || chn->state == ECS_PIRQ)
			snprintf(to, sizeof(to), " %u", (u32)chn->port);
		printk("%s: port %u: %s%s, vCPU %u%s%s\n", d->name, port, names[chn->state], to,
		       DEST_VCPU(chn->dest), flags >> EVTCHN_FIFO_PENDING & 1 ? ", pending" : "",
		       flags >> EVTCHN_FIFO_MASKED & 1 ? ", masked" : "");
	}
}
