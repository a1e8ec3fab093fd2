/* SPDX-License-Identifier: BSD-2-Clause */
/* event_channel_op: decodes the arguments for common/evtchn.c. xen/event_channel.h */
#include "hypercall_priv.h"

union evtchn_arg {
	evtchn_port_t port;
	struct evtchn_alloc_unbound alloc;
	struct evtchn_bind_interdomain inter;
	struct evtchn_bind_virq virq;
	struct evtchn_bind_ipi ipi;
	struct evtchn_bind_pirq pirq;
	struct evtchn_status status;
	struct evtchn_bind_vcpu vcpu;
	struct evtchn_reset reset;
	struct evtchn_init_control control;
	struct evtchn_expand_array array;
	struct evtchn_set_priority priority;
};

/* The size of each operation's argument (0: not served), and the offset of a new port. */
static const struct {
	u8 size, port;
} ops[] = {
#define OP(name) [EVTCHNOP_##name] = { sizeof(struct evtchn_##name), 0 }
#define OP_PORT(name, port) \
	[EVTCHNOP_##name] = { sizeof(struct evtchn_##name), offsetof(struct evtchn_##name, port) }
	OP(unmask), OP(close), OP(status), OP(bind_vcpu), OP(reset), OP(init_control),
	OP(expand_array), OP(set_priority),
	OP_PORT(alloc_unbound, port), OP_PORT(bind_interdomain, local_port),
	OP_PORT(bind_virq, port), OP_PORT(bind_ipi, port), OP_PORT(bind_pirq, port),
};

/* Returns the domain that an operation concerns: the caller, unless the argument names one. */
static domid_t target(u32 op, const union evtchn_arg *a)
{
	switch (op) {
	case EVTCHNOP_alloc_unbound: return a->alloc.dom;
	case EVTCHNOP_status: return a->status.dom;
	case EVTCHNOP_reset: return a->reset.dom;
	default: return DOMID_SELF;
	}
}

static int bind_interdomain(struct domain *d, domid_t remote, u32 port)
{
	struct domain *rd puts_domain = domain_get(remote == DOMID_SELF ? d->id : remote);

	return rd ? evtchn_bind_interdomain(d, rd, port) : -ESRCH;
}

/* Does the operation on d. Returns 0, a new port, or an error. */
static int operate(struct vcpu *v, u32 op, union evtchn_arg *a, struct domain *d)
{
	switch (op) {
	case EVTCHNOP_unmask: return evtchn_unmask(d, a->port);
	case EVTCHNOP_close: return evtchn_close(d, a->port);
	case EVTCHNOP_alloc_unbound:
		return evtchn_alloc_unbound(
			d, a->alloc.remote_dom == DOMID_SELF ? v->domain->id : a->alloc.remote_dom);
	case EVTCHNOP_bind_interdomain:
		return bind_interdomain(d, a->inter.remote_dom, a->inter.remote_port);
	case EVTCHNOP_bind_virq: return evtchn_bind_virq(d, a->virq.virq, a->virq.vcpu);
	case EVTCHNOP_bind_ipi: return evtchn_bind_ipi(d, a->ipi.vcpu);
	case EVTCHNOP_bind_pirq: return evtchn_bind_pirq(d, a->pirq.pirq);
	case EVTCHNOP_status: return evtchn_status(d, a->status.port, &a->status);
	case EVTCHNOP_bind_vcpu: return evtchn_bind_vcpu(d, a->vcpu.port, a->vcpu.vcpu);
	case EVTCHNOP_init_control:
		a->control.link_bits = EVTCHN_FIFO_LINK_BITS;
		return evtchn_fifo_init_control(d, a->control.vcpu, a->control.control_gfn,
						a->control.offset);
	case EVTCHNOP_expand_array: return evtchn_fifo_expand_array(d, a->array.array_gfn);
	case EVTCHNOP_set_priority:
		return evtchn_fifo_set_priority(d, a->priority.port, a->priority.priority);
	default: /* reset, of the caller only: another domain would have to be paused */
		return d == v->domain ? evtchn_reset(d) : -EINVAL;
	}
}

static __noinline long rare_op(struct vcpu *v, struct regs *h)
{
	u32 op = (u32)h->rdi;
	union evtchn_arg a;
	struct domain *d puts_domain = NULL;
	int ret;

	if (op >= ARRAY_SIZE(ops) || !ops[op].size)
		return hcall_unsupported(v, "event_channel_op", h->rdi);
	op = (u32)index_nospec(op, ARRAY_SIZE(ops));
	if (copy_from_guest(&a, h->rsi, ops[op].size))
		return -EFAULT;
	ret = hcall_domain(v, target(op, &a), &d);
	if (ret)
		return ret;
	ret = operate(v, op, &a, d);
	if (ret < 0 || (!ops[op].port && op != EVTCHNOP_status && op != EVTCHNOP_init_control))
		return ret;
	if (ops[op].port)
		memcpy((char *)&a + ops[op].port, &ret, sizeof(evtchn_port_t));
	return copy_to_guest(h->rsi, &a, ops[op].size);
}

long do_event_channel_op(struct vcpu *v, struct regs *h)
{
	evtchn_port_t port;

	if (unlikely((s32)h->rdi != EVTCHNOP_send))
		return rare_op(v, h);
	return guest_read(&port, h->rsi, 0) ? -EFAULT : evtchn_send(v->domain, port);
}
