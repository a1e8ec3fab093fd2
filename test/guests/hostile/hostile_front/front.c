/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that `xl create` gives a disk and a network card. It connects as their front-ends, and then
 * writes random indices, requests, grant references and values in xenstore, while it changes the
 * grants and takes pages away. Ends with garbage in the store's own ring, and stays. rounds= says
 * how often it connects to each. test/beds/control/tests/xl-garbage looks for harm to others.
 */
#include "store.h"

#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>

#define DATA_PAGES 32u
#define DATA_REF 64u    /* the first of their grants */
#define RING_HEADER 64u /* four indices and padding, then the requests */
#define BLK_ENTRY 112u
#define BLK_ENTRIES 32u

struct device {
	const char *kind, *dir;
	unsigned int rings;
	uint8_t *ring[2];
	grant_ref_t ref[2]; /* of the rings */
	long port;
	char backend[128];
	unsigned int connected; /* times that the back-end said so */
};

static struct device disk = { .kind = "vbd", .dir = "device/vbd/51712", .rings = 1 };
static struct device card = { .kind = "vif", .dir = "device/vif/0", .rings = 2 };
static uint8_t *data[DATA_PAGES];
static bool lies; /* this round writes garbage into xenstore, too */

static unsigned int below(unsigned int n)
{
	return (unsigned int)(random_u64() % n);
}

static void put_value(const struct device *d, const char *key, const void *value, size_t len)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", d->dir, key);
	store_write(path, value, len);
}

static void remove(const struct device *d, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", d->dir, key);
	store_call(XS_RM, 0, path, strlen(path) + 1, NULL, 0);
}

/* Writes a number, or in some rounds something else now and then. */
static void set(const struct device *d, const char *key, unsigned long value)
{
	static const char *const odd[] = {
		"",
		"0",
		"-1",
		"1048576",
		"2147483648",
		"4294967295",
		"18446744073709551616",
		"%s%s%n",
		"/",
		"../../0",
		"x",
	};
	char text[1500];
	size_t len;

	if (lies && !below(4)) {
		const char *other = odd[below(ARRAY_SIZE(odd))];

		put_value(d, key, other, strlen(other));
	} else if (lies && !below(8)) {
		len = below(sizeof(text));
		for (size_t i = 0; i < len; i++)
			text[i] = (char)random_u64();
		put_value(d, key, text, len);
	} else {
		len = (size_t)snprintf(text, sizeof(text), "%lu", value);
		put_value(d, key, text, len);
	}
}

static void set_state(const struct device *d, enum xenbus_state state)
{
	char digit = (char)('0' + state);

	put_value(d, "state", &digit, 1);
}

/* Lets others run for 10 ms. */
static void nap(void)
{
	struct sched_poll poll = { .timeout = now_ns() + NS_PER_S / 100 };

	sched_op(SCHEDOP_poll, &poll);
}

static bool backend_is(const struct device *d, enum xenbus_state state)
{
	char path[160], value[8];
	uint64_t end = now_ns() + 3 * NS_PER_S;

	snprintf(path, sizeof(path), "%s/state", d->backend);
	do {
		store_read(path, value, sizeof(value));
		if (value[0] == '0' + (char)state)
			return true;
		nap();
	} while (now_ns() < end);
	return false;
}

/* One of the pages' grants, or a reference that grants nothing. */
static grant_ref_t any_ref(void)
{
	static const grant_ref_t odd[] = { 0, 1, 7, 511, 512, 0xffff, 0x7fffffff, ~0u };

	return below(8) ? DATA_REF + below(DATA_PAGES) : odd[below(ARRAY_SIZE(odd))];
}

/* Grants the pages anew, some of them in a wrong way. */
static void shuffle_grants(void)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		struct grant_entry_v1 *e = &grant_table[DATA_REF + i];

		e->frame = below(10) ? (uint32_t)((uintptr_t)data[i] >> PAGE_SHIFT) :
				       (uint32_t)random_u64();
		e->domid = below(20) ? 0 : (domid_t)random_u64();
		WRITE_ONCE(e->flags, below(10) ? GTF_permit_access : (uint16_t)random_u64());
	}
}

