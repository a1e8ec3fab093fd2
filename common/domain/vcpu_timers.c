/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timers that hypercalls arm for vCPUs and domains: VIRQ_TIMER (single-shot and periodic), poll
 * timeouts, watchdogs.
 */
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/sched.h>

#define UNSEEN_TICK_NS 100000000UL

static void singleshot_fn(struct timer *t)
{
	struct vcpu *v = container_of(t, struct vcpu, timer);

	vcpu_early_timer_fired(v, t);
	evtchn_virq(v, VIRQ_TIMER);
}

/* Returns whether a tick goes unnoticed: v does not run, and has no port or a pending tick. */
static bool tick_unseen(const struct vcpu *v)
{
	unsigned port = READ_ONCE(v->virq_port[VIRQ_TIMER]);

	return READ_ONCE(v->state) != RUN_RUNNING && (!port || evtchn_pending(v->domain, port));
}

static void periodic_fn(struct timer *t)
{
	struct vcpu *v = container_of(t, struct vcpu, periodic);
	stime_t period = READ_ONCE(v->period), t0 = now(), next;

	if (!period)
		return;
	/* Keep ticking slowly: another vCPU may clear the port. */
	if (tick_unseen(v)) {
		period = max(period, UNSEEN_TICK_NS);
		v->slow_tick = true;
	} else {
		evtchn_virq(v, VIRQ_TIMER);
	}
	next = t->expires + period;
	/* Missed ticks are not made up. */
	timer_set(t, next > t0 ? next : t0 + period);
}

static void poll_fn(struct timer *t)
{
	struct vcpu *v = container_of(t, struct vcpu, poll_timer);

	if (evtchn_poll_end(v))
		vcpu_wake(v);
}

void vcpu_timers_init(struct vcpu *v)
{
	timer_init(&v->timer, singleshot_fn);
	v->timer.early = true;
	timer_init(&v->periodic, periodic_fn);
	timer_init(&v->poll_timer, poll_fn);
	v->timer.owner = v->periodic.owner = v->poll_timer.owner = v;
}

void vcpu_timers_follow(struct vcpu *v)
{
	v->moved = false;
	timer_follow(&v->timer);
	timer_follow(&v->periodic);
	timer_follow(&v->poll_timer);
	timer_follow(v->arch_timer);
}

void vcpu_timers_resume(struct vcpu *v)
{
	v->slow_tick = false;
	if (READ_ONCE(v->period))
		timer_set(&v->periodic, now() + v->period);
}

static void vcpu_timers_stop(struct vcpu *v)
{
	WRITE_ONCE(v->period, 0);
	timer_stop(&v->timer);
	timer_stop(&v->periodic);
	timer_stop(&v->poll_timer);
}

static void watchdog0_fn(struct timer *t)
{
	domain_shutdown(container_of(t, struct domain, watchdog[0]), SHUTDOWN_watchdog);
}

static void watchdog1_fn(struct timer *t)
{
	domain_shutdown(container_of(t, struct domain, watchdog[1]), SHUTDOWN_watchdog);
}

static int timers_create(struct domain *d)
{
	timer_init(&d->watchdog[0], watchdog0_fn);
	timer_init(&d->watchdog[1], watchdog1_fn);
	return 0;
}

/* Stops the timers of a bounded number of vCPUs. */
static int timers_destroy(struct domain *d)
{
	unsigned left = TIMERS_AT_ONCE;

	timer_stop(&d->watchdog[0]);
	timer_stop(&d->watchdog[1]);
	for (; d->timers_stopped < d->nr_vcpus && left--; d->timers_stopped++)
		vcpu_timers_stop(d->vcpus[d->timers_stopped]);
	return d->timers_stopped < d->nr_vcpus ? -ERESTART : 0;
}

const struct domain_part timers_part = { .create = timers_create, .destroy = timers_destroy };
