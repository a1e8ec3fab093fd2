/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: binding of ports, from allocation to close. Static functions that take no lock
 * are called with the lock of the port's domain.
 */
#include "evtchn_priv.h"

/* Ports closed per step of a reset or teardown. */
#define CLOSE_STEP 16U
/* A search gives up after so many free ports, or buckets, that are all still linked. */
#define BUSY_PORTS 256U
#define BUSY_BUCKETS 16U

/* Returns the lowest free port and allocates its bucket if needed. -ENOSPC or -ENOMEM. */
static int get_free_port(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;
	unsigned ports = t->abi > EVTCHN_2L  ? PORTS_MAX :
			 t->abi == EVTCHN_2L ? (unsigned)EVTCHN_2L_NR_CHANNELS :
					       32 * 32;
	unsigned busy = 0, buckets = 0;

	for (unsigned port = 0; port < ports && !t->dying;) {
		struct evtchn **b = &t->bucket[port / PORTS_PER_BUCKET];

		if (t->used[port / PORTS_PER_BUCKET] == PORTS_PER_BUCKET) {
			port += PORTS_PER_BUCKET;
			continue;
		}
		if (!*b)
			atomic_store(b, dom_alloc_meta(d, 1));
		if (!*b)
			return -ENOMEM;
		for (unsigned i = 0; i < PORTS_PER_BUCKET; i++, port++) {
			if ((*b)[i].state != ECS_FREE)
				continue;
			if (likely(!(EVTCHN_OP(d, flags, port) & 1U << EVTCHN_FIFO_LINKED)))
				return (int)port;
			busy++;
		}
		if (busy >= BUSY_PORTS || ++buckets == BUSY_BUCKETS)
			break;
	}
	return -ENOSPC;
}

static struct evtchn *init_port(struct domain *d, int port, enum evtchn_state state, unsigned vcpu)
{
	struct evtchn *chn = evtchn_at(d, (u32)port);

	d->evtchn->used[(u32)port / PORTS_PER_BUCKET]++;
	WRITE_ONCE(chn->dest, DEST(vcpu, EVTCHN_FIFO_PRIORITY_DEFAULT));
	chn->state = (u8)state;
	return chn;
}

static void put_port(struct domain *d, u32 port, struct evtchn *chn)
{
	chn->state = ECS_FREE;
	chn->peer = NULL;
	WRITE_ONCE(chn->dest, 0);
	d->evtchn->used[port / PORTS_PER_BUCKET]--;
	/* The next user of the port must not see an old event. */
	EVTCHN_OP(d, clear, chn, port);
}

int evtchn_alloc_unbound(struct domain *d, domid_t remote)
{
	int port;

	guard(&d->evtchn->lock);
	port = get_free_port(d);
	if (port > 0)
		init_port(d, port, ECS_UNBOUND, 0)->port = remote;
	return port;
}

int evtchn_alloc_margay(struct domain *d, const struct evtchn_margay *margay)
{
	int port;

	guard(&d->evtchn->lock);
	port = get_free_port(d);
	if (port > 0) {
		init_port(d, port, ECS_MARGAY, 0);
		d->evtchn->margay = margay;
	}
	return port;
}

bool evtchn_lent(struct domain *d, unsigned port)
{
	guard(&d->evtchn->lock);
	return evtchn_known(d, port)->state == ECS_LENT;
}

/* Returns whether ld may bind rd's port. Margay lends its ports to the control domain only. */
static bool may_bind(const struct domain *ld, const struct domain *rd, const struct evtchn *rchn)
{
	if (rchn->state == ECS_MARGAY)
		return ld->initial && !rd->initial;
	return rchn->state == ECS_UNBOUND && rchn->port == ld->id;
}

