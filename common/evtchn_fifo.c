/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO ABI (xen/event_channel.h). Each port has an event word in pages of the guest's. The
 * words link pending ports into queues, 16 priorities per vCPU, with the heads in the vCPU's
 * control block. The guest takes ports from the head and clears LINKED. Margay remembers the tail
 * of each queue.
 *
 * A vCPU's fifo.lock protects its queues, evtchn.queue of the ports last linked there, and every
 * use of the guest's words against evtchn_fifo_destroy(). All words are hostile: Margay never
 * follows a link that a guest may have written. A guest that breaks the protocol loses only its own
 * events.
 */
#include <margay/guest_copy.h>

#include "evtchn_priv.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define MAX_WORD_PAGES (PORTS_MAX / WORDS_PER_PAGE)
#define DESTROY_STEP 64U
#define REPLAY_STEP 64U

#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define BUSY (1U << EVTCHN_FIFO_BUSY)
#define LINK ((u32)EVTCHN_FIFO_LINK_MASK)

/* In evtchn.queue: an event arrived before the port had a word. */
#define FIFO_MISSED 0x8000U

/* Returns NULL when the guest has not provided the port's word. Called with a fifo.lock. */
static inline event_word_t *word_of(struct domain *d, unsigned port)
{
	struct evtchn_table *t = d->evtchn;
	u32 nr = atomic_load(&t->nr_words);
	event_word_t *page;

	if (unlikely(port >= nr))
		return NULL;
	port = (unsigned)index_nospec(port, nr);
	page = t->words[port / WORDS_PER_PAGE];
	if (!page)
		__builtin_unreachable(); /* spares the callers' fast path a comparison */
	return &page[port % WORDS_PER_PAGE];
}

static unsigned last_vcpu(const struct evtchn *chn)
{
	return DEST_VCPU(READ_ONCE(chn->queue) & ~FIFO_MISSED);
}

static __noinline struct fifo_queues *lock_two_queues(struct domain *d, const struct evtchn *chn,
						      struct fifo_queues *q)
{
	for (;;) {
		unsigned vcpu = last_vcpu(chn);
		struct fifo_queues *last = &d->vcpus[vcpu]->fifo;

		spin_lock_pair(&last->lock, &q->lock);
		if (likely(vcpu == last_vcpu(chn)))
			return last;
		spin_unlock_pair(&last->lock, &q->lock);
	}
}

/* Locks v's queues and those that chn was last linked on, which it returns. */
static inline struct fifo_queues *lock_queues(struct domain *d, const struct evtchn *chn,
					      struct vcpu *v)
{
	struct fifo_queues *q = &v->fifo;

	if (likely(last_vcpu(chn) == v->id)) {
		spin_lock(&q->lock);
		if (likely(last_vcpu(chn) == v->id))
			return q;
		spin_unlock(&q->lock);
	}
	return lock_two_queues(d, chn, q);
}

/* Links port to the tail's word. Returns false if the guest has consumed the tail. */
static bool link_to_tail(event_word_t *tail, unsigned port)
{
	event_word_t w = atomic_load(tail);

	/* While BUSY is set, a correct guest only clears PENDING, LINKED and MASKED, each once. */
	for (unsigned i = 0; i < 5 && (w & LINKED); i++) {
		if (atomic_cas(tail, w, (w & ~(LINK | BUSY)) | port))
			return true;
		w = atomic_or(tail, BUSY) | BUSY;
	}
	atomic_and(tail, ~BUSY);
	return w & LINKED;
}

/* Appends a port that was just set LINKED. Returns true when the vCPU must be notified. */
static bool enqueue(struct domain *d, struct evtchn *chn, struct fifo_queues *last,
		    struct fifo_queues *q, unsigned priority, unsigned port)
{
	u32 *last_tail = &last->tail[DEST_PRIORITY(chn->queue)], *tail = &q->tail[priority];
	struct evtchn_fifo_control_block *control = q->control;
	event_word_t *word;

	/* A queue whose tail was consumed is empty. */
	if (*last_tail == port)
		*last_tail = 0;
	word = *tail ? word_of(d, *tail) : NULL;
	if (word && link_to_tail(word, port)) {
		*tail = port;
		return false;
	}
	atomic_store(&control->head[priority], port);
	*tail = port;
	return !test_and_set_bit(priority, &control->ready);
}

