/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vLAPIC's timer, based on struct timer. Its bus clock is 1 GHz, so one tick at divide 1 is 1
 * ns of system time. Registers are written on the vCPU's own CPU; vlapic_timer_fired() may run on
 * another CPU when the vCPU has moved. SDM 3A 11.5.4.
 */

#include "guest.h"

/* The shortest period. Late ticks are merged into one. */
#define MIN_PERIOD 20000UL
#define FAR_FUTURE BIT(58) /* in TSC ticks: years away; keeps the conversion in range */

unsigned vlapic_divide_shift(u32 tdcr)
{
	unsigned code = (tdcr & 3) | (tdcr & 8) >> 1;

	return (code + 1) & 7;
}

/*
 * Returns the first expiry after t of a running timer. A one-shot has a single expiry, which may be
 * past.
 */
static stime_t next_expiry(const struct vlapic *vl, stime_t t)
{
	stime_t due = READ_ONCE(vl->expires), period = READ_ONCE(vl->period);

	return period && t >= due ? t + period - (t - due) % period : due;
}

/*
 * Rearms a periodic timer only if the guest can see this tick. If the last tick is still in IRR,
 * the timer is held until the vCPU takes an interrupt, so a vCPU that halts with interrupts off or
 * waits for a CPU costs nothing. held is set before IRR is read, since the vCPU clears its IRR bit
 * before it reads held.
 */
void vlapic_timer_fired(struct timer *t)
{
	struct vlapic *vl = container_of(t, struct vlapic, timer);
	bool periodic = READ_ONCE(vl->period);
	stime_t next = periodic ? next_expiry(vl, now()) : 0;

	WRITE_ONCE(vl->tsc_deadline, 0);
	WRITE_ONCE(vl->expires, next);
	WRITE_ONCE(vl->timer_held, periodic);
	if (vlapic_lvt_deliver(vl, LVT_TIMER) && periodic) {
		WRITE_ONCE(vl->timer_held, false);
		timer_set(t, next);
	}
}

/*
 * Stops the timer. When expires is 0, vlapic_timer_fired() has done everything but raise the
 * interrupt. The first timer_stop() waits for it; it may have rearmed the timer with the old
 * period.
 */
void vlapic_timer_stop(struct vlapic *vl)
{
	bool periodic = vl->period != 0;

	WRITE_ONCE(vl->period, 0);
	if (periodic || READ_ONCE(vl->expires))
		timer_stop(&vl->timer);
	if (periodic)
		timer_stop(&vl->timer);
	vl->expires = 0;
	vl->timer_held = false;
}

/* Arms the host timer for the next expiry after t, unless the LVT entry is masked. */
static void arm_host_timer(struct vlapic *vl, stime_t t)
{
	vl->timer_held = false;
	if (!vl->expires || (vl->lvt[LVT_TIMER] & LVT_MASKED))
		return;
	vl->expires = next_expiry(vl, t);
	if (vl->expires > t)
		timer_set(&vl->timer, vl->expires);
	else	/* a one-shot that expired while masked */
		vlapic_timer_stop(vl);
}

void vlapic_timer_resume(struct vlapic *vl)
{
	arm_host_timer(vl, now());
}

/* A timer that has expired raises its interrupt now, whatever the CPU does that it waits for. */
void vlapic_timer_settle(struct vlapic *vl)
{
	timer_stop(&vl->timer);	/* also waits for one that has fired */
	if (vl->expires && vl->expires <= now())
		vlapic_timer_fired(&vl->timer);
	else if (!vl->timer_held)
		vlapic_timer_resume(vl);
}

u32 vlapic_timer_count(const struct vlapic *vl)
{
	stime_t t, expires;

	if (!READ_ONCE(vl->expires) || (vl->lvt[LVT_TIMER] & LVT_DEADLINE))
		return 0;
	t = now();
	expires = next_expiry(vl, t);
	return expires > t ? (u32)((expires - t) >> vlapic_divide_shift(vl->tdcr)) : 0;
}

void vlapic_timer_load(struct vlapic *vl, u32 count)
{
	unsigned shift = vlapic_divide_shift(vl->tdcr);
	stime_t t = now();

	vlapic_timer_stop(vl);
	if (!count)
		return;
	if ((vl->lvt[LVT_TIMER] & LVT_MODE) == LVT_PERIODIC)
		WRITE_ONCE(vl->period, max((stime_t)vl->tmict << shift, MIN_PERIOD));
	vl->expires = t + ((stime_t)count << shift);
	arm_host_timer(vl, t);
}

void vlapic_timer_start(struct vlapic *vl, u32 count)
{
	if (vl->lvt[LVT_TIMER] & LVT_DEADLINE)
		return;
	vl->tmict = count;
	vlapic_timer_load(vl, count);
}

/* Changes the rate; the count continues from its current value. */
void vlapic_timer_divide(struct vlapic *vl, u32 tdcr)
{
	u32 count = vlapic_timer_count(vl);

	vl->tdcr = tdcr;
	if (count)
		vlapic_timer_load(vl, count);
}

/*
 * Stops the timer on a change to or from TSC-deadline mode; between the other modes the count
 * continues. A timer that was unmasked or has a new vector is visible to the guest again.
 */
void vlapic_timer_lvt(struct vlapic *vl, u32 old_lvt)
{
	u32 lvt = vl->lvt[LVT_TIMER], changed = (lvt ^ old_lvt) & LVT_MODE;

	if (changed & LVT_DEADLINE) {
		vlapic_timer_stop(vl);
		vl->tsc_deadline = 0;
		vl->tmict = 0;
	} else if (changed) {
		vlapic_timer_load(vl, vlapic_timer_count(vl));
	} else if ((old_lvt & ~lvt & LVT_MASKED) || vl->timer_held) {
		vlapic_timer_resume(vl);
	}
}

/* A masked timer expires without a host timer. */
static __noinline struct msr_read armed_deadline(const struct vcpu *v, u64 tsc)
{
	return (struct msr_read){ tsc <= rdtsc() + v->tsc_offset ? 0 : tsc, 0 };
}

struct msr_read vlapic_read_deadline(struct vcpu *v)
{
	u64 tsc = READ_ONCE(v->vlapic->tsc_deadline);

	return tsc ? armed_deadline(v, tsc) : (struct msr_read){ 0, 0 };
}

void vlapic_timer_deadline(struct vlapic *vl, u64 tsc)
{
	u64 guest_now = rdtsc() + vl->v->tsc_offset;
	stime_t t = now();

	if ((vl->lvt[LVT_TIMER] & LVT_MODE) != LVT_DEADLINE)
		return;
	vlapic_timer_stop(vl);
	if (tsc <= guest_now) {
		WRITE_ONCE(vl->tsc_deadline, 0);
		if (tsc)
			vlapic_lvt_deliver(vl, LVT_TIMER);
		return;
	}
	WRITE_ONCE(vl->tsc_deadline, tsc);
	/* Add one, so that the guest's TSC has reached the deadline when the guest reads it. */
	vl->expires = t + tsc_to_ns(min(tsc - guest_now, FAR_FUTURE)) + 1;
	arm_host_timer(vl, t);
}
