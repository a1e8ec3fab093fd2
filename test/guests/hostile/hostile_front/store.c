/* SPDX-License-Identifier: BSD-2-Clause */
/* See store.h. */
#include "store.h"

#define TIMEOUT (10 * NS_PER_S)

struct xenstore_domain_interface *store_ring;
static evtchn_port_t port;
static bool silent; /* xenstored did not answer once: it listens no more */

void store_init(void)
{
	uint64_t pfn, event;

	CHECK_RET(hvm_get_param(HVM_PARAM_STORE_PFN, &pfn), 0);
	CHECK_RET(hvm_get_param(HVM_PARAM_STORE_EVTCHN, &event), 0);
	store_ring = (struct xenstore_domain_interface *)(pfn << PAGE_SHIFT);
	port = (evtchn_port_t)event;
}

void store_kick(void)
{
	evtchn_send(port);
}

/* Sleeps until xenstored sends an event, or for 20 ms. */
static void nap(void)
{
	evtchn_port_t p = port;
	struct sched_poll poll = { .nr_ports = 1, .timeout = now_ns() + NS_PER_S / 50 };

	set_xen_guest_handle(poll.ports, &p);
	sched_op(SCHEDOP_poll, &poll);
	evtchn_clear(port);
}

static bool put(const void *data, size_t len)
{
	uint64_t end = now_ns() + TIMEOUT;
	const char *from = data;

	while (len) {
		uint32_t prod = store_ring->req_prod;

		if (prod - READ_ONCE(store_ring->req_cons) < XENSTORE_RING_SIZE) {
			store_ring->req[MASK_XENSTORE_IDX(prod)] = *from++;
			mfence();
			WRITE_ONCE(store_ring->req_prod, prod + 1);
			len--;
			continue;
		}
		store_kick();
		nap();
		if (now_ns() > end)
			return false;
	}
	return true;
}

/* Takes len bytes, of which the first size go to data. */
static bool get(void *data, size_t size, size_t len)
{
	uint64_t end = now_ns() + TIMEOUT;
	char *to = data;

	for (size_t i = 0; i < len;) {
		uint32_t cons = store_ring->rsp_cons;

		if (READ_ONCE(store_ring->rsp_prod) != cons) {
			if (i < size)
				to[i] = store_ring->rsp[MASK_XENSTORE_IDX(cons)];
			i++;
			mfence();
			WRITE_ONCE(store_ring->rsp_cons, cons + 1);
			continue;
		}
		store_kick(); /* there is room again */
		nap();
		if (now_ns() > end)
			return false;
	}
	return true;
}

long store_call(uint32_t type, uint32_t tx, const void *data, size_t len, void *answer, size_t size)
{
	static uint32_t id;
	struct xsd_sockmsg m = { .type = type, .req_id = ++id, .tx_id = tx, .len = (uint32_t)len };

	if (silent || !put(&m, sizeof(m)) || !put(data, len))
		return -1;
	store_kick();
	do {
		silent = !get(&m, sizeof(m), sizeof(m)) || !get(answer, size, m.len);
		if (silent)
			return -1;
	} while (m.type == XS_WATCH_EVENT || m.req_id != id);
	store_kick();
	return m.type == XS_ERROR ? -1 : (long)m.len;
}

void store_read(const char *path, char *value, size_t size)
{
	long len = store_call(XS_READ, 0, path, strlen(path) + 1, value, size - 1);

	value[len < 0 ? 0 : len < (long)size ? len : (long)size - 1] = 0;
}

void store_write(const char *path, const void *value, size_t len)
{
	static char message[XENSTORE_PAYLOAD_MAX];
	size_t used = strlen(path) + 1;

	if (used + len > sizeof(message))
		return;
	memcpy(message, path, used);
	memcpy(message + used, value, len);
	store_call(XS_WRITE, 0, message, used + len, NULL, 0);
}
