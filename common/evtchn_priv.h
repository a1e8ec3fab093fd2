/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internals of event channels, private to evtchn.c (delivery), evtchn_bind.c (binding), evtchn_2l.h
 * and evtchn_fifo.c (the two guest ABIs).
 */
#pragma once

#include <margay/evtchn.h>

#define PORTS_MAX ((unsigned)EVTCHN_FIFO_NR_CHANNELS)
#define PORTS_PER_BUCKET 256U
#define NR_BUCKETS (PORTS_MAX / PORTS_PER_BUCKET)

enum evtchn_state {
	ECS_FREE,
	ECS_RESERVED,		/* port 0 */
	ECS_UNBOUND,		/* domain `port` may bind it */
	ECS_INTERDOMAIN,	/* connected to `port` of `peer` */
	ECS_VIRQ,		/* VIRQ number `port` */
	ECS_IPI,
	ECS_PIRQ,		/* PIRQ number `port` */
	ECS_MARGAY,		/* events go to the table's `margay` */
	ECS_LENT,		/* ECS_MARGAY, while connected to `port` of the control domain */
};

struct evtchn {
	u32 state : 8, port : 24;
	u16 dest;		/* DEST(): the vCPU to notify, and the priority */
	u16 queue;		/* FIFO: DEST() where it was last linked; FIFO_MISSED */
	struct domain *peer;
};

#define NR_PRIORITIES ((unsigned)EVTCHN_FIFO_MAX_QUEUES)
#define DEST(vcpu, priority) ((u16)((vcpu) * NR_PRIORITIES + (unsigned)(priority)))
#define DEST_VCPU(dest) ((dest) / NR_PRIORITIES)
#define DEST_PRIORITY(dest) ((dest) % NR_PRIORITIES)

/* Ordered, so that one comparison tells the usual two apart. */
enum evtchn_abi {
	EVTCHN_2L_32 = -1,	/* 2-level, in the layout of 32-bit guests */
	EVTCHN_2L,
	EVTCHN_FIFO,
};

struct evtchn_table {
	struct spinlock lock;
	bool dying;		/* no new ports */
	s8 abi;			/* enum evtchn_abi: the words that the guest uses */
	const struct evtchn_margay *margay; /* of all ports in state ECS_MARGAY or ECS_LENT */
	u32 nr_words;		/* FIFO: number of ports that have an event word */
	u32 replayed;		/* FIFO: the same, without ports whose missed events wait */
	event_word_t **words;	/* FIFO: the guest's pages of event words, referenced */
	u32 pirq_port[NR_PIRQS];	/* the port that each PIRQ is bound to; 0: none */
	u32 last_pirq;		/* that the guest was given */
	u32 nr_pollers;
	u64 pollers[MAX_VCPUS / 64]; /* vCPUs that may be in SCHEDOP_poll; poll_ports decides */
	u16 used[NR_BUCKETS];	/* ports in use, per bucket */
	struct evtchn *bucket[NR_BUCKETS];
};

_Static_assert(sizeof(struct evtchn) == PAGE_SIZE / PORTS_PER_BUCKET, "a bucket is a page");
_Static_assert(DEST(MAX_VCPUS - 1, EVTCHN_FIFO_PRIORITY_MIN) < 1 << 15, "FIFO_MISSED is free");

/* Returns the port's object, or NULL when its bucket does not exist. Speculation-safe. */
static inline struct evtchn *evtchn_at(struct domain *d, u32 port)
{
	struct evtchn *b;

	if (unlikely(port >= PORTS_MAX))
		return NULL;
	port = (u32)mask_nospec(port, PORTS_MAX);
	b = READ_ONCE(d->evtchn->bucket[port / PORTS_PER_BUCKET]);
	return likely(b) ? &b[port % PORTS_PER_BUCKET] : NULL;
}

/* The same for a trusted port number whose bucket exists. */
static inline struct evtchn *evtchn_known(struct domain *d, unsigned port)
{
	return &d->evtchn->bucket[port / PORTS_PER_BUCKET][port % PORTS_PER_BUCKET];
}

static inline struct vcpu *evtchn_vcpu(struct domain *d, const struct evtchn *chn)
{
	return d->vcpus[DEST_VCPU(READ_ONCE(chn->dest))];
}

/* Returns whether the port is connected to `port` of `peer`. */
static inline bool evtchn_connected(const struct evtchn *chn)
{
	return chn->state == ECS_INTERDOMAIN || chn->state == ECS_LENT;
}

/* Returns the first port in use at or after `port`; PORTS_MAX when there is none. */
unsigned evtchn_next_used(struct domain *d, unsigned port);
#define for_each_used(port, d)                                    \
	for ((port) = evtchn_next_used(d, 0); (port) < PORTS_MAX; \
	     (port) = evtchn_next_used(d, (port) + 1))

/* Raises an event on a port. Needs no lock. */
void evtchn_set_pending(struct domain *d, struct evtchn *chn, unsigned port);
/* Sets evtchn_upcall_pending and notifies the vCPU. */
void evtchn_mark_events_pending(struct vcpu *v);

/*
 * Operations of each ABI on a port's words. set: sets pending and notifies the vCPU; false if
 * already pending. unmask: notifies the vCPU of a pending event. clear: drops the event of a closed
 * port. flags: returns a FIFO event word.
 */
bool evtchn_fifo_set(struct domain *d, struct evtchn *chn, unsigned port);
void evtchn_fifo_unmask(struct domain *d, struct evtchn *chn, unsigned port);
void evtchn_fifo_clear(struct domain *d, struct evtchn *chn, unsigned port);
event_word_t evtchn_fifo_flags(struct domain *d, unsigned port);
/* The guest switched to FIFO during evtchn_2l_set(): raises the event again if replay() did not. */
void evtchn_fifo_adopt(struct domain *d, unsigned port);
#include "evtchn_2l.h"

#define EVTCHN_OP(d, op, ...)                                              \
	((d)->evtchn->abi > EVTCHN_2L ? evtchn_fifo_##op(d, __VA_ARGS__) : \
					evtchn_2l_##op(d, __VA_ARGS__))

/* Releases the guest's pages; returns to the 2-level ABI. Bounded steps: -ERESTART. */
int evtchn_fifo_destroy(struct domain *d);
