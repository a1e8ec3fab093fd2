/* SPDX-License-Identifier: BSD-2-Clause */
/* sched_op: a guest yields the CPU, waits for events, or shuts down. xen/sched.h */
#include <margay/sched.h>

#include "hypercall_priv.h"

#define POLL_MAX 128U

/* Reads each port once. Sets *hit if one of them is pending. */
static int poll_check(struct domain *d, gvaddr_t ports, unsigned nr, bool *hit)
{
	for (unsigned i = 0; i < nr && !*hit; i++) {
		evtchn_port_t port;
		int pending;

		if (guest_read(&port, ports, i))
			return -EFAULT;
		pending = evtchn_pending(d, port);
		if (pending < 0)
			return pending;
		*hit = pending;
	}
	return 0;
}

static long sched_op_poll(struct vcpu *v, gvaddr_t arg)
{
	struct sched_poll sp;
	evtchn_port_t only = 0;
	bool hit;
	int err;

	if (guest_read(&sp, arg, 0))
		return -EFAULT;
	if (sp.nr_ports > POLL_MAX)
		return -EINVAL;
	if (sp.nr_ports == 1 && guest_read(&only, handle_va(sp.ports), 0))
		return -EFAULT;
	timer_stop(&v->poll_timer);

	/*
	 * Become visible as a poller and block, then check the ports. A sender does this in the
	 * reverse order, so one of the two sees the event. A wake-up undoes the block. A list of
	 * more than one port is woken by every port, as in Xen.
	 */
	evtchn_poll_begin(v, sp.nr_ports == 1 ? 1 : 2, only);
	vcpu_block(v);
	hit = !READ_ONCE(v->poll_ports);
	err = poll_check(v->domain, handle_va(sp.ports), sp.nr_ports, &hit);
	if (hit || err) {
		evtchn_poll_end(v);
		vcpu_wake(v);
		return err;
	}
	if (sp.timeout)
		timer_set(&v->poll_timer, sp.timeout);
	return 0;
}

static long sched_op_watchdog(struct domain *d, u32 id, u32 timeout)
{
	long ret = 0;

	if (id > ARRAY_SIZE(d->watchdog))
		return -EINVAL;
	spin_lock(&d->lock);
	if (!id) {
		while (id < ARRAY_SIZE(d->watchdog) && d->watchdog_inuse & 1U << id)
			id++;
		ret = id < ARRAY_SIZE(d->watchdog) ? (long)id + 1 : -ENOSPC;
		if (ret > 0)
			d->watchdog_inuse |= 1U << id++;
	} else if (!(d->watchdog_inuse & 1U << (id - 1))) {
		ret = -EINVAL;
	} else if (!timeout) {
		d->watchdog_inuse &= ~(1U << (id - 1));
	}
	spin_unlock(&d->lock);
	if (ret < 0)
		return ret;
	/* Not under the lock, which the timer's function may take. Races harm only this guest. */
	id = (u32)index_nospec(id - 1, ARRAY_SIZE(d->watchdog));
	if (ret || timeout)
		timer_set(&d->watchdog[id], now() + timeout * NS_PER_S);
	else
		timer_stop(&d->watchdog[id]);
	return ret;
}

static __noinline long sched_op_other(struct vcpu *v, struct regs *h)
{
	struct domain *d = v->domain;
	gvaddr_t arg = h->rsi;

	switch ((s32)h->rdi) {
	case SCHEDOP_block:
		v->info->evtchn_upcall_mask = 0;
		evtchn_poll_end(v);
		vcpu_block(v);
		return 0;
	case SCHEDOP_poll:
		return sched_op_poll(v, arg);
	case SCHEDOP_shutdown:
	case SCHEDOP_shutdown_code: {
		struct sched_shutdown s;

		if (guest_read(&s, arg, 0))
			return -EFAULT;
		if ((s32)h->rdi == SCHEDOP_shutdown) {
			domain_shutdown(d, (u8)s.reason);
			return 0;
		}
		guard(&d->lock);
		if (d->shutdown_code == SHUTDOWN_CODE_NONE)
			d->shutdown_code = (u8)s.reason;
		return 0;
	}
	case SCHEDOP_watchdog: {
		struct sched_watchdog w;

		return guest_read(&w, arg, 0) ? -EFAULT : sched_op_watchdog(d, w.id, w.timeout);
	}
	case SCHEDOP_remote_shutdown: {
		struct sched_remote_shutdown s;
		int err = guest_read(&s, arg, 0)    ? -EFAULT :
			  s.domain_id == DOMID_SELF ? -ESRCH :	/* as on Xen */
						      hcall_own_domain(v, s.domain_id);

		return err ? err : -EPERM;
	}
	case SCHEDOP_pin_override:
		return -EPERM;
	default:
		return hcall_unsupported(v, "sched_op", h->rdi);
	}
}

long do_sched_op(struct vcpu *v, struct regs *h)
{
	if ((s32)h->rdi != SCHEDOP_yield)
		return sched_op_other(v, h);
	vcpu_yield(v);
	return 0;
}
