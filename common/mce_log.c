/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of machine checks for the control domain: a queue of those that an exception signalled,
 * and one of those that the poll found. The lock protects both.
 */
#include <margay/lock.h>
#include <margay/mce_log.h>

#define RECORDS 32U

static struct queue {
	struct mce_record records[RECORDS];
	u32 first, nr;
} queues[2];
static u64 last_id;
static struct spinlock lock = SPINLOCK_INIT(LOCK_ERRORS);

void mce_log(const struct mce_record *r, bool urgent)
{
	struct queue *q = &queues[urgent];

	guard(&lock);
	if (q->nr < RECORDS) {
		struct mce_record *to = &q->records[(q->first + q->nr++) % RECORDS];

		*to = *r;
		to->id = ++last_id;
	}
}

bool mce_log_oldest(bool urgent, struct mce_record *r)
{
	const struct queue *q = &queues[urgent];

	guard(&lock);
	if (q->nr)
		*r = q->records[q->first];
	return q->nr;
}

void mce_log_ack(bool urgent, u64 id)
{
	struct queue *q = &queues[urgent];

	guard(&lock);
	if (!q->nr || q->records[q->first].id != id)
		return;
	q->first = (q->first + 1) % RECORDS;
	q->nr--;
}
