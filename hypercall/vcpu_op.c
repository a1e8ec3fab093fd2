/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu_op and set_timer_op: start and stop vCPUs, and arm their timers. common/domain/vcpu_area.c
 * has the areas that a guest registers per vCPU. xen/vcpu.h
 */
#include <margay/sched.h>

#include "hypercall_priv.h"

#define PERIOD_MIN 1000000UL	/* ns */
#define PERIOD_MAX (~0UL >> 2)
#define NS_PER_MS 1000000UL
/* A later deadline (13 days) is a guest's error or its way to say "none". */
#define TIMEOUT_MAX (1UL << 50)

static bool is_up(const struct vcpu *v)
{
	return READ_ONCE(v->state) != RUN_OFFLINE;
}

static long vcpu_op_initialise(struct vcpu *v, gvaddr_t arg)
{
	struct vcpu_hvm_context ctx;
	long ret;

	if (v->info == &dummy_vcpu_info)
		return -EINVAL;
	if (guest_read(&ctx, arg, 0))
		return -EFAULT;
	guard(&v->domain->lock);
	if (v->initialised)
		return -EEXIST;
	/* After an INIT, v may still be on its way off a CPU. */
	vcpu_hold(v, 1);
	ret = READ_ONCE(v->on_cpu) ? -ERESTART : arch_vcpu_set_context(v, &ctx);
	/* A restart leaves v to what it does on its CPU, such as a SIPI. */
	if (!ret)
		v->initialised = true;
	vcpu_release(v);
	return ret;
}

static long vcpu_op_up(struct vcpu *v)
{
	guard(&v->domain->lock);
	if (!v->initialised)
		return -EINVAL;
	if (!is_up(v))
		vcpu_up(v);
	return 0;
}

/*
 * Takes v down; the last vCPU shuts the domain down. With the lock, the second of two concurrent
 * calls sees the first.
 */
static long vcpu_op_down(struct vcpu *v)
{
	struct domain *d = v->domain;
	bool last = true;

	guard(&d->lock);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		last &= d->vcpus[i] == v || !is_up(d->vcpus[i]);
	if (last)
		domain_shutdown(d, SHUTDOWN_poweroff);
	else if (is_up(v))
		vcpu_down(v);
	return 0;
}

static long set_periodic(struct vcpu *v, gvaddr_t arg)
{
	struct vcpu_set_periodic_timer set;

	if (guest_read(&set, arg, 0))
		return -EFAULT;
	if (set.period_ns < PERIOD_MIN || set.period_ns > PERIOD_MAX)
		return -EINVAL;
	guard(&v->domain->lock);
	WRITE_ONCE(v->period, set.period_ns);
	timer_set(&v->periodic, now() + set.period_ns);
	return 0;
}

static long set_singleshot(struct vcpu *v, gvaddr_t arg)
{
	struct vcpu_set_singleshot_timer set;

	if (guest_read(&set, arg, 0))
		return -EFAULT;
	if (set.flags & VCPU_SSHOTTMR_future && set.timeout_abs_ns < now())
		return -ETIME;
	timer_set(&v->timer, set.timeout_abs_ns);
	return 0;
}

static __noinline long vcpu_op_other(struct vcpu *cur, struct vcpu *v, s32 op, gvaddr_t arg)
{
	switch (op) {
	case VCPUOP_set_singleshot_timer:	/* of another vCPU */
		return -EINVAL;
	case VCPUOP_stop_singleshot_timer:
		if (v != cur)
			return -EINVAL;
		timer_stop(&v->timer);
		return 0;
	case VCPUOP_set_periodic_timer:
		return set_periodic(v, arg);
	case VCPUOP_stop_periodic_timer:
		WRITE_ONCE(v->period, 0);
		timer_stop(&v->periodic);
		return 0;
	case VCPUOP_initialise: return vcpu_op_initialise(v, arg);
	case VCPUOP_up: return vcpu_op_up(v);
	case VCPUOP_down: return vcpu_op_down(v);
	case VCPUOP_is_up: return is_up(v);
	case VCPUOP_get_runstate_info: {
		struct vcpu_runstate_info info;

		vcpu_runstate(v, &info);
		return guest_write(arg, 0, &info);
	}
	case VCPUOP_register_runstate_memory_area: return register_runstate(cur, v, arg);
	case VCPUOP_register_vcpu_info: return register_vcpu_info(cur, v, arg);
	case VCPUOP_register_vcpu_time_memory_area: return register_time(cur, v, arg);
	case VCPUOP_send_nmi:
		if (arg)
			return -EINVAL;
		v->nmi_pending = true;
		vcpu_post(v, VCPU_WORK_NMI);
		vcpu_wake(v);
		return 0;
	case VCPUOP_get_physid: /* only for an initial domain with pinned vCPUs */
		return -EINVAL;
	default:
		return hcall_unsupported(cur, "vcpu_op", (u64)op);
	}
}

long do_vcpu_op(struct vcpu *cur, struct regs *h)
{
	gvaddr_t arg = h->rdx;
	struct vcpu *v;

	/* By far the most frequent operation: Linux calls it twice per tick or sleep. */
	if (likely((s32)h->rdi == VCPUOP_set_singleshot_timer && (u32)h->rsi == cur->id))
		return set_singleshot(cur, arg);
	v = domain_vcpu(cur->domain, (u32)h->rsi);
	return v ? vcpu_op_other(cur, v, (s32)h->rdi, arg) : -ENOENT;
}

long do_set_timer_op(struct vcpu *v, struct regs *h)
{
	stime_t at = h->rdi, t;

	if (!at) {
		timer_stop(&v->timer);
		return 0;
	}
	t = now();
	/* Also catches times with the sign bit set. The guest rearms the timer at the event. */
	if (unlikely(at > t && at - t > TIMEOUT_MAX))
		at = t + 100 * NS_PER_MS;
	timer_set(&v->timer, at);
	return 0;
}