/* Takes a page away from under whoever maps it, and puts another in its place. */
static void replace_page(const void *page)
{
	xen_pfn_t pfn = (uintptr_t)page >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &pfn);
	memory_op(XENMEM_decrease_reservation, &r);
	memory_op(XENMEM_populate_physmap, &r);
}

static void random_bytes(uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)random_u64();
}

/* A request that looks right in most places. */
static void disk_request(uint8_t *entry)
{
	blkif_request_t *r = (blkif_request_t *)entry;

	if (!below(8)) {
		random_bytes(entry, BLK_ENTRY);
		return;
	}
	r->operation = (uint8_t)(below(8) ? below(2) : below(8));
	r->nr_segments =
		(uint8_t)(below(8) ? 1 + below(BLKIF_MAX_SEGMENTS_PER_REQUEST) : random_u64());
	r->handle = (blkif_vdev_t)random_u64();
	r->id = random_u64();
	r->sector_number = below(4) ? below(4096) : random_u64();
	for (unsigned int i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
		r->seg[i].gref = any_ref();
		r->seg[i].first_sect = (uint8_t)(below(8) ? 0 : random_u64());
		r->seg[i].last_sect = (uint8_t)(below(8) ? 7 : random_u64());
	}
}

static void card_request(netif_tx_request_t *r)
{
	r->gref = any_ref();
	r->offset = (uint16_t)(below(4) ? below(2048) : random_u64());
	r->flags = (uint16_t)(below(4) ? 0 : random_u64());
	r->id = (uint16_t)random_u64();
	r->size = (uint16_t)(below(4) ? 60 + below(1400) : random_u64());
}

/* Fills the rings, and moves the producers by a plausible number of requests or by any. */
static void attack(struct device *d)
{
	for (unsigned int r = 0; r < d->rings; r++) {
		uint32_t *index =
			(uint32_t *)d->ring[r]; /* req_prod, req_event, rsp_prod, rsp_event */
		uint8_t *entries = d->ring[r] + RING_HEADER;

		if (d == &disk)
			for (unsigned int i = 0; i < BLK_ENTRIES; i++)
				disk_request(entries + i * BLK_ENTRY);
		else if (!r)
			for (unsigned int i = 0;
			     i < (PAGE_SIZE - RING_HEADER) / sizeof(netif_tx_request_t); i++)
				card_request((netif_tx_request_t *)entries + i);
		else
			for (unsigned int i = 0;
			     i < (PAGE_SIZE - RING_HEADER) / sizeof(netif_rx_request_t); i++)
				((netif_rx_request_t *)entries)[i].gref = any_ref();
		WRITE_ONCE(index[0],
			   below(12) ? index[2] + below(BLK_ENTRIES) : (uint32_t)random_u64());
		if (!below(4))
			index[1 + below(3)] = (uint32_t)random_u64();
	}
	mfence();
	if (d->port > 0)
		evtchn_send((evtchn_port_t)d->port);
	if (!below(3))
		shuffle_grants();
	if (!below(6))
		replace_page(below(3) ? data[below(DATA_PAGES)] : d->ring[below(d->rings)]);
}

static void announce(const struct device *d)
{
	if (d == &disk) {
		set(d, "ring-ref", d->ref[0]);
		put_value(d, "protocol", "x86_64-abi", 10);
		set(d, "feature-persistent", below(2));
	} else {
		set(d, "tx-ring-ref", d->ref[0]);
		set(d, "rx-ring-ref", d->ref[1]);
		set(d, "request-rx-copy", 1);
		set(d, "feature-rx-notify", 1);
		set(d, "feature-sg", below(2));
		set(d, "feature-gso-tcpv4", below(2));
	}
	if (lies) {
		set(d, "ring-page-order", below(8));
		set(d, "multi-queue-num-queues", below(8));
	} else { /* without what the round before wrote, the back-end connects */
		remove(d, "ring-page-order");
		remove(d, "multi-queue-num-queues");
	}
	set(d, "event-channel", (unsigned long)d->port);
}