int evtchn_bind_interdomain(struct domain *ld, struct domain *rd, u32 rport)
{
	struct evtchn *lchn, *rchn;
	bool lent = false;
	int lport, err;

	spin_lock_pair(&ld->evtchn->lock, &rd->evtchn->lock);
	err = lport = get_free_port(ld);
	if (lport < 0)
		goto out;
	err = -EINVAL;
	rchn = evtchn_at(rd, rport);
	if (!rchn || !may_bind(ld, rd, rchn))
		goto out;
	lent = rchn->state == ECS_MARGAY;
	lchn = init_port(ld, lport, ECS_INTERDOMAIN, 0);
	lchn->peer = rd;
	lchn->port = rport & (PORTS_MAX - 1);
	rchn->state = lent ? ECS_LENT : ECS_INTERDOMAIN;
	rchn->peer = ld;
	rchn->port = (u32)lport & (PORTS_MAX - 1);
	/* The remote side may have sent events while the port was unbound. */
	evtchn_set_pending(ld, lchn, (unsigned)lport);
	err = lport;
out:
	spin_unlock_pair(&ld->evtchn->lock, &rd->evtchn->lock);
	if (lent)
		rd->evtchn->margay->lent(rd);
	return err;
}

int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu)
{
	struct vcpu *v;
	int port;

	if (virq >= NR_VIRQS)
		return -EINVAL;
	virq = (u32)index_nospec(virq, NR_VIRQS);
	if (virq_is_global(virq) && vcpu)
		return -EINVAL;
	v = domain_vcpu(d, vcpu);
	if (!v)
		return -ENOENT;
	guard(&d->evtchn->lock);
	port = v->virq_port[virq] ? -EEXIST : get_free_port(d);
	if (port > 0) {
		init_port(d, port, ECS_VIRQ, v->id)->port = (u8)virq;
		atomic_store(&v->virq_port[virq], (u32)port);
	}
	return port;
}

int evtchn_bind_ipi(struct domain *d, u32 vcpu)
{
	struct vcpu *v = domain_vcpu(d, vcpu);
	int port;

	if (!v)
		return -ENOENT;
	guard(&d->evtchn->lock);
	port = get_free_port(d);
	if (port > 0)
		init_port(d, port, ECS_IPI, v->id);
	return port;
}

int evtchn_new_pirq(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;

	guard(&t->lock);
	for (unsigned i = 0; i < NR_PIRQS; i++) {
		t->last_pirq = (t->last_pirq + 1) % NR_PIRQS;
		if (t->last_pirq && !t->pirq_port[t->last_pirq])
			return (int)t->last_pirq;
	}
	return -ENOSPC;
}

int evtchn_bind_pirq(struct domain *d, u32 pirq)
{
	struct evtchn_table *t = d->evtchn;
	struct evtchn *chn;
	int port;

	if (!d->pirqs || pirq >= NR_PIRQS)
		return -EINVAL;
	pirq = (u32)index_nospec(pirq, NR_PIRQS);
	guard(&t->lock);
	port = t->pirq_port[pirq] ? -EEXIST : get_free_port(d);
	if (port > 0) {
		chn = init_port(d, port, ECS_PIRQ, 0);
		chn->port = pirq & (NR_PIRQS - 1);
		atomic_store(&t->pirq_port[pirq], (u32)port);
		/* The function may have sent a message before. */
		evtchn_set_pending(d, chn, (unsigned)port);
	}
	return port;
}

int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu)
{
	struct vcpu *v = domain_vcpu(d, vcpu);
	struct evtchn *chn = evtchn_at(d, port);

	if (!v)
		return -ENOENT;
	if (!chn)
		return -EINVAL;
	guard(&d->evtchn->lock);
	if (chn->state <= ECS_RESERVED || chn->state == ECS_IPI ||
	    (chn->state == ECS_VIRQ && !virq_is_global(chn->port)))
		return -EINVAL;
	WRITE_ONCE(chn->dest, DEST(v->id, DEST_PRIORITY(chn->dest)));
	return 0;
}

/*
 * Closes a port. If it is connected, the caller also holds the peer's lock. Returns the domain whose
 * lent port this ends: d or the peer; else NULL.
 */
