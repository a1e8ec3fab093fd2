/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers named in hypercalls.def. Private to hypercall/. */
#pragma once

#include <margay/evtchn.h>
#include <margay/hypercall.h>

#define HYPERCALL(nr, name, handler, who) hcall_fn handler;
#include <margay/hypercalls.def>

/* Checks that id is the caller's own domain: returns 0, hcall_domain()'s error, or -EPERM. */
int hcall_own_domain(struct vcpu *v, domid_t id);

/* Returns another domain, for operations that a control domain does to others. As hcall_domain(). */
int hcall_foreign(struct vcpu *v, domid_t id, struct domain **d);

/* Describes d, in any state, for the tools. domain_info.c */
struct xen_domctl_getdomaininfo;
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* Counts the current call under operation sub instead of its first argument. */
void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub);

/* Parts of do_margay_op(), in observe.c. */
struct margay_op;
long margay_stat(struct vcpu *v, struct margay_op *op);
long margay_trace(struct margay_op *op);

/* The address in a guest handle; in the 64-bit ABI handles are plain pointers. */
#define handle_va(h) ((gvaddr_t)(h).p)