static void one_round(struct device *d)
{
	for (unsigned int r = 0; r < d->rings; r++) {
		memset(d->ring[r], 0, PAGE_SIZE);
		((uint32_t *)d->ring[r])[1] = ((uint32_t *)d->ring[r])[3] = 1;
		grant(d->ref[r], 0, d->ring[r], 0);
	}
	shuffle_grants();
	d->port = evtchn_alloc_unbound(0);
	set_state(d, XenbusStateInitialising);
	backend_is(d, XenbusStateInitWait);
	announce(d);
	set_state(d, d == &disk ? XenbusStateInitialised : XenbusStateConnected);
	if (backend_is(d, XenbusStateConnected)) {
		d->connected++;
		set_state(d, XenbusStateConnected);
	}
	for (unsigned int i = 0; i < 40; i++) {
		attack(d);
		nap();
	}
	if (lies)
		set(d, "state", below(9));
	set_state(d, XenbusStateClosing);
	set_state(d, XenbusStateClosed);
	backend_is(d, XenbusStateClosed);
	if (d->port > 0)
		evtchn_close((evtchn_port_t)d->port);
	for (unsigned int r = 0; r < d->rings; r++)
		ungrant(d->ref[r]);
}

/*
 * Makes the payload one string if that is what xenstored looks for. If it finds none, Debian's xenstored
 * 4.17.7 answers with the error of whatever failed before, and ends by an assertion if nothing did.
 */
static size_t one_string(uint32_t type, char *payload, size_t len)
{
	switch (type) {
	case XS_DIRECTORY:
	case XS_READ:
	case XS_GET_PERMS:
	case XS_MKDIR:
	case XS_RM:
		len = len ? len : 1;
		for (size_t i = 0; i < len - 1; i++)
			payload[i] = payload[i] ?: '/';
		payload[len - 1] = 0;
	}
	return len;
}

/* Requests with a proper header and anything behind it. */
static void odd_store_calls(void)
{
	static const char *const paths[] = {
		"/",
		"",
		"device",
		"control/shutdown",
		"@releaseDomain",
		"@introduceDomain",
		"/local/domain/0",
		"/local/domain/0/backend",
		"/tool",
		"/vm",
		"..",
		"//",
		"memory/target",
	};
	char buffer[512];
	size_t len;

	for (unsigned int i = 0; i < 300; i++) {
		const char *path = paths[below(ARRAY_SIZE(paths))];
		uint32_t type = below(8) ? below(XS_TYPE_COUNT) : (uint32_t)random_u64();

		if (below(4)) {
			len = strlen(path) + 1;
			memcpy(buffer, path, len);
			memcpy(buffer + len, "n7\0token", 9);
			len += below(10);
		} else {
			len = below(sizeof(buffer));
			random_bytes((uint8_t *)buffer, len);
		}
		len = one_string(type, buffer, len);
		store_call(type, below(8) ? 0 : (uint32_t)random_u64(), buffer, len, buffer,
			   sizeof(buffer));
	}
}

/* After this xenstored does not listen any more. */
static void break_store(void)
{
	for (unsigned int i = 0; i < 200; i++) {
		random_bytes((uint8_t *)store_ring->req, sizeof(store_ring->req));
		store_ring->req_prod = (uint32_t)random_u64();
		store_ring->req_cons = (uint32_t)random_u64();
		store_ring->rsp_prod = (uint32_t)random_u64();
		store_ring->rsp_cons = (uint32_t)random_u64();
		store_ring->server_features = (uint32_t)random_u64();
		store_ring->connection = (uint32_t)random_u64();
		store_kick();
	}
}

static void find(struct device *d)
{
	static grant_ref_t next = FIRST_GRANT + 8;
	char path[64];

	snprintf(path, sizeof(path), "%s/backend", d->dir);
	store_read(path, d->backend, sizeof(d->backend));
	CHECK(d->backend[0], "no %s in xenstore", d->kind);
	for (unsigned int r = 0; r < d->rings; r++) {
		d->ring[r] = page_alloc(1);
		d->ref[r] = next++;
	}
}

int main(void)
{
	unsigned int rounds = (unsigned int)cmdline_number("rounds", 6);

	grants_init();
	store_init();
	find(&disk);
	find(&card);
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		data[i] = page_alloc(1);
	for (unsigned int i = 0; i < rounds; i++) {
		lies = i % 2;
		one_round(&disk);
		one_round(&card);
	}
	printf("garbage: %u rounds, %u disks and %u cards connected\n", rounds, disk.connected,
	       card.connected);
	odd_store_calls();
	printf("garbage: stays\n");
	console_flush();
	break_store();
	while (true) {
		attack(below(2) ? &disk : &card);
		nap();
	}
}
