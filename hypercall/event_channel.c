/* SPDX-License-Identifier: BSD-2-Clause */
/* event_channel_op: takes the arguments apart for common/evtchn.c. xen/event_channel.h */
#include <margay/evtchn.h>

#include "hypercall_priv.h"

static int alloc_unbound(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_alloc_unbound a;
	struct domain *d;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = hcall_domain(v, a.dom, &d);
	if (ret)
		return ret;
	ret = evtchn_alloc_unbound(d, a.remote_dom == DOMID_SELF ? v->domain->id : a.remote_dom);
	domain_put(d);
	if (ret < 0)
		return ret;
	a.port = (evtchn_port_t)ret;
	return guest_write(arg, 0, &a);
}

static int bind_interdomain(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_bind_interdomain a;
	struct domain *rd;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	rd = domain_get(a.remote_dom);
	if (!rd)
		return -ESRCH;
	ret = evtchn_bind_interdomain(v->domain, rd, a.remote_port);
	domain_put(rd);
	if (ret < 0)
		return ret;
	a.local_port = (evtchn_port_t)ret;
	return guest_write(arg, 0, &a);
}

static int bind_virq(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_bind_virq a;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = evtchn_bind_virq(v->domain, a.virq, a.vcpu);
	if (ret < 0)
		return ret;
	a.port = (evtchn_port_t)ret;
	return guest_write(arg, 0, &a);
}

static int bind_ipi(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_bind_ipi a;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = evtchn_bind_ipi(v->domain, a.vcpu);
	if (ret < 0)
		return ret;
	a.port = (evtchn_port_t)ret;
	return guest_write(arg, 0, &a);
}

static int status(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_status a;
	struct domain *d;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = hcall_domain(v, a.dom, &d);
	if (ret)
		return ret;
	ret = evtchn_status(d, a.port, &a);
	domain_put(d);
	return ret ? ret : guest_write(arg, 0, &a);
}

static int bind_vcpu(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_bind_vcpu a;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	return evtchn_bind_vcpu(v->domain, a.port, a.vcpu);
}

static int reset(struct vcpu *v, gvaddr_t arg)
{
	struct evtchn_reset a;
	struct domain *d;
	int ret;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	ret = hcall_domain(v, a.dom, &d);
	if (ret)
		return ret;
	/* Another domain would have to be paused for it, which nobody can do yet. */
	ret = d == v->domain ? evtchn_reset(d) : -EINVAL;
	domain_put(d);
	return ret;
}

static __noinline long rare_op(struct vcpu *v, struct hcall_args *h)
{
	gvaddr_t arg = h->a[1];
	evtchn_port_t port;

	switch ((s32)h->a[0]) {
	case EVTCHNOP_unmask:
		return guest_read(&port, arg, 0) ? -EFAULT : evtchn_unmask(v->domain, port);
	case EVTCHNOP_close:
		return guest_read(&port, arg, 0) ? -EFAULT : evtchn_close(v->domain, port);
	case EVTCHNOP_alloc_unbound:
		return alloc_unbound(v, arg);
	case EVTCHNOP_bind_interdomain:
		return bind_interdomain(v, arg);
	case EVTCHNOP_bind_virq:
		return bind_virq(v, arg);
	case EVTCHNOP_bind_ipi:
		return bind_ipi(v, arg);
	case EVTCHNOP_status:
		return status(v, arg);
	case EVTCHNOP_bind_vcpu:
		return bind_vcpu(v, arg);
	case EVTCHNOP_reset:
		return reset(v, arg);
	default:
		return hcall_unsupported(v, "event_channel_op", h->a[0]);
	}
}

long do_event_channel_op(struct vcpu *v, struct hcall_args *h)
{
	evtchn_port_t port;

	if (unlikely((s32)h->a[0] != EVTCHNOP_send))
		return rare_op(v, h);
	return guest_read(&port, h->a[1], 0) ? -EFAULT : evtchn_send(v->domain, port);
}
