/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl trace export: writes a trace file as JSON in Chrome's trace event format, for Perfetto and
 * chrome://tracing. The process "CPUs" has a thread per CPU with the vCPU that runs there. Each
 * domain is a process and each vCPU a thread of it, with Margay's work for it from each exit to the
 * next entry.
 */
#include <stdlib.h>
#include <string.h>

#include "show.h"

#define CPUS_PID 1U
#define DOMAIN_PID \
	1000U /* plus the domain's id; thread ids are unique in the whole file */
#define MAX_THREADS 64U /* vCPUs per domain */

/* An open slice: since an exit, or on a CPU. name is NULL if there is none. */
struct slice {
	char name[64];
	uint64_t start;
	bool open;
	uint64_t rip;
};

struct export {
	const struct trace_file *t;
	struct json j;
	struct slice cpus[MAX_CPUS];
	struct slice *domains[0x8000];	/* MAX_THREADS each, for domains with records */
};

static uint32_t pid_of(const struct margay_trace *r)
{
	return DOMAIN_PID + r->domain;
}

/* Viewers treat thread 0 specially. */
static uint32_t cpu_tid(uint32_t cpu)
{
	return 1 + cpu;
}

static uint32_t tid_of(uint32_t domain, uint32_t vcpu)
{
	return (DOMAIN_PID + domain) * MAX_THREADS + vcpu;
}

static struct slice *slice_of(struct export *x, const struct margay_trace *r)
{
	struct slice **d = &x->domains[r->domain & 0x7fff];

	if (!*d)
		*d = calloc(MAX_THREADS, sizeof(**d));
	return *d ? *d + r->vcpu % MAX_THREADS : NULL;
}

/* Time stamps are microseconds. */
static void put_time(struct export *x, const char *key, uint64_t ns)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu.%03llu", (unsigned long long)ns / 1000,
		 (unsigned long long)ns % 1000);
	json_raw(&x->j, key, text);
}

static void begin(struct export *x, const char *name, const char *ph, uint32_t pid, uint32_t tid,
		  uint64_t tsc)
{
	fputs(x->j.more ? ",\n" : "\n", x->j.f);
	x->j.more = false;
	json_begin(&x->j, NULL, '{');
	json_text(&x->j, "name", name, strlen(name));
	json_text(&x->j, "ph", ph, 1);
	put_time(x, "ts", trace_ns(x->t, tsc));
	json_number(&x->j, "pid", pid);
	json_number(&x->j, "tid", tid);
}

static void end(struct export *x)
{
	json_end(&x->j, '}');
}

static void name_it(struct export *x, const char *what, uint32_t pid, uint32_t tid,
		    const char *name)
{
	begin(x, what, "M", pid, tid, x->t->first);
	json_begin(&x->j, "args", '{');
	json_text(&x->j, "name", name, strlen(name));
	json_end(&x->j, '}');
	end(x);
}

static void instant(struct export *x, const char *name, uint32_t pid, uint32_t tid, uint64_t tsc)
{
	begin(x, name, "i", pid, tid, tsc);
	json_text(&x->j, "s", "t", 1);
	end(x);
}

static void close_slice(struct export *x, struct slice *s, uint32_t pid, uint32_t tid, uint64_t tsc)
{
	char rip[24];

	if (!s->open)
		return;
	s->open = false;
	begin(x, s->name, "X", pid, tid, s->start);
	put_time(x, "dur", trace_ns(x->t, tsc) - trace_ns(x->t, s->start));
	if (s->rip) {
		snprintf(rip, sizeof(rip), "0x%llx", (unsigned long long)s->rip);
		json_begin(&x->j, "args", '{');
		json_text(&x->j, "rip", rip, sizeof(rip));
		json_end(&x->j, '}');
	}
	end(x);
}

/* Records which vCPU runs on the CPU, from its arrival to its departure. */
static void on_sched(struct export *x, const struct margay_trace *r, struct slice *v)
{
	struct slice *c = &x->cpus[r->cpu % MAX_CPUS];

	close_slice(x, c, CPUS_PID, cpu_tid(r->cpu), r->tsc);
	close_slice(x, v, pid_of(r), tid_of(r->domain, r->vcpu), r->tsc);
	if (r->a != 3)
		return;
	*c = (struct slice){ .open = true, .start = r->tsc };
	snprintf(c->name, sizeof(c->name), "%s", trace_who(x->t, r));
}

