/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: the shared info page, thin wrappers of event_channel_op that return the new port
 * or a negative error, and delivery of upcalls to per-port handlers.
 */
#ifndef GUEST_EVENTS_H
#define GUEST_EVENTS_H

#include "cpu.h"

#define NR_EVENT_CHANNELS	4096u	/* the 2-level ABI on x86_64 */
#define UPCALL_VECTOR		0xf3

extern struct shared_info *shared_info;

/* Maps the shared info page into a hole of the memory map and masks every port. */
void events_init(void);

/*
 * Returns the vcpu_info that vCPU id uses until it registers another: in shared_info, or outside
 * of it for vCPU 32 and up.
 */
struct vcpu_info *shared_vcpu_info(unsigned int id);

long evtchn_alloc_unbound(domid_t remote);
long evtchn_bind_interdomain(domid_t remote, evtchn_port_t remote_port);
/* Opens a channel from the domain to itself; the new ports are not pending. */
void evtchn_to_self(evtchn_port_t *a, evtchn_port_t *b);
long evtchn_bind_virq(unsigned int virq, unsigned int vcpu);
long evtchn_bind_ipi(unsigned int vcpu);
long evtchn_bind_vcpu(evtchn_port_t port, unsigned int vcpu);
long evtchn_send(evtchn_port_t port);
long evtchn_close(evtchn_port_t port);
long evtchn_unmask(evtchn_port_t port);
long evtchn_status(evtchn_port_t port, struct evtchn_status *st);

bool evtchn_pending(evtchn_port_t port);
bool evtchn_clear(evtchn_port_t port);		/* true if it was pending */
void evtchn_mask(evtchn_port_t port);
void evtchn_clear_mask(evtchn_port_t port);	/* clears the bit only; delivers nothing */

/* Delivers upcalls of all vCPUs through the callback vector. */
long upcall_by_callback(uint8_t vector);

/* Delivers upcalls of one vCPU through its LAPIC. */
long upcall_by_vector(unsigned int vcpu, uint8_t vector);

/*
 * Sets a port's handler. It runs on the vCPU that got the event, after the pending bit is cleared.
 */
void evtchn_set_handler(evtchn_port_t port, void (*handler)(evtchn_port_t port));

#endif