bool evtchn_fifo_set(struct domain *d, struct evtchn *chn, unsigned port)
{
	unsigned dest = READ_ONCE(chn->dest);
	struct vcpu *v = d->vcpus[DEST_VCPU(dest)];
	struct fifo_queues *q = &v->fifo, *last = lock_queues(d, chn, v);
	event_word_t *word = word_of(d, port);
	bool raised = false, tell = false;

	if (unlikely(!word)) {
		chn->queue |= FIFO_MISSED;
	} else {
		raised = !(atomic_or(word, PENDING) & PENDING);
		/* Without a control block v is not ready for events: do not link the port. */
		if (!(READ_ONCE(*word) & (MASKED | LINKED)) && q->control &&
		    !(atomic_or(word, LINKED) & LINKED)) {
			tell = enqueue(d, chn, last, q, DEST_PRIORITY(dest), port);
			chn->queue = (u16)dest;
		}
	}
	spin_unlock_pair(&last->lock, &q->lock);
	if (tell)
		evtchn_mark_events_pending(v);
	return raised;
}

void evtchn_fifo_unmask(struct domain *d, struct evtchn *chn, unsigned port)
{
	struct fifo_queues *q = &evtchn_vcpu(d, chn)->fifo;
	event_word_t *word, old = 0;

	spin_lock(&q->lock);
	word = word_of(d, port);
	if (word)
		old = atomic_and(word, ~MASKED);
	spin_unlock(&q->lock);
	if (old & PENDING)
		evtchn_fifo_set(d, chn, port);
}

void evtchn_fifo_clear(struct domain *d, struct evtchn *chn, unsigned port)
{
	struct fifo_queues *q = &d->vcpus[0]->fifo, *last = lock_two_queues(d, chn, q);
	event_word_t *word = word_of(d, port);

	chn->queue &= (u16)~FIFO_MISSED;
	if (word)
		atomic_and(word, ~PENDING);
	/* An event from before the switch may not have been replayed yet. */
	if (port < EVTCHN_2L_NR_CHANNELS)
		clear_bit(port, d->shared_info->evtchn_pending);
	spin_unlock_pair(&last->lock, &q->lock);
}

event_word_t evtchn_fifo_flags(struct domain *d, unsigned port)
{
	const event_word_t *word;

	guard(&d->vcpus[0]->fifo.lock);
	word = word_of(d, port);
	return word ? READ_ONCE(*word) : 0;
}

/* Waits until no CPU uses the old words. Each hold of a fifo.lock is short. */
static void wait_for_users(struct domain *d)
{
	smp_mb();
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		spin_wait(&d->vcpus[i]->fifo.lock);
}

/* Called with the table's lock. Pending 2-level events stay in shared_info until replay(). */
static int switch_to_fifo(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;

	if (!t->words)
		t->words = kzalloc(MAX_WORD_PAGES * sizeof(*t->words));
	if (!t->words)
		return -ENOMEM;
	atomic_store(&t->abi, EVTCHN_FIFO);
	return 0;
}

int evtchn_fifo_init_control(struct domain *d, u32 vcpu, gfn_t gfn, u32 offset)
{
	struct vcpu *v = domain_vcpu(d, vcpu);
	mfn_t mfn;
	int err;

	if (!v)
		return -ENOENT;
	if (offset > PAGE_SIZE - sizeof(*v->fifo.control) || offset % sizeof(u64) ||
	    p2m_get_page(d, gfn, &mfn))
		return -EINVAL;
	spin_lock(&d->evtchn->lock);
	err = v->fifo.control ? -EINVAL : 0;
	if (!err && d->evtchn->abi != EVTCHN_FIFO)
		err = switch_to_fifo(d);
	if (!err)
		atomic_store(&v->fifo.control, guest_write_page(mfn, offset));
	spin_unlock(&d->evtchn->lock);
	if (err)
		page_put(d, mfn);
	return err;
}

