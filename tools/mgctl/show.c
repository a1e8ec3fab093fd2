/* SPDX-License-Identifier: BSD-2-Clause */
/* mgctl trace show: reads a trace file, sorts it and prints it as text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

static int earlier(const void *a, const void *b)
{
	const struct margay_trace *x = *(struct margay_trace *const *)a;
	const struct margay_trace *y = *(struct margay_trace *const *)b;

	if (x->tsc != y->tsc)
		return x->tsc < y->tsc ? -1 : 1;
	return x < y ? -1 : 1;
}

/* Sorts by time. Records with equal times, as a coarse TSC gives, keep their order. */
static bool sort(struct trace_file *t)
{
	struct margay_trace **order = malloc((t->nr + 1) * sizeof(*order));
	struct margay_trace *sorted = malloc((t->nr + 1) * sizeof(*sorted));
	bool ok = order && sorted;

	for (size_t i = 0; ok && i < t->nr; i++)
		order[i] = &t->records[i];
	if (ok)
		qsort(order, t->nr, sizeof(*order), earlier);
	for (size_t i = 0; ok && i < t->nr; i++)
		sorted[i] = *order[i];
	free(order);
	if (!ok) {
		free(sorted);
		return false;
	}
	free(t->records);
	t->records = sorted;
	return true;
}

/* Moves the names aside. A loss without a later record gets the time of the last record. */
static void take_names(struct trace_file *t)
{
	size_t kept = 0;
	uint64_t last = 0;

	for (size_t i = 0; i < t->nr; i++) {
		struct margay_trace *r = &t->records[i];

		if (r->event == TRACE_NAME) {
			char *name = t->names[r->domain & 0x7fff];

			memcpy(name, &r->a, 8);
			memcpy(name + 8, &r->b, 8);
			continue;
		}
		last = r->tsc > last ? r->tsc : last;
		t->records[kept++] = *r;
	}
	t->nr = kept;
	for (size_t i = 0; i < kept; i++)
		if (!t->records[i].tsc)
			t->records[i].tsc = last;
}

static int complain(FILE *err, const char *name, const char *why)
{
	say(err, "mgctl: %s: %s", name, why);
	return MGCTL_USAGE;
}

static int read_records(FILE *f, const char *name, struct trace_file *t, FILE *err)
{
	const size_t size = sizeof(*t->records);
	size_t room = 0, bytes = 0, n;

	n = fread(&t->h, sizeof(t->h), 1, f);
	if (ferror(f))
		return complain(err, name, strerror(errno));
	if (n != 1 || memcmp(t->h.magic, TRACE_MAGIC, 8) || !t->h.tsc_hz)
		return complain(err, name, "is not a trace of mgctl's");
	do {
		if (bytes == room * size) {
			void *more = realloc(t->records, (room = room * 2 + 4096) * size);

			if (!more)
				return complain(err, name, strerror(ENOMEM));
			t->records = more;
		}
		n = fread((char *)t->records + bytes, 1, room * size - bytes, f);
		bytes += n;
	} while (n);
	t->nr = bytes / size;
	t->cut = bytes % size || !t->nr || t->records[t->nr - 1].event != TRACE_NAME;
	return ferror(f) ? complain(err, name, strerror(errno)) : MGCTL_OK;
}

int trace_load(const char *name, struct trace_file **file, FILE *err)
{
	struct trace_file *t = calloc(1, sizeof(*t));
	FILE *f = fopen(name, "rb");
	int rc;

	if (!t || !f) {
		rc = complain(err, name, strerror(errno));
		free(t);
		if (f)
			fclose(f);
		return rc;
	}
	rc = read_records(f, name, t, err);
	fclose(f);
	if (!rc) {
		take_names(t);
		if (!sort(t))
			rc = complain(err, name, strerror(ENOMEM));
	}
	if (rc) {
		trace_free(t);
		return rc;
	}
	t->first = t->nr ? t->records[0].tsc : 0;
	*file = t;
	return MGCTL_OK;
}

int trace_end(struct trace_file *t, const char *name, FILE *err)
{
	bool cut = t->cut;

	trace_free(t);
	if (!cut)
		return MGCTL_OK;
	complain(err, name, "is truncated: its end is missing");
	return MGCTL_REFUSED;
}

void trace_free(struct trace_file *t)
{
	free(t->records);
	free(t);
}

uint64_t trace_ns(const struct trace_file *t, uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)(tsc - t->first) * 1000000000U / t->h.tsc_hz);
}

const char *trace_who(const struct trace_file *t, const struct margay_trace *r)
{
	static char text[32];
	const char *name = t->names[r->domain & 0x7fff];

	if (r->domain == MARGAY_NONE)
		return "-";
	if (name[0])
		snprintf(text, sizeof(text), "%s/%u", name, r->vcpu);
	else
		snprintf(text, sizeof(text), "domain %u/%u", r->domain, r->vcpu);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return text;
}

const char *const event_names[MARGAY_TRACE_EVENTS] = {
	"exit", "entry", "hypercall", "inject", "sched", "wake", "policy", "fault",
};
const char *const run_names[4] = { "off", "sleeps", "waits", "runs" };
const char *const inject_names[8] = { "interrupt", "?", "NMI", "exception", "soft", "?", "?", "?" };

static void show_payload(FILE *f, const struct margay_trace *r)
{
	unsigned long long a = r->a, b = r->b;

	switch (r->event) {
	case MARGAY_TRACE_EXIT: fprintf(f, "%s at %llx", exit_name(a), b); break;
	case MARGAY_TRACE_ENTRY: fprintf(f, "at %llx", a); break;
	case MARGAY_TRACE_HYPERCALL:
		fputs(hypercall_name(a), f);
		print_operation(f, hypercall_name(a), b);
		break;
	case MARGAY_TRACE_INJECT:
		fprintf(f, "%s %llu", inject_names[a >> 8 & 7], a & 255);
		break;
	case MARGAY_TRACE_SCHED:
		fprintf(f, "%s", run_names[a & 3]);
		break;
	case MARGAY_TRACE_WAKE:
		break;
	case MARGAY_TRACE_POLICY:
		fprintf(f, "%s of CPU %llu: module %llu",
			(a & 255) < NR_POINTS ? point_names[a & 255] : "?", a >> 8, b);
		break;
	case MARGAY_TRACE_FAULT:
		fprintf(f, "%llx%s%s%s", a, b & 1 ? " write" : "", b & 2 ? " fetch" : "",
			b & 4 ? " in a page table" : "");
		break;
	default:
		fprintf(f, "%llx %llx", a, b);
	}
}

int show_trace(const char *name, FILE *out, FILE *err)
{
	struct trace_file *t;
	int rc = trace_load(name, &t, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < t->nr; i++) {
		const struct margay_trace *r = &t->records[i];
		unsigned long long ns = trace_ns(t, r->tsc);

		fprintf(out, "%5llu.%09llu CPU %-3u ", ns / 1000000000, ns % 1000000000, r->cpu);
		if (r->event == TRACE_LOST) {
			fprintf(out, "%llu records lost\n", (unsigned long long)r->a);
			continue;
		}
		fprintf(out, "%-16s %-9s ", trace_who(t, r),
			r->event < MARGAY_TRACE_EVENTS ? event_names[r->event] : "?");
		show_payload(out, r);
		fputc('\n', out);
	}
	return trace_end(t, name, err);
}
