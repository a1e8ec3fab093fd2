/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The objects behind event channels: private to common/evtchn.c (delivery), evtchn_bind.c (binding), and the two
 * ABIs for the words that a guest sees, evtchn_2l.h and evtchn_fifo.c.
 */
#ifndef EVTCHN_PRIV_H
#define EVTCHN_PRIV_H

#include <margay/evtchn.h>

#define PORTS_MAX ((unsigned)EVTCHN_FIFO_NR_CHANNELS)
#define PORTS_PER_BUCKET 256U
#define NR_BUCKETS (PORTS_MAX / PORTS_PER_BUCKET)

enum evtchn_state {
	ECS_FREE,
	ECS_RESERVED,		/* port 0 */
	ECS_UNBOUND,		/* waits for domain `port` to bind it */
	ECS_INTERDOMAIN,	/* connected to `port` of `peer` */
	ECS_VIRQ,		/* VIRQ number `port` */
	ECS_IPI,
	ECS_MARGAY,		/* its events call `fn` */
};

struct evtchn {
	u32 state : 8, port : 24;
	u16 dest;		/* the vCPU to notify, and the priority: DEST() */
	u16 queue;		/* FIFO: where it was linked last, as dest; FIFO_MISSED */
	union {
		struct domain *peer;
		evtchn_margay_fn *fn;
	};
};

#define NR_PRIORITIES ((unsigned)EVTCHN_FIFO_MAX_QUEUES)
#define DEST(vcpu, priority) ((u16)((vcpu) * NR_PRIORITIES + (unsigned)(priority)))
#define DEST_VCPU(dest) ((dest) / NR_PRIORITIES)
#define DEST_PRIORITY(dest) ((dest) % NR_PRIORITIES)

struct evtchn_table {
	struct spinlock lock;
	bool dying;		/* no new ports */
	bool fifo;		/* the guest has chosen this ABI */
	u32 nr_words;		/* FIFO: ports that have an event word */
	event_word_t **words;	/* FIFO: the guest's pages of them, referenced */
	u32 nr_pollers;
	u64 pollers[MAX_VCPUS / 64]; /* may be in SCHEDOP_poll; poll_ports is the truth */
	u16 used[NR_BUCKETS];	/* ports that are not free */
	struct evtchn *bucket[NR_BUCKETS];
};

_Static_assert(sizeof(struct evtchn) == PAGE_SIZE / PORTS_PER_BUCKET, "a bucket is a page");
_Static_assert(DEST(MAX_VCPUS - 1, EVTCHN_FIFO_PRIORITY_MIN) < 1 << 15, "FIFO_MISSED is free");

/* The port's object, or NULL when there can be none in use. Speculation-safe. */
static inline struct evtchn *evtchn_at(struct domain *d, u32 port)
{
	struct evtchn *b;

	if (unlikely(port >= PORTS_MAX))
		return NULL;
	port = (u32)mask_nospec(port, PORTS_MAX);
	b = READ_ONCE(d->evtchn->bucket[port / PORTS_PER_BUCKET]);
	return likely(b) ? &b[port % PORTS_PER_BUCKET] : NULL;
}

/* The same for a port number of our own making, whose bucket is there. */
static inline struct evtchn *evtchn_known(struct domain *d, unsigned port)
{
	return &d->evtchn->bucket[port / PORTS_PER_BUCKET][port % PORTS_PER_BUCKET];
}

static inline struct vcpu *evtchn_vcpu(struct domain *d, const struct evtchn *chn)
{
	return d->vcpus[DEST_VCPU(READ_ONCE(chn->dest))];
}

/* The first port from `port` on that is not free; PORTS_MAX when there is none. */
unsigned evtchn_next_used(struct domain *d, unsigned port);
#define for_each_used(port, d)                                    \
	for ((port) = evtchn_next_used(d, 0); (port) < PORTS_MAX; \
	     (port) = evtchn_next_used(d, (port) + 1))

/* Raises a port. No lock needed. */
void evtchn_set_pending(struct domain *d, struct evtchn *chn, unsigned port);
/* Sets evtchn_upcall_pending and makes the vCPU notice. */
void evtchn_mark_events_pending(struct vcpu *v);

/*
 * What each ABI does with a port's words. set: marks it pending and tells its vCPU; false if it was pending.
 * unmask: tells its vCPU what is pending. clear: forgets an event of a closed port. flags: a FIFO event word.
 */
bool evtchn_fifo_set(struct domain *d, struct evtchn *chn, unsigned port);
void evtchn_fifo_unmask(struct domain *d, struct evtchn *chn, unsigned port);
void evtchn_fifo_clear(struct domain *d, struct evtchn *chn, unsigned port);
event_word_t evtchn_fifo_flags(struct domain *d, unsigned port);
#include "evtchn_2l.h"

#define EVTCHN_OP(d, op, ...) \
	((d)->evtchn->fifo ? evtchn_fifo_##op(d, __VA_ARGS__) : evtchn_2l_##op(d, __VA_ARGS__))

/* Releases the guest's pages; the 2-level ABI holds again. In bounded steps: -ERESTART until done. */
int evtchn_fifo_destroy(struct domain *d);

#endif
