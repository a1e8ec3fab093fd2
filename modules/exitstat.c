/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram of exits per domain, read through the counters as DOMAIN.REASON. Every exit is
 * counted here, so it must be cheap: one addition. A pair of domain and reason is appended to a
 * list when it first occurs, so the index of a counter never changes.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

#define MAX_REASONS 64

static struct {
	u64 domain;		/* its id + 1 */
	u64 count[MAX_REASONS];
	bool listed[MAX_REASONS];
} histograms[POLICY_MAX_DOMAINS];

static u32 list[POLICY_MAX_DOMAINS * MAX_REASONS];	/* slot * MAX_REASONS + reason, + 1 */
static u32 nr_listed;

static void at_exit(struct policy_cpu *c __unused, const struct policy_vcpu *v, u32 reason)
{
	typeof(&histograms[0]) h = &histograms[v->slot];

	if (reason >= MAX_REASONS)
		return;
	/* Another domain now has the slot. The first of its vCPUs to arrive clears the counts. */
	if (h->domain != v->domain + 1U &&
	    __atomic_exchange_n(&h->domain, v->domain + 1U, __ATOMIC_RELAXED) != v->domain + 1U)
		memset(h->count, 0, sizeof(h->count));
	__atomic_fetch_add(&h->count[reason], 1, __ATOMIC_RELAXED);
	if (!h->listed[reason] && !__atomic_exchange_n(&h->listed[reason], true, __ATOMIC_RELAXED))
		__atomic_store_n(&list[__atomic_fetch_add(&nr_listed, 1, __ATOMIC_RELAXED)],
				 v->slot * MAX_REASONS + reason + 1, __ATOMIC_RELEASE);
}

static const char *counter(u32 i, u64 *value)
{
	static char text[32];
	u32 entry = i < nr_listed ? __atomic_load_n(&list[i], __ATOMIC_ACQUIRE) : 0;
	u32 slot = (entry - 1) / MAX_REASONS, reason = (entry - 1) % MAX_REASONS, n = 5, at;
	const char *name;

	if (!entry)
		return NULL;
	*value = __atomic_load_n(&histograms[slot].count[reason], __ATOMIC_RELAXED);
	text[n] = '.';
	at = n + 1;
	for (u64 d = histograms[slot].domain - 1; n == at - 1 || d; d /= 10)
		text[--n] = (char)('0' + d % 10);
	name = policy_exit_name(reason);
	for (; name && *name && at < sizeof(text) - 1; name++)
		text[at++] = *name;
	text[at] = 0;
	return text + n;
}

static const struct exit_policy exits = { .exit = at_exit };

const struct policy_module policy_module = {
	.name = "exitstat",
	.summary = "counts exits by domain and reason",
	.exit = &exits,
	.counter = counter,
};
