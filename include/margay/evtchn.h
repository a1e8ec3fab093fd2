/* SPDX-License-Identifier: BSD-2-Clause */
/* Event channels: the objects of common/evtchn.c. xen/event_channel.h defines the shared words. */
#pragma once

#include <margay/vcpu.h>

#define NR_PIRQS 512U	/* one for each message that a guest's functions may have: vmsi.c */

/* Raises the event of a PIRQ, a number of the guest's, if it is bound. Without locks. */
void evtchn_pirq(struct domain *d, u32 pirq);
/* Returns the vCPU that it notifies. */
struct vcpu *evtchn_pirq_vcpu(struct domain *d, u32 pirq);
/* Raises a VIRQ_* of v; for a global one v is vCPU 0. Any context, without locks. */
void evtchn_virq(struct vcpu *v, unsigned virq);
/* Returns whether a VIRQ_* is bound once per domain, not once per vCPU. */
bool virq_is_global(unsigned virq);

/*
 * Margay's end of a domain's channels to it. While the control domain has bound such a port, the port
 * is lent: events go there, as Xen's tools expect of a guest's console.
 */
struct evtchn_margay {
	/* d has sent an event. In the sender's context, without locks. */
	void (*event)(struct domain *d);
	/* A port was lent or came back: evtchn_lent(). Without locks; d may be about to end. */
	void (*lent)(struct domain *d);
};
/* Returns the port, or -ENOSPC, -ENOMEM. All such ports of a domain have the same functions. */
int evtchn_alloc_margay(struct domain *d, const struct evtchn_margay *margay);
/* Returns whether a port of evtchn_alloc_margay() is lent. */
bool evtchn_lent(struct domain *d, unsigned port);
/* Sets the guest's port pending, for Margay's own channels. */
void evtchn_notify(struct domain *d, unsigned port);

/*
 * Moves v's event words to a registered page or shared_info. Marks all events pending, so that none
 * is lost. The page must stay (referenced) as long as v exists.
 */
void evtchn_move_vcpu_info(struct vcpu *v, struct vcpu_info *to);

/*
 * The vcpu_info of a vCPU with an id of XEN_LEGACY_MAX_VCPUS or more until the guest registers a
 * page. A vCPU with this vcpu_info receives no events.
 */
extern struct vcpu_info dummy_vcpu_info;

/* Adopts a change of d->shared_32bit, for the 2-level ABI. */
void evtchn_update_layout(struct domain *d);

/* Returns whether port is pending, for SCHEDOP_poll; -EINVAL if it is out of range. */
int evtchn_pending(struct domain *d, u32 port);

/*
 * SCHEDOP_poll: makes v (current) wait for one port (nr is 1) or for any port (nr > 1). v calls it
 * before it looks at the ports; a sender that sets one of them pending afterwards wakes v.
 */
void evtchn_poll_begin(struct vcpu *v, unsigned nr, unsigned port);
/* Ends v's poll. Returns whether it was still waiting. Any context. */
bool evtchn_poll_end(struct vcpu *v);

/* The EVENT_CHANNEL_OP operations on a domain, with Xen's errors. Ports are untrusted. */
int evtchn_alloc_unbound(struct domain *d, domid_t remote);
int evtchn_bind_interdomain(struct domain *ld, struct domain *rd, u32 rport);
int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu);
int evtchn_bind_ipi(struct domain *d, u32 vcpu);
int evtchn_bind_pirq(struct domain *d, u32 pirq);
/* Returns a PIRQ that is not bound, another at each call, or -ENOSPC. */
int evtchn_new_pirq(struct domain *d);
int evtchn_close(struct domain *d, u32 port);
int evtchn_send(struct domain *d, u32 port);
int evtchn_status(struct domain *d, u32 port, struct evtchn_status *st);
int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu);
int evtchn_unmask(struct domain *d, u32 port);
int evtchn_fifo_init_control(struct domain *d, u32 vcpu, gfn_t gfn, u32 offset);
int evtchn_fifo_expand_array(struct domain *d, gfn_t gfn);
int evtchn_fifo_set_priority(struct domain *d, u32 port, u32 priority);
/*
 * Closes all ports (Margay's own only if d is dying) and ends the FIFO ABI. Bounded steps:
 * -ERESTART until done.
 */
int evtchn_reset(struct domain *d);

/* Prints d's ports, for a console key. */
void evtchn_dump(struct domain *d);
