/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See stream.h. Around libxc's stream (docs/specs/libxc-migration-stream of Xen's source) is libxl's, of
 * which it is the one record LIBXC_CONTEXT, without a length of its own. Records have lengths in bytes
 * and are padded to 8.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBXL_MAGIC 0x4c6962786c466d74ull	/* big-endian */
#define LIBXL_VERSION 2u
#define LIBXC_MARKER UINT64_MAX
#define LIBXC_ID 0x464e4558u			/* the same */
#define LIBXC_VERSION 0x03000000u
#define DOMAIN_HVM 2u
#define PAGE_BITS 12u
#define RECORD_MAX (128u << 20)
#define BATCH 1024u

enum { L_END, L_LIBXC };
enum { C_END, C_PAGES, C_STATIC_END = 0x10, C_OPTIONAL = 0x80000000 };

#define TYPE(pfn) ((pfn) >> 60)
#define NUMBER(pfn) ((pfn) & 0xfffffffffffffull)
#define MOST_PAGES (1ull << 36)
/* Types without a page behind them. */
enum { BROKEN = 0xd, ALLOCATE_ONLY, NONE };

struct libxl_header {
	uint64_t magic;
	uint32_t version, options;
};

struct libxc_header {
	uint64_t marker;
	uint32_t id, version;
	uint16_t options, unused1;
	uint32_t unused2;
	uint32_t type;
	uint16_t page_bits, unused3;
	uint32_t major, minor;
};

struct record {
	uint32_t type, length;
};

struct reader {
	int from, pages;
	uint64_t at;
	uint8_t *seen;
	uint64_t nr_seen;
	char *rest;
	size_t nr_rest, room;
	char *data;	/* of the last record */
	size_t data_room;
};

static int get(struct reader *r, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t rc = read(r->from, (char *)to + done, n - done);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return chain_fail("the stream ends at offset %" PRIu64 "%s%s", r->at + done,
					  rc ? ": " : "", rc ? strerror(errno) : "");
		done += (size_t)rc;
	}
	r->at += n;
	return 0;
}

static int keep(struct reader *r, const void *data, size_t n)
{
	if (r->nr_rest + n > r->room) {
		char *more = realloc(r->rest, 2 * (r->nr_rest + n));

		if (!more)
			return chain_fail("no memory");
		r->rest = more;
		r->room = 2 * (r->nr_rest + n);
	}
	if (n)
		memcpy(r->rest + r->nr_rest, data, n);
	r->nr_rest += n;
	return 0;
}

/* Gets a record's header, and its data and padding into r->data. */
static int get_record(struct reader *r, struct record *h)
{
	size_t n;

	if (get(r, h, sizeof(*h)))
		return -1;
	if (h->length > RECORD_MAX)
		return chain_fail("offset %" PRIu64 ": a record of %u bytes", r->at - sizeof(*h),
				  h->length);
	n = (h->length + 7ull) & ~7ull;
	if (n > r->data_room) {
		free(r->data);
		r->data = malloc(n);
		r->data_room = r->data ? n : 0;
		if (!r->data)
			return chain_fail("no memory");
	}
	return get(r, r->data, n);
}

/* Marks a page as one that the guest has, or not. */
static int mark(struct reader *r, uint64_t pfn, bool has)
{
	uint64_t room = (pfn / 8 + (1 << 17)) & ~0xffffull;

	if (pfn >= r->nr_seen) {
		uint8_t *more = realloc(r->seen, room);

		if (!more)
			return chain_fail("no memory");
		memset(more + r->nr_seen / 8, 0, room - r->nr_seen / 8);
		r->seen = more;
		r->nr_seen = room * 8;
	}
	if (has)
		r->seen[pfn / 8] |= (uint8_t)(1 << pfn % 8);
	else
		r->seen[pfn / 8] &= (uint8_t) ~(1 << pfn % 8);
	return 0;
}

static int get_pages(struct reader *r, const struct record *h)
{
	static const char zeros[CHAIN_PAGE];
	const char *page, *from, *end = r->data + h->length;
	const uint64_t *pfns;
	uint32_t count;

	if (h->length < 8)
		return chain_fail("offset %" PRIu64 ": a record of pages is too short", r->at);
	count = *(const uint32_t *)(const void *)r->data;
	pfns = (const void *)(r->data + 8);
	if (count > (h->length - 8) / 8)
		return chain_fail("offset %" PRIu64 ": %u pages in %u bytes", r->at, count,
				  h->length);
	page = (const char *)(pfns + count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t n = NUMBER(pfns[i]);
		bool has = TYPE(pfns[i]) < BROKEN, fresh;

		if (n >= MOST_PAGES || (has && end - page < (ptrdiff_t)CHAIN_PAGE))
			return chain_fail("offset %" PRIu64 ": page %#" PRIx64
					  " is too high, or missing",
					  r->at, n);
		/* What the file has of a page that the guest has not is zeros, mostly a hole. */
		fresh = n >= r->nr_seen || !(r->seen[n / 8] >> n % 8 & 1);
		from = has ? page : zeros;
		if (mark(r, n, has || TYPE(pfns[i]) == ALLOCATE_ONLY))
			return -1;
		page += has ? CHAIN_PAGE : 0;
		if (!(fresh && !memcmp(from, zeros, CHAIN_PAGE)) &&
		    pwrite(r->pages, from, CHAIN_PAGE, (off_t)(n * CHAIN_PAGE)) != CHAIN_PAGE)
			return chain_fail("the file of pages: %s", strerror(errno));
	}
	return page == end ? 0 :
			     chain_fail("offset %" PRIu64 ": a record of pages is too long", r->at);
}

