/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl trace record: maps the rings read-only and copies them to a file until the time is up.
 * Margay never waits: records that it overwrites first are counted as lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define MAX_RINGS 256U
#define PAUSE_MS 20U

struct ring {
	const struct margay_trace_ring *head;	/* NULL after the last CPU */
	const struct margay_trace *records;
	uint32_t pages;
	uint64_t next;			/* the first record not yet in the file */
};

struct recording {
	struct mgctl *m;
	FILE *f;
	struct ring rings[MAX_RINGS];
	uint32_t nr_rings;
	struct margay_trace *copy;	/* room for a whole ring */
	uint64_t kept, lost;
	int failed;			/* errno of the first failed write, or 0 */
};

static uint64_t written(const struct ring *r)
{
	return __atomic_load_n(&r->head->written, __ATOMIC_ACQUIRE);
}

static void put(struct recording *rec, const struct margay_trace *t, size_t n)
{
	if (fwrite(t, sizeof(*t), n, rec->f) != n && !rec->failed)
		rec->failed = errno;
}

/* Copies new records to the file. Drops those that Margay may have overwritten during the copy. */
static void drain(struct recording *rec, struct ring *r)
{
	uint64_t room = r->head->records, end = written(r), first = r->next, start = first, good;

	if (end - start >= room)
		start = end - room + 1;
	for (uint64_t i = start; i < end; i++)
		rec->copy[i - start] = r->records[i % room];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	good = written(r);
	good = good >= room ? good - room + 1 : 0;
	good = good < start ? start : good > end ? end : good;
	if (good > first) {
		struct margay_trace lost = { .event = TRACE_LOST,
					     .cpu = (uint16_t)r->head->cpu,
					     .domain = MARGAY_NONE,
					     .a = good - first };

		lost.tsc = good < end ? rec->copy[good - start].tsc : 0;
		put(rec, &lost, 1);
		rec->lost += good - first;
	}
	put(rec, rec->copy + (good - start), end - good);
	rec->kept += end - good;
	r->next = end;
}

static void drain_all(struct recording *rec)
{
	for (uint32_t i = 0; i < rec->nr_rings; i++)
		drain(rec, &rec->rings[i]);
}

/* Sets the kinds of events to record. Returns 0 or -errno. */
static int switch_to(struct mgctl *m, uint32_t events, uint32_t pages)
{
	struct margay_op op = { .cmd = MARGAY_TRACE };

	op.u.trace.events = events;
	op.u.trace.pages = pages;
	return m->call(m, &op);
}

static int map_rings(struct recording *rec, bool old)
{
	struct mgctl *m = rec->m;
	uint32_t most = 0;

	for (uint32_t cpu = 0; cpu < MAX_RINGS; cpu++) {
		struct ring *r = &rec->rings[cpu];
		struct margay_op op = { .cmd = MARGAY_TRACE_RING };
		int rc;

		op.u.ring.cpu = cpu;
		rc = m->call(m, &op);
		if (rc == -ENOENT && cpu)
			break;
		if (rc)
			return rc;
		r->pages = op.u.ring.pages;
		r->head = m->map(m, op.u.ring.frame, r->pages);
		if (!r->head)
			return errno ? -errno : -EIO;
		rec->nr_rings++;
		if (r->head->version != MARGAY_TRACE_VERSION || !r->head->records ||
		    r->head->records > (r->pages - 1) * 4096UL / sizeof(*r->records))
			return -EPROTO;
		r->records = (const void *)((const char *)r->head + 4096);
		r->next = old ? 0 : written(r);
		most = r->head->records > most ? r->head->records : most;
	}
	rec->copy = malloc(most * sizeof(*rec->copy));
	return rec->copy ? 0 : -ENOMEM;
}

static void put_header(struct recording *rec)
{
	struct trace_header h = { .magic = TRACE_MAGIC,
				  .tsc_hz = rec->rings[0].head->tsc_hz,
				  .cpus = rec->nr_rings };

	if (fwrite(&h, sizeof(h), 1, rec->f) != 1)
		rec->failed = errno;
}

/* Writes the names of all present domains. */
static void put_names(struct recording *rec)
{
	struct margay_op op = { .cmd = MARGAY_STAT };

	op.u.stat.domain = MARGAY_STAT_MACHINE;
	op.u.stat.index = MARGAY_STAT_WHOLE;
	while (!rec->m->call(rec->m, &op) && op.u.stat.next != MARGAY_NONE) {
		struct margay_trace t = { .event = TRACE_NAME };
		char name[16] = "";

		op.u.stat.domain = op.u.stat.next;
		op.u.stat.max = 0;
		if (rec->m->call(rec->m, &op))
			return;
		memcpy(name, op.name, sizeof(name));
		t.domain = (uint16_t)op.u.stat.domain;
		memcpy(&t.a, name, 8);
		memcpy(&t.b, name + 8, 8);
		put(rec, &t, 1);
	}
}

static int run(struct recording *rec, const struct request *rq)
{
	uint64_t left = rq->seconds * 1000;
	int rc;

	put_header(rec);
	put_names(rec);
	rc = switch_to(rec->m, rq->events, rq->pages);
	if (rc)
		return rc;
	while (rec->m->wait(rec->m, PAUSE_MS) && !rec->failed) {
		drain_all(rec);
		if (rq->seconds && left <= PAUSE_MS)
			break;
		left -= PAUSE_MS;
	}
	rc = switch_to(rec->m, 0, rq->pages);
	drain_all(rec);
	put_names(rec);
	return rc;
}

int do_record(struct mgctl *m, const struct request *rq)
{
	struct recording *rec = calloc(1, sizeof(*rec));
	int rc, failed;

	if (!rec)
		return no_access(m, "out of memory");
	rec->m = m;
	rec->f = fopen(rq->file, "wb");
	if (!rec->f) {
		say(m->err, "mgctl: cannot write %s: %s", rq->file, strerror(errno));
		free(rec);
		return MGCTL_USAGE;
	}
	rc = switch_to(m, 0, rq->pages);	/* the rings exist from now on */
	rc = rc ? rc : map_rings(rec, rq->old);
	if (!rc && rq->sized && rec->rings[0].pages != 1 + rq->pages)
		say(m->err,
		    "mgctl: the rings keep their size, --pages %u: the first recording fixed it",
		    rec->rings[0].pages - 1);
	rc = rc ? rc : run(rec, rq);
	if (fclose(rec->f) && !rec->failed)
		rec->failed = errno;
	failed = rec->failed;
	for (uint32_t i = 0; i < rec->nr_rings; i++)
		m->unmap(m, rec->rings[i].head, rec->rings[i].pages);
	if (rc)
		say(m->err, "mgctl: cannot record: %s",
		    rc == -EINVAL ? "Margay refuses rings of that size" :
		    rc == -ENOMEM ? "no memory for the rings" :
				    strerror(-rc));
	else if (failed)
		say(m->err, "mgctl: cannot write %s: %s", rq->file, strerror(failed));
	else
		fprintf(m->out, "%llu records, %llu lost\n", (unsigned long long)rec->kept,
			(unsigned long long)rec->lost);
	free(rec->copy);
	free(rec);
	return rc ? MGCTL_REFUSED : failed ? MGCTL_USAGE : MGCTL_OK;
}
