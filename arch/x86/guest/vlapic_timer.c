/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vLAPIC's timer over struct timer. Its bus clock is 1 GHz, so one tick at divide 1 is a nanosecond
 * of system time. Registers are written on the vCPU's own CPU; vlapic_timer_fired() may run on another one when
 * the vCPU has moved since. SDM 3A 11.5.4.
 */
#include <margay/arch.h>
#include <x86/features.h>
#include <x86/vlapic.h>

#include "guest.h"

/* A guest's periodic timer costs the CPU where it was armed; ticks that come late are one. */
#define MIN_PERIOD 20000UL
#define FAR_FUTURE BIT(58) /* in TSC ticks, years; keeps the conversion in range */

static unsigned divide_shift(u32 tdcr)
{
	unsigned code = (tdcr & 3) | (tdcr & 8) >> 1;

	return (code + 1) & 7;
}

void vlapic_timer_fired(struct timer *t)
{
	struct vlapic *vl = container_of(t, struct vlapic, timer);
	stime_t period = READ_ONCE(vl->period), due = READ_ONCE(vl->expires), next, late = now();

	WRITE_ONCE(vl->tsc_deadline, 0);
	if (period) {
		next = due + period;
		if (next <= late)
			next = late + period - (late - due) % period;
		WRITE_ONCE(vl->expires, next);
		timer_set(t, next);
	} else {
		WRITE_ONCE(vl->expires, 0);
	}
	vlapic_lvt_deliver(vl, LVT_TIMER);
}

/*
 * When expires is 0, vlapic_timer_fired() has done all but raise the interrupt. The first stop waits for it; it
 * may have armed itself again with the old period.
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
}

u32 vlapic_timer_count(const struct vlapic *vl)
{
	stime_t expires = READ_ONCE(vl->expires), t = now();

	if (!expires || (vl->lvt[LVT_TIMER] & LVT_DEADLINE))
		return 0;
	return expires > t ? (u32)((expires - t) >> divide_shift(vl->tdcr)) : 0;
}

static void arm(struct vlapic *vl, u32 count)
{
	unsigned shift = divide_shift(vl->tdcr);

	vlapic_timer_stop(vl);
	if (!count)
		return;
	if ((vl->lvt[LVT_TIMER] & LVT_MODE) == LVT_PERIODIC)
		WRITE_ONCE(vl->period, max((stime_t)vl->tmict << shift, MIN_PERIOD));
	vl->expires = now() + ((stime_t)count << shift);
	timer_set(&vl->timer, vl->expires);
}

void vlapic_timer_start(struct vlapic *vl, u32 count)
{
	if (vl->lvt[LVT_TIMER] & LVT_DEADLINE)
		return;
	vl->tmict = count;
	arm(vl, count);
}

/* The count goes on from where it is, at the new rate. */
void vlapic_timer_divide(struct vlapic *vl, u32 tdcr)
{
	u32 count = vlapic_timer_count(vl);

	vl->tdcr = tdcr;
	if (count)
		arm(vl, count);
}

/* To and from TSC-deadline mode the timer stops; between the other two the count goes on. */
void vlapic_timer_lvt(struct vlapic *vl, u32 old_lvt)
{
	u32 changed = (vl->lvt[LVT_TIMER] ^ old_lvt) & LVT_MODE;

	if (changed & LVT_DEADLINE) {
		vlapic_timer_stop(vl);
		vl->tsc_deadline = 0;
		vl->tmict = 0;
	} else if (changed) {
		arm(vl, vlapic_timer_count(vl));
	}
}

void vlapic_timer_deadline(struct vlapic *vl, u64 tsc)
{
	u64 guest_now = rdtsc() + vl->v->tsc_offset;

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
	/* One more, so that the guest's TSC has reached the deadline when it looks. */
	vl->expires = now() + tsc_to_ns(min(tsc - guest_now, FAR_FUTURE)) + 1;
	timer_set(&vl->timer, vl->expires);
}