/* libxc's part, from its header to its end. */
static int get_libxc(struct reader *r)
{
	struct libxc_header h;
	struct record rec;

	if (get(r, &h, sizeof(h)))
		return -1;
	if (h.marker != LIBXC_MARKER || h.id != LIBXC_ID || h.version != LIBXC_VERSION ||
	    h.options || h.type != DOMAIN_HVM || h.page_bits != PAGE_BITS)
		return chain_fail("offset %" PRIu64 ": not the stream of a PVH guest in version 3",
				  r->at);
	if (keep(r, &h, sizeof(h)))
		return -1;
	do {
		if (get_record(r, &rec))
			return -1;
		if (rec.type == C_PAGES ? get_pages(r, &rec) :
					  keep(r, &rec, sizeof(rec)) ||
						  keep(r, r->data, (rec.length + 7ull) & ~7ull))
			return -1;
	} while (rec.type != C_END);
	return 0;
}

static int get_libxl(struct reader *r)
{
	struct libxl_header h;
	struct record rec;

	if (get(r, &h, sizeof(h)))
		return -1;
	if (h.magic != __builtin_bswap64(LIBXL_MAGIC) ||
	    h.version != __builtin_bswap32(LIBXL_VERSION) || h.options)
		return chain_fail("not a stream of libxl in version 2");
	if (keep(r, &h, sizeof(h)))
		return -1;
	do {
		if (get_record(r, &rec) || keep(r, &rec, sizeof(rec)) ||
		    keep(r, r->data, (rec.length + 7ull) & ~7ull))
			return -1;
		if (rec.type == L_LIBXC && get_libxc(r))
			return -1;
	} while (rec.type != L_END);
	return 0;
}

int stream_read(int from, int pages, uint8_t **seen, uint64_t *nr_seen, char **rest,
		size_t *nr_rest)
{
	struct reader r = { .from = from, .pages = pages };
	int rc = get_libxl(&r);

	free(r.data);
	if (rc) {
		free(r.seen);
		free(r.rest);
		return -1;
	}
	*seen = r.seen;
	*nr_seen = r.nr_seen;
	*rest = r.rest;
	*nr_rest = r.nr_rest;
	return 0;
}

static int put(int to, const void *data, size_t n)
{
	while (n) {
		ssize_t rc = write(to, data, n);

		if (rc < 0 && errno != EINTR)
			return chain_fail("the stream: %s", strerror(errno));
		data = (const char *)data + (rc < 0 ? 0 : rc);
		n -= rc < 0 ? 0 : (size_t)rc;
	}
	return 0;
}

static int put_pages(int to, struct chain *c)
{
	struct {
		struct record h;
		uint32_t count, unused;
		uint64_t pfns[BATCH];
	} head = { .h = { C_PAGES, 0 } };
	char *pages = malloc((size_t)BATCH * CHAIN_PAGE);
	uint64_t gfn = 0;
	bool more = true;
	int rc = pages ? 0 : chain_fail("no memory");

	while (!rc && more) {
		uint32_t n = 0;

		while (n < BATCH && (more = chain_next(c, &gfn)) && !rc) {
			head.pfns[n] = gfn;
			rc = chain_page(c, gfn++, pages + (size_t)n++ * CHAIN_PAGE) < 0 ? -1 : 0;
		}
		head.count = n;
		head.h.length = 8 + n * (8 + CHAIN_PAGE);
		if (!rc && n)
			rc = put(to, &head, sizeof(head.h) + 8 + 8ull * n) ||
					     put(to, pages, (size_t)n * CHAIN_PAGE) ?
				     -1 :
				     0;
	}
	free(pages);
	return rc;
}

/* Where libxc's records are in the rest. */
#define RECORDS (sizeof(struct libxl_header) + sizeof(struct record) + sizeof(struct libxc_header))

/* Puts the pages where they were: after the static data, which configures the domain. */
int stream_write(int to, struct chain *c, const char *rest, size_t nr_rest)
{
	size_t at = RECORDS;
	struct record rec;

	do {
		if (at > nr_rest || nr_rest - at < sizeof(rec))
			return chain_fail("the checkpoint has no place for its pages");
		memcpy(&rec, rest + at, sizeof(rec));
		at += sizeof(rec) + ((rec.length + 7ull) & ~7ull);
	} while (rec.type != C_STATIC_END);
	if (at > nr_rest)
		return chain_fail("the checkpoint has no place for its pages");
	return put(to, rest, at) || put_pages(to, c) || put(to, rest + at, nr_rest - at) ? -1 : 0;
}

int stream_renew(char **rest, size_t *nr_rest,
		 int (*renew)(void *arg, uint32_t type, char **data, uint32_t *length), void *arg)
{
	static const char zeros[8];
	struct reader to = { 0 };
	struct record rec = { .type = C_OPTIONAL };
	size_t at = RECORDS;
	int rc = at > *nr_rest || keep(&to, *rest, at);

	while (!rc && rec.type != C_END) {
		char *data = NULL;
		size_t n;

		rc = chain_fail("the checkpoint's stream ends at offset %zu", at);
		if (*nr_rest - at < sizeof(rec))
			break;
		memcpy(&rec, *rest + at, sizeof(rec));
		at += sizeof(rec);
		n = (rec.length + 7ull) & ~7ull;
		if (n > *nr_rest - at || !(data = malloc(n + 1)))
			break;
		memcpy(data, *rest + at, n);
		at += n;
		rc = renew(arg, rec.type, &data, &rec.length) || keep(&to, &rec, sizeof(rec)) ||
		     keep(&to, data, rec.length) || keep(&to, zeros, -rec.length & 7);
		free(data);
	}
	if (rc || keep(&to, *rest + at, *nr_rest - at)) {
		free(to.rest);
		return -1;
	}
	free(*rest);
	*rest = to.rest;
	*nr_rest = to.nr_rest;
	return 0;
}
