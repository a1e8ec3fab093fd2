/* SPDX-License-Identifier: BSD-2-Clause */
/* Event channels. xen/event_channel.h has the words of both ABIs, common/evtchn.c the objects. */
#ifndef MARGAY_EVTCHN_H
#define MARGAY_EVTCHN_H

#include <margay/vcpu.h>

int evtchn_init(struct domain *d);
/* Closes every port; peers become unbound. In bounded steps: -ERESTART until done. */
int evtchn_teardown(struct domain *d);
/* At the last domain_put(), after the teardown. */
void evtchn_free(struct domain *d);

/* Raises a VIRQ_*; a global one (not per vCPU) goes to vCPU 0's binding. Any context, no locks above. */
void evtchn_virq(struct vcpu *v, unsigned virq);
/* True for a VIRQ_* that is bound once per domain, not once per vCPU. */
bool virq_is_global(unsigned virq);

/* Margay's own end of a channel: called for d's events, in the sender's context, with no lock held. */
typedef void evtchn_margay_fn(struct domain *d);
/* The port, or -ENOSPC, -ENOMEM. */
int evtchn_alloc_margay(struct domain *d, evtchn_margay_fn *fn);
/* Sets the guest's port pending: for Margay's own channels. */
void evtchn_notify(struct domain *d, unsigned port);

/*
 * The guest's page or shared_info holds v's words from now on, instead of where they were; all events
 * are marked pending, so that none is lost. The page must stay (referenced) as long as v lives.
 */
void evtchn_move_vcpu_info(struct vcpu *v, struct vcpu_info *to);

/*
 * Where the vcpu_info of a vCPU from XEN_LEGACY_MAX_VCPUS on is before the guest registers a page.
 * Nothing is delivered to a vCPU whose info is this.
 */
extern struct vcpu_info dummy_vcpu_info;

/* Whether port is pending, for SCHEDOP_poll; -EINVAL if it is out of range. */
int evtchn_pending(struct domain *d, u32 port);

/*
 * SCHEDOP_poll: v (current) waits for any event, one port (when nr is 1) or any port (more). Called
 * before v looks at the ports; whoever sets one of them pending from then on wakes v.
 */
void evtchn_poll_begin(struct vcpu *v, unsigned nr, unsigned port);
/* Ends v's poll; true if it was still waiting. Any context. */
bool evtchn_poll_end(struct vcpu *v);

/* The operations of EVENT_CHANNEL_OP on a domain, with Xen's errors. Ports are as the guest gave them. */
int evtchn_alloc_unbound(struct domain *d, domid_t remote);
int evtchn_bind_interdomain(struct domain *ld, struct domain *rd, u32 rport);
int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu);
int evtchn_bind_ipi(struct domain *d, u32 vcpu);
int evtchn_close(struct domain *d, u32 port);
int evtchn_send(struct domain *d, u32 port);
int evtchn_status(struct domain *d, u32 port, struct evtchn_status *st);
int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu);
int evtchn_unmask(struct domain *d, u32 port);
int evtchn_fifo_init_control(struct domain *d, u32 vcpu, gfn_t gfn, u32 offset);
int evtchn_fifo_expand_array(struct domain *d, gfn_t gfn);
int evtchn_fifo_set_priority(struct domain *d, u32 port, u32 priority);
/* Closes all ports, but Margay's own only once d dies, and ends the FIFO ABI. In bounded steps: -ERESTART until done. */
int evtchn_reset(struct domain *d);

/* For the console's keys. */
void evtchn_dump(struct domain *d);

#endif
