/* SPDX-License-Identifier: BSD-2-Clause */
/* The objects behind event channels: private to common/evtchn.c (delivery) and evtchn_bind.c (binding). */
#ifndef EVTCHN_PRIV_H
#define EVTCHN_PRIV_H

#include <margay/evtchn.h>

#define PORTS_PER_BUCKET 256U
#define NR_BUCKETS (EVTCHN_MAX / PORTS_PER_BUCKET)

enum evtchn_state {
	ECS_FREE,
	ECS_RESERVED,		/* port 0 */
	ECS_UNBOUND,		/* waits for domain `remote` to bind it */
	ECS_INTERDOMAIN,	/* connected to `port` of `peer` */
	ECS_VIRQ,
	ECS_IPI,
	ECS_MARGAY,		/* its events call `fn` */
};

struct evtchn {
	u8 state;
	u8 vcpu;		/* to notify */
	union {
		u16 port;	/* ECS_INTERDOMAIN: the peer's */
		domid_t remote;	/* ECS_UNBOUND */
		u16 virq;
	};
	union {
		struct domain *peer;
		evtchn_margay_fn *fn;
	};
};

struct evtchn_table {
	struct spinlock lock;
	bool dying;		/* no new ports */
	u64 used[EVTCHN_MAX / 64];
	u64 pollers;		/* vCPUs that may be in SCHEDOP_poll; poll_ports is the truth */
	struct evtchn *bucket[NR_BUCKETS];
};

_Static_assert(sizeof(struct evtchn) == PAGE_SIZE / PORTS_PER_BUCKET, "a bucket is a page");
_Static_assert(EVTCHN_MAX == EVTCHN_2L_NR_CHANNELS, "2-level ABI");

/* The port's object, or NULL when there can be none in use. Speculation-safe. */
static inline struct evtchn *evtchn_at(struct domain *d, u32 port)
{
	struct evtchn *b;

	if (unlikely(port >= EVTCHN_MAX))
		return NULL;
	port = (u32)index_nospec(port, EVTCHN_MAX);
	b = READ_ONCE(d->evtchn->bucket[port / PORTS_PER_BUCKET]);
	return likely(b) ? &b[port % PORTS_PER_BUCKET] : NULL;
}

/* The same for a port number of our own making, whose bucket is there. */
static inline struct evtchn *evtchn_known(struct domain *d, unsigned port)
{
	return &d->evtchn->bucket[port / PORTS_PER_BUCKET][port % PORTS_PER_BUCKET];
}

/* Raises a port for one of d's vCPUs. No lock needed. */
void evtchn_set_pending(struct domain *d, unsigned vcpu, unsigned port);

#endif
