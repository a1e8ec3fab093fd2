/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The share of the time in which all vCPUs of a guest run, of the time in which any runs, by
 * Margay's trace: under rr and under gang, both loaded at boot. Covers this guest and the domains
 * up to MAX_DOMAIN that keep two or more vCPUs busy. overlap= on the command line is the least that
 * gang must give each, in thousandths. rr must give each less than half of the most that gang gives
 * any.
 */
#include "guest.h"

#include <public/margay.h>

#define MAX_DOMAIN 4
#define MAX_VCPUS 8
#define MAX_RINGS 4
#define PAGES 64u
#define SETTLE (NS_PER_S / 2)
#define MEASURE (2 * NS_PER_S)

static struct margay_op op;
static volatile bool stop;
static struct ring {
	const struct margay_trace_ring *head;
	const struct margay_trace *records;
	uint64_t next, end;
} rings[MAX_RINGS];
static unsigned int nr_rings;

/* Per domain: which vCPUs run, and the ticks with at least one and with all of them. */
static struct seen {
	bool runs[MAX_VCPUS];
	unsigned int vcpus, running;
	uint64_t any, all;
} seen[MAX_DOMAIN + 1];

static long control(uint32_t cmd)
{
	op.cmd = cmd;
	op.interface = MARGAY_INTERFACE;
	return hypercall1(MARGAY_HYPERCALL, &op);
}

static void select(const char *policy)
{
	memset(&op, 0, sizeof(op));
	memcpy(op.name, policy, strlen(policy));
	op.u.select.point = MARGAY_POINT_SCHED;
	memset(op.u.select.cpus, 0xff, sizeof(op.u.select.cpus));
	CHECK_RET(control(MARGAY_POLICY_SELECT), 0);
}

static void trace(uint32_t events)
{
	memset(&op, 0, sizeof(op));
	op.u.trace.events = events;
	op.u.trace.pages = PAGES;
	CHECK_RET(control(MARGAY_TRACE), 0);
}

static void map_rings(void)
{
	trace(0);
	for (; nr_rings < MAX_RINGS; nr_rings++) {
		uintptr_t at;

		memset(&op, 0, sizeof(op));
		op.u.ring.cpu = nr_rings;
		if (control(MARGAY_TRACE_RING))
			break;
		at = hole_alloc(op.u.ring.pages);
		for (unsigned int i = 0; i < op.u.ring.pages; i++)
			CHECK_RET(map_foreign(DOMID_XEN, op.u.ring.frame + i, at + i * PAGE_SIZE),
				  0);
		rings[nr_rings].head = (void *)at;
		rings[nr_rings].records = (void *)(at + PAGE_SIZE);
	}
	CHECK(nr_rings > 1, "%u CPUs", nr_rings);
}

/* Returns the next record of all CPUs in order of time; NULL after the last. */
static const struct margay_trace *next_record(void)
{
	const struct margay_trace *first = NULL;
	struct ring *of = NULL;

	for (struct ring *r = rings; r < rings + nr_rings; r++) {
		const struct margay_trace *t = &r->records[r->next % r->head->records];

		if (r->next < r->end && (!first || t->tsc < first->tsc)) {
			first = t;
			of = r;
		}
	}
	if (of)
		of->next++;
	return first;
}

static void add_up(void)
{
	const struct margay_trace *t;
	uint64_t last = 0, start = 0;

	memset(seen, 0, sizeof(seen));
	while ((t = next_record())) {
		struct seen *s;

		start = start ? start : t->tsc;
		/* The trace shows only after a while which vCPUs ran at the start. */
		for (s = seen; s <= &seen[MAX_DOMAIN] && t->tsc - start > rings[0].head->tsc_hz / 5;
		     s++) {
			s->any += s->running ? t->tsc - last : 0;
			s->all += s->running && s->running == s->vcpus ? t->tsc - last : 0;
		}
		last = t->tsc;
		if (t->event != MARGAY_TRACE_SCHED || t->domain > MAX_DOMAIN ||
		    t->vcpu >= MAX_VCPUS)
			continue;
		s = &seen[t->domain];
		s->vcpus = t->vcpu >= s->vcpus ? t->vcpu + 1u : s->vcpus;
		s->running += (t->a == 3) - s->runs[t->vcpu];
		s->runs[t->vcpu] = t->a == 3;
	}
}

static void spin(uint64_t ns)
{
	for (uint64_t end = now_ns() + ns; now_ns() < end;)
		cpu_pause();
}

static void worker(void)
{
	while (!stop)
		cpu_pause();
}

/* Finds the least and the greatest overlap of the domains, in thousandths. */
static void overlap(const char *policy, uint64_t *least, uint64_t *most)
{
	*least = 1000;
	*most = 0;
	select(policy);
	spin(SETTLE);
	for (struct ring *r = rings; r < rings + nr_rings; r++)
		r->next = r->head->written;
	trace(1u << MARGAY_TRACE_SCHED);
	spin(MEASURE);
	trace(0);
	for (struct ring *r = rings; r < rings + nr_rings; r++) {
		r->end = r->head->written;
		CHECK(r->end - r->next > 10 && r->end - r->next < r->head->records,
		      "%lu records in a ring for %u", r->end - r->next, r->head->records);
	}
	add_up();
	for (unsigned int d = 1; d <= MAX_DOMAIN; d++) {
		uint64_t part;

		if (seen[d].vcpus < 2)
			continue;
		CHECK(seen[d].any, "domain %u did not run", d);
		part = seen[d].all * 1000 / seen[d].any;
		printf("%s: all %u vCPUs of domain %u at once in %lu of 1000\n", policy,
		       seen[d].vcpus, d, part);
		*least = part < *least ? part : *least;
		*most = part > *most ? part : *most;
	}
}

int main(void)
{
	uint64_t rr, gang, none;

	CHECK(cpu_count() > 1, "needs more than one vCPU");
	cpu_start_all(worker);
	map_rings();
	overlap("rr", &none, &rr);
	overlap("gang", &gang, &none);
	CHECK(gang >= cmdline_number("overlap", 600), "gang: %lu of 1000", gang);
	CHECK(rr < gang / 2, "rr: %lu of 1000, gang %lu", rr, gang);
	stop = true;
	pass();
}