static void on_record(struct export *x, const struct margay_trace *r)
{
	struct slice *v = r->domain == MARGAY_NONE ? NULL : slice_of(x, r);
	uint32_t pid = v ? pid_of(r) : CPUS_PID,
		 tid = v ? tid_of(r->domain, r->vcpu) : cpu_tid(r->cpu);
	const char *call, *op;
	char text[64];

	switch (v || r->event == MARGAY_TRACE_POLICY ? r->event : TRACE_LOST) {
	case MARGAY_TRACE_EXIT:
		close_slice(x, v, pid, tid, r->tsc);
		*v = (struct slice){ .open = true, .start = r->tsc, .rip = r->b };
		snprintf(v->name, sizeof(v->name), "%s", exit_name(r->a));
		return;
	case MARGAY_TRACE_ENTRY:
		close_slice(x, v, pid, tid, r->tsc);
		return;
	case MARGAY_TRACE_HYPERCALL:
		call = hypercall_name(r->a);
		op = operation_name(call, r->b);
		snprintf(text, sizeof(text), "%s%s%s", call, op ? " " : "", op ? op : "");
		if (v->open)
			memcpy(v->name, text, sizeof(v->name));
		else
			instant(x, text, pid, tid, r->tsc);
		return;
	case MARGAY_TRACE_INJECT:
		snprintf(text, sizeof(text), "%s %u", inject_names[r->a >> 8 & 7],
			 (unsigned int)(r->a & 255));
		break;
	case MARGAY_TRACE_SCHED:
		on_sched(x, r, v);
		return;
	case MARGAY_TRACE_WAKE:
		snprintf(text, sizeof(text), "woken by CPU %u", r->cpu);
		break;
	case MARGAY_TRACE_POLICY:
		snprintf(text, sizeof(text), "policy %s of CPU %llu",
			 (r->a & 255) < NR_POINTS ? point_names[r->a & 255] : "?",
			 (unsigned long long)r->a >> 8);
		break;
	case MARGAY_TRACE_FAULT:
		snprintf(text, sizeof(text), "fault 0x%llx", (unsigned long long)r->a);
		break;
	case TRACE_LOST:
		pid = CPUS_PID;
		tid = cpu_tid(r->cpu);
		snprintf(text, sizeof(text), "%llu records lost", (unsigned long long)r->a);
		break;
	default:
		return;
	}
	instant(x, text, pid, tid, r->tsc);
}

/* Closes the open slices at the end of the trace, and names all processes and threads. */
static void finish(struct export *x, uint64_t tsc)
{
	char text[32];

	name_it(x, "process_name", CPUS_PID, cpu_tid(0), "CPUs");
	for (uint32_t i = 0; i < MAX_CPUS; i++) {
		close_slice(x, &x->cpus[i], CPUS_PID, cpu_tid(i), tsc);
		snprintf(text, sizeof(text), "CPU %u", i);
		if (i < x->t->h.cpus)
			name_it(x, "thread_name", CPUS_PID, cpu_tid(i), text);
	}
	for (uint32_t d = 0; d < 0x8000; d++) {
		if (!x->domains[d])
			continue;
		snprintf(text, sizeof(text), "domain %u", d);
		name_it(x, "process_name", DOMAIN_PID + d, tid_of(d, 0),
			x->t->names[d][0] ? x->t->names[d] : text);
		for (uint32_t i = 0; i < MAX_THREADS; i++) {
			close_slice(x, &x->domains[d][i], DOMAIN_PID + d, tid_of(d, i), tsc);
			if (!x->domains[d][i].start)
				continue;
			snprintf(text, sizeof(text), "vCPU %u", i);
			name_it(x, "thread_name", DOMAIN_PID + d, tid_of(d, i), text);
		}
		free(x->domains[d]);
	}
}

int export_trace(const char *name, FILE *out, FILE *err)
{
	struct trace_file *t;
	int rc = trace_load(name, &t, err);
	struct export *x = rc ? NULL : calloc(1, sizeof(*x));

	if (rc)
		return rc;
	if (!x) {
		trace_free(t);
		fputs("mgctl: out of memory\n", err);
		return MGCTL_USAGE;
	}
	x->t = t;
	x->j.f = out;
	json_begin(&x->j, NULL, '{');
	json_text(&x->j, "displayTimeUnit", "ns", 2);
	json_begin(&x->j, "traceEvents", '[');
	for (size_t i = 0; i < t->nr; i++)
		on_record(x, &t->records[i]);
	finish(x, t->nr ? t->records[t->nr - 1].tsc : 0);
	json_end(&x->j, ']');
	json_end(&x->j, '}');
	fputc('\n', out);
	free(x);
	return trace_end(t, name, err);
}
