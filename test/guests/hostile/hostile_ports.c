/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: random event channel operations on random ports, checked against a model: a port is
 * allocated once, its status matches the operations on it, refused operations change nothing.
 */
#include "guest.h"

#define ROUNDS	20000u
#define RANGE	256u

static uint8_t made[NR_EVENT_CHANNELS];		/* EVTCHNSTAT_* of ports opened by this guest */
static bool theirs[NR_EVENT_CHANNELS];		/* open before this guest's first call */
static uint16_t peer[NR_EVENT_CHANNELS];

static void note(long port, uint8_t status)
{
	if (port < 0) {
		CHECK(port == -XEN_ENOSPC || port == -XEN_EINVAL || port == -XEN_EEXIST ||
			      port == -XEN_ENOENT || port == -XEN_ESRCH || port == -XEN_EPERM,
		      "error %ld", port);
		return;
	}
	CHECK(port && port < NR_EVENT_CHANNELS && !made[port] && !theirs[port],
	      "port %ld was given though taken", port);
	made[port] = status;
	peer[port] = 0;
}

static uint32_t odd_number(void)
{
	static const uint32_t odd[] = { 0, 4095, 4096, 0x7fffffff, 0x80000000, ~0u };

	return random_u64() & 3 ? (uint32_t)(random_u64() % RANGE) :
				  odd[random_u64() % ARRAY_SIZE(odd)];
}

static void bind(uint32_t port)
{
	long ret = evtchn_bind_interdomain(DOMID_SELF, port);

	if (ret > 0) {
		CHECK(port < NR_EVENT_CHANNELS && made[port] == EVTCHNSTAT_unbound,
		      "port %u was not unbound, yet could be bound", port);
		note(ret, EVTCHNSTAT_interdomain);
		made[port] = EVTCHNSTAT_interdomain;
		peer[port] = (uint16_t)ret;
		peer[ret] = (uint16_t)port;
	} else {
		note(ret, 0);
	}
}

static void close(uint32_t port)
{
	long ret;

	if (port < NR_EVENT_CHANNELS && theirs[port])
		return;
	ret = evtchn_close(port);
	if (port >= NR_EVENT_CHANNELS || !made[port]) {
		CHECK(ret == -XEN_EINVAL, "close of port %u: %ld", port, ret);
		return;
	}
	CHECK(!ret, "close of port %u: %ld", port, ret);
	made[port] = 0;
	if (peer[port]) {
		made[peer[port]] = EVTCHNSTAT_unbound;
		peer[peer[port]] = 0;
		peer[port] = 0;
	}
}

static void one(void)
{
	uint32_t port = odd_number();
	long ret;

	switch (random_u64() % 9) {
	case 0:
		note(evtchn_alloc_unbound(DOMID_SELF), EVTCHNSTAT_unbound);
		break;
	case 1:
		note(evtchn_bind_ipi(odd_number()), EVTCHNSTAT_ipi);
		break;
	case 2:
		note(evtchn_bind_virq(odd_number(), odd_number()), EVTCHNSTAT_virq);
		break;
	case 3:
	case 4:
		bind(port);
		break;
	case 5:
	case 6:
		close(port);
		break;
	case 7:
		ret = evtchn_send(port);
		if (port >= NR_EVENT_CHANNELS || (!made[port] && !theirs[port]))
			CHECK(ret == -XEN_EINVAL, "send on port %u: %ld", port, ret);
		break;
	case 8:
		evtchn_bind_vcpu(port, odd_number());
		evtchn_mask(port % NR_EVENT_CHANNELS);
		break;
	}
}

int main(void)
{
	struct evtchn_status st;

	canary_init(16);
	for (unsigned int p = 0; p < NR_EVENT_CHANNELS; p++)
		theirs[p] = !evtchn_status(p, &st) && st.status != EVTCHNSTAT_closed;
	for (unsigned int i = 0; i < ROUNDS; i++)
		one();
	for (unsigned int p = 1; p < NR_EVENT_CHANNELS; p++) {
		if (theirs[p])
			continue;
		/* Xen does not know a port past the highest one ever used. */
		if (evtchn_status(p, &st)) {
			CHECK(!made[p], "port %u is gone", p);
			continue;
		}
		CHECK(st.status == made[p], "port %u has status %u, wanted %u", p, st.status,
		      made[p]);
		if (made[p] == EVTCHNSTAT_interdomain)
			CHECK(st.u.interdomain.port == peer[p], "port %u is bound to %u, not %u", p,
			      st.u.interdomain.port, peer[p]);
	}
	canary_check("random channels");
	pass();
}