/* Returns whether an event arrived while the port had no word. */
static bool missed(struct domain *d, const struct evtchn *chn, unsigned port)
{
	if (READ_ONCE(chn->queue) & FIFO_MISSED)
		return true;
	return port < EVTCHN_2L_NR_CHANNELS && chn->state > ECS_RESERVED &&
	       test_and_clear_bit(port, d->shared_info->evtchn_pending);
}

void evtchn_fifo_adopt(struct domain *d, unsigned port)
{
	if (d->evtchn->abi == EVTCHN_FIFO &&
	    test_and_clear_bit(bit_of(port), d->shared_info->evtchn_pending))
		evtchn_fifo_set(d, evtchn_known(d, port), port);
}

/* Raises the missed events of ports that have words now: -ERESTART until done. */
static int replay(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;
	unsigned n = 0;

	for (; t->replayed < t->nr_words; t->replayed++) {
		struct evtchn *chn = evtchn_at(d, t->replayed);

		if (!chn || !missed(d, chn, t->replayed))
			continue;
		evtchn_fifo_clear(d, chn, t->replayed);
		evtchn_set_pending(d, chn, t->replayed);
		if (++n == REPLAY_STEP)
			return -ERESTART;
	}
	return 0;
}

/* Uses the reference to the page, or drops it. Then raises the missed events. */
static int add_words(struct domain *d, mfn_t mfn)
{
	struct evtchn_table *t = d->evtchn;
	u32 n = t->nr_words / (u32)WORDS_PER_PAGE, i = 0;

	while (i < n && virt_to_mfn(t->words[i]) != mfn)
		i++;
	/* A restarted call, perhaps on another vCPU, has added its page. */
	if (i < n || n == MAX_WORD_PAGES) {
		page_put(d, mfn);
		return i < n ? 0 : -ENOSPC;
	}
	t->words[n] = guest_write_page(mfn, 0);
	atomic_store(&t->nr_words, t->nr_words + (u32)WORDS_PER_PAGE);
	wait_for_users(d);
	return replay(d);
}

/* A page of words that the guest provides twice counts once. */
int evtchn_fifo_expand_array(struct domain *d, gfn_t gfn)
{
	struct evtchn_table *t = d->evtchn;
	mfn_t mfn;
	int rc;

	if (t->abi != EVTCHN_FIFO)
		return -EOPNOTSUPP;
	if (p2m_get_page(d, gfn, &mfn))
		return -EINVAL;
	guard(&t->lock);
	rc = t->abi == EVTCHN_FIFO ? replay(d) : -EOPNOTSUPP;
	if (!rc)
		return add_words(d, mfn);
	page_put(d, mfn);
	return rc;
}

int evtchn_fifo_set_priority(struct domain *d, u32 port, u32 priority)
{
	struct evtchn *chn = evtchn_at(d, port);

	if (!chn)
		return -EINVAL;
	guard(&d->evtchn->lock);
	if (d->evtchn->abi != EVTCHN_FIFO)
		return -ENOSYS;
	if (chn->state <= ECS_RESERVED)
		return -EACCES;
	if (priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -EINVAL;
	WRITE_ONCE(chn->dest, DEST(DEST_VCPU(chn->dest), priority));
	return 0;
}

int evtchn_fifo_destroy(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;
	unsigned pages, n = 0;

	guard(&t->lock);
	if (t->abi != EVTCHN_FIFO)
		return 0;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct fifo_queues *q = &d->vcpus[i]->fifo;
		void *control = q->control;

		if (!control)
			continue;
		spin_lock(&q->lock);
		q->control = NULL;
		memset(q->tail, 0, sizeof(q->tail));
		spin_unlock(&q->lock);
		guest_release_page(d, INVALID_GFN, virt_to_mfn(control));
		if (++n == DESTROY_STEP)
			return -ERESTART;
	}
	pages = t->nr_words / (unsigned)WORDS_PER_PAGE;
	atomic_store(&t->nr_words, 0);
	t->replayed = 0;
	atomic_store(&t->abi, d->shared_32bit ? EVTCHN_2L_32 : EVTCHN_2L);
	wait_for_users(d);
	while (pages)
		guest_release_page(d, INVALID_GFN, virt_to_mfn(t->words[--pages]));
	return 0;
}