static struct domain *close_locked(struct domain *d, u32 port, struct evtchn *chn)
{
	struct domain *lender = chn->state == ECS_LENT ? d : NULL;
	struct evtchn *peer;

	if (chn->state == ECS_VIRQ) {
		/* A global VIRQ is bound to vCPU 0 whichever vCPU it notifies. */
		struct vcpu *v = virq_is_global(chn->port) ? d->vcpus[0] : evtchn_vcpu(d, chn);

		WRITE_ONCE(v->virq_port[chn->port], 0);
	} else if (chn->state == ECS_PIRQ) {
		WRITE_ONCE(d->evtchn->pirq_port[chn->port], 0);
	} else if (evtchn_connected(chn)) {
		peer = evtchn_at(chn->peer, chn->port);
		if (peer->state == ECS_LENT)
			lender = chn->peer;
		peer->state = peer->state == ECS_LENT ? ECS_MARGAY : ECS_UNBOUND;
		peer->port = d->id;
		peer->peer = NULL;
	}
	put_port(d, port, chn);
	return lender;
}

int evtchn_close(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_at(d, port);
	struct domain *rd = d, *peer, *lender = NULL;
	int err = -EINVAL;

	if (!chn)
		return -EINVAL;
	/*
	 * Locks are taken in address order, so the peer's lock needs a second pass. The reference,
	 * taken while the connection is stable, keeps the peer. The second pass checks the
	 * connection again.
	 */
	for (domain_hold(rd);; rd = peer) {
		peer = NULL;
		spin_lock_pair(&d->evtchn->lock, &rd->evtchn->lock);
		if (evtchn_connected(chn) && chn->peer != d && chn->peer != rd) {
			peer = chn->peer;
			domain_hold(peer);
		} else if (chn->state > ECS_RESERVED) {
			lender = close_locked(d, port, chn);
			err = 0;
		}
		spin_unlock_pair(&d->evtchn->lock, &rd->evtchn->lock);
		if (lender)
			lender->evtchn->margay->lent(lender);
		domain_put(rd);
		if (!peer)
			return err;
	}
}

int evtchn_status(struct domain *d, u32 port, struct evtchn_status *st)
{
	static const u8 status[] = {
		[ECS_FREE] = EVTCHNSTAT_closed,		     [ECS_RESERVED] = EVTCHNSTAT_closed,
		[ECS_UNBOUND] = EVTCHNSTAT_unbound,	     [ECS_VIRQ] = EVTCHNSTAT_virq,
		[ECS_INTERDOMAIN] = EVTCHNSTAT_interdomain, [ECS_IPI] = EVTCHNSTAT_ipi,
		[ECS_MARGAY] = EVTCHNSTAT_interdomain,	     [ECS_LENT] = EVTCHNSTAT_interdomain,
		[ECS_PIRQ] = EVTCHNSTAT_pirq,
	};
	struct evtchn *chn = evtchn_at(d, port);

	if (!chn)
		return -EINVAL;
	guard(&d->evtchn->lock);
	st->vcpu = DEST_VCPU(chn->dest);
	st->status = status[chn->state];
	if (chn->state == ECS_PIRQ) {
		st->u.pirq = chn->port;
	} else if (chn->state == ECS_UNBOUND) {
		st->u.unbound.dom = (domid_t)chn->port;
	} else if (chn->state == ECS_VIRQ) {
		st->u.virq = chn->port;
	} else if (st->status == EVTCHNSTAT_interdomain) {
		st->u.interdomain.dom = chn->state == ECS_MARGAY ? DOMID_XEN : chn->peer->id;
		st->u.interdomain.port = chn->state == ECS_MARGAY ? 0 : chn->port;
	}
	return 0;
}

int evtchn_reset(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;
	unsigned port, n = 0;

	for_each_used(port, d) {
		if (evtchn_known(d, port)->state >= ECS_MARGAY && !t->dying)
			continue;
		if (!evtchn_close(d, port) && ++n == CLOSE_STEP)
			return -ERESTART;
	}
	return evtchn_fifo_destroy(d);
}
