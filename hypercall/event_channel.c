/* SPDX-License-Identifier: BSD-2-Clause */
/* event_channel_op: takes the arguments apart for common/evtchn.c. xen/event_channel.h */
#include "hypercall_priv.h"

union evtchn_arg {
	evtchn_port_t port;
	struct evtchn_alloc_unbound alloc;
	struct evtchn_bind_interdomain inter;
	struct evtchn_bind_virq virq;
	struct evtchn_bind_ipi ipi;
	struct evtchn_status status;
	struct evtchn_bind_vcpu vcpu;
	struct evtchn_reset reset;
};

/* The length of an operation's argument; 0: not served. */
static size_t arg_size(s32 op)
{
	switch (op) {
	case EVTCHNOP_unmask:
	case EVTCHNOP_close: return sizeof(evtchn_port_t);
	case EVTCHNOP_alloc_unbound: return sizeof(struct evtchn_alloc_unbound);
	case EVTCHNOP_bind_interdomain: return sizeof(struct evtchn_bind_interdomain);
	case EVTCHNOP_bind_virq: return sizeof(struct evtchn_bind_virq);
	case EVTCHNOP_bind_ipi: return sizeof(struct evtchn_bind_ipi);
	case EVTCHNOP_status: return sizeof(struct evtchn_status);
	case EVTCHNOP_bind_vcpu: return sizeof(struct evtchn_bind_vcpu);
	case EVTCHNOP_reset: return sizeof(struct evtchn_reset);
	default: return 0;
	}
}

/* The domain that an operation is about: the caller, but where the argument names one. */
static int target(struct vcpu *v, s32 op, const union evtchn_arg *a, struct domain **d)
{
	switch (op) {
	case EVTCHNOP_alloc_unbound:
		return hcall_domain(v, a->alloc.dom, d);
	case EVTCHNOP_status:
		return hcall_domain(v, a->status.dom, d);
	case EVTCHNOP_reset:
		return hcall_domain(v, a->reset.dom, d);
	case EVTCHNOP_bind_interdomain:
		*d = domain_get(a->inter.remote_dom);
		break;
	default:
		*d = domain_get(DOMID_SELF);
	}
	return *d ? 0 : -ESRCH;
}

/* Does it; a new port goes to *port. */
static int operate(struct vcpu *v, s32 op, union evtchn_arg *a, struct domain *d,
		   evtchn_port_t **port)
{
	switch (op) {
	case EVTCHNOP_unmask:
		return evtchn_unmask(d, a->port);
	case EVTCHNOP_close:
		return evtchn_close(d, a->port);
	case EVTCHNOP_alloc_unbound:
		*port = &a->alloc.port;
		return evtchn_alloc_unbound(
			d, a->alloc.remote_dom == DOMID_SELF ? v->domain->id : a->alloc.remote_dom);
	case EVTCHNOP_bind_interdomain:
		*port = &a->inter.local_port;
		return evtchn_bind_interdomain(v->domain, d, a->inter.remote_port);
	case EVTCHNOP_bind_virq:
		*port = &a->virq.port;
		return evtchn_bind_virq(d, a->virq.virq, a->virq.vcpu);
	case EVTCHNOP_bind_ipi:
		*port = &a->ipi.port;
		return evtchn_bind_ipi(d, a->ipi.vcpu);
	case EVTCHNOP_status:
		return evtchn_status(d, a->status.port, &a->status);
	case EVTCHNOP_bind_vcpu:
		return evtchn_bind_vcpu(d, a->vcpu.port, a->vcpu.vcpu);
	default: /* reset; another domain would have to be paused for it, which nobody can do yet */
		return d == v->domain ? evtchn_reset(d) : -EINVAL;
	}
}

static __noinline long rare_op(struct vcpu *v, struct hcall_args *h)
{
	s32 op = (s32)h->a[0];
	size_t size = arg_size(op);
	evtchn_port_t *port = NULL;
	union evtchn_arg a;
	struct domain *d;
	int ret;

	if (!size)
		return hcall_unsupported(v, "event_channel_op", h->a[0]);
	if (copy_from_guest(&a, h->a[1], size))
		return -EFAULT;
	ret = target(v, op, &a, &d);
	if (ret)
		return ret;
	ret = operate(v, op, &a, d, &port);
	domain_put(d);
	if (ret < 0 || (!port && op != EVTCHNOP_status))
		return ret;
	if (port)
		*port = (evtchn_port_t)ret;
	return copy_to_guest(h->a[1], &a, size);
}

long do_event_channel_op(struct vcpu *v, struct hcall_args *h)
{
	evtchn_port_t port;

	if (unlikely((s32)h->a[0] != EVTCHNOP_send))
		return rare_op(v, h);
	return guest_read(&port, h->a[1], 0) ? -EFAULT : evtchn_send(v->domain, port);
}
