/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 2-level ABI: bits in shared_info, and a selector word in vcpu_info. The functions are inline
 * since each guest timer calls them. Included by evtchn_priv.h only.
 *
 * A 32-bit guest has shorter arrays of bits: the masks begin elsewhere. Its selector has a bit per
 * 32 ports. Ports that it cannot have touch only other words of the same pages.
 */
#pragma once

/* A larger port number is a FIFO port that a reset closed while a sender used it. */
static inline unsigned bit_of(unsigned port)
{
	return port % (unsigned)EVTCHN_2L_NR_CHANNELS;
}

static inline u64 *masks_of(struct shared_info *s, bool narrow)
{
	return narrow ? (u64 *)((char *)s + offsetof(struct shared_info_x86_32, evtchn_mask)) :
			s->evtchn_mask;
}

/* Sets port's bit in v's selector. Returns whether it was set. */
static inline bool select_port(struct vcpu *v, unsigned port, bool narrow)
{
	_Static_assert(offsetof(struct vcpu_info_x86_32, evtchn_pending_sel) == 4, "bit 32");
	return narrow ? test_and_set_bit(32 + port / 32, (u64 *)v->info) :
			test_and_set_bit(port / 64, &v->info->evtchn_pending_sel);
}

static __always_inline bool evtchn_2l_set(struct domain *d, struct evtchn *chn, unsigned port,
					  bool narrow)
{
	struct shared_info *s = d->shared_info;
	struct vcpu *v = evtchn_vcpu(d, chn);

	port = bit_of(port);
	if (test_and_set_bit(port, s->evtchn_pending))
		return false;
	if (!test_bit(port, masks_of(s, narrow)) && !select_port(v, port, narrow))
		evtchn_mark_events_pending(v);
	return true;
}

static inline void evtchn_2l_unmask(struct domain *d, struct evtchn *chn, unsigned port)
{
	struct shared_info *s = d->shared_info;
	struct vcpu *v = evtchn_vcpu(d, chn);
	bool narrow = d->evtchn->abi < EVTCHN_2L;

	port = bit_of(port);
	/* Unmask, then test pending: evtchn_2l_set() does the reverse, so no event is lost. */
	if (test_and_clear_bit(port, masks_of(s, narrow)) && test_bit(port, s->evtchn_pending) &&
	    !select_port(v, port, narrow))
		evtchn_mark_events_pending(v);
}

static inline void evtchn_2l_clear(struct domain *d, struct evtchn *chn __unused, unsigned port)
{
	clear_bit(bit_of(port), d->shared_info->evtchn_pending);
}

static inline event_word_t evtchn_2l_flags(struct domain *d, unsigned port)
{
	struct shared_info *s = d->shared_info;
	bool narrow = d->evtchn->abi < EVTCHN_2L;

	port = bit_of(port);
	return (event_word_t)test_bit(port, s->evtchn_pending) << EVTCHN_FIFO_PENDING |
	       (event_word_t)test_bit(port, masks_of(s, narrow)) << EVTCHN_FIFO_MASKED;
}
