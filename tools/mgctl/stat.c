/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl stat: prints Margay's counters as a table of 72 columns, as JSON, or one per line. Margay
 * supplies the counters and their names. --watch computes rates from two snapshots.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgctl.h"

#define MAX_COUNTERS 512U
/*
 * Clears the screen. Margay writes its tag before the first character of a line, so it clears that
 * one too: the table begins in the next line.
 */
#define CLEAR "\033[H\033[J\n"

/* The machine or a domain (index MARGAY_STAT_WHOLE), a CPU or a vCPU. */
struct thing {
	uint32_t domain, index, nr;
	char name[33];
	struct margay_counter *counters;
};

struct snapshot {
	struct thing *things;
	size_t nr;
};

static void drop(struct snapshot *s)
{
	for (size_t i = 0; i < s->nr; i++)
		free(s->things[i].counters);
	free(s->things);
	*s = (struct snapshot){ 0 };
}

/* Adds one thing to the snapshot. Returns 0 or -errno. */
static int add(struct mgctl *m, struct snapshot *s, struct margay_counter *buffer, uint32_t domain,
	       uint32_t index, uint32_t *next)
{
	struct margay_op op = { .cmd = MARGAY_STAT };
	struct thing *t;
	int rc;

	op.u.stat.domain = domain;
	op.u.stat.index = index;
	op.u.stat.counters = (uintptr_t)buffer;
	op.u.stat.max = MAX_COUNTERS;
	rc = m->call(m, &op);
	if (rc)
		return rc;
	*next = op.u.stat.next;
	t = realloc(s->things, (s->nr + 1) * sizeof(*t));
	if (!t)
		return -ENOMEM;
	s->things = t;
	t += s->nr;
	*t = (struct thing){ .domain = op.u.stat.domain, .index = index };
	t->nr = op.u.stat.nr < MAX_COUNTERS ? op.u.stat.nr : MAX_COUNTERS;
	memcpy(t->name, op.name, sizeof(op.name));
	t->counters = malloc(t->nr * sizeof(*buffer) + 1);
	if (!t->counters)
		return -ENOMEM;
	memcpy(t->counters, buffer, t->nr * sizeof(*buffer));
	s->nr++;
	return 0;
}

/*
 * Adds the whole and then its CPUs or vCPUs until the last. Ignores a domain that has just ended.
 */
static int add_all(struct mgctl *m, struct snapshot *s, struct margay_counter *buffer,
		   uint32_t domain, uint32_t *next)
{
	int rc = add(m, s, buffer, domain, MARGAY_STAT_WHOLE, next);

	for (uint32_t i = 0; !rc; i++)
		rc = add(m, s, buffer, domain, i, next);
	return rc == -ENOENT || rc == -ESRCH ? 0 : rc;
}

static int take(struct mgctl *m, const struct request *rq, struct snapshot *s)
{
	struct margay_counter *buffer = m->alloc(m, MAX_COUNTERS * sizeof(*buffer));
	uint32_t next = MARGAY_NONE, none;
	int rc = buffer ? add_all(m, s, buffer, MARGAY_STAT_MACHINE, &next) : -ENOMEM;

	if (rq->domain != MARGAY_POLICY_ITSELF) {
		size_t before = s->nr;

		rc = rc ? rc : add_all(m, s, buffer, rq->domain, &none);
		if (!rc && s->nr == before)
			rc = -ESRCH;
		next = MARGAY_NONE;
	}
	while (!rc && next != MARGAY_NONE) {
		uint32_t domain = next;

		next = MARGAY_NONE;
		rc = add_all(m, s, buffer, domain, &next);
	}
	if (buffer)
		m->free(m, buffer);
	if (rc)
		drop(s);
	return rc;
}

static bool is(const struct margay_counter *c, const char *group, const char *name)
{
	return !strncmp(c->group, group, sizeof(c->group)) &&
	       (!name || !strncmp(c->name, name, sizeof(c->name)));
}

/* Returns the sum of a group's counters, or the counter with the given name. */
static uint64_t value(const struct thing *t, const char *group, const char *name)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; t && i < t->nr; i++)
		if (is(&t->counters[i], group, name))
			sum += t->counters[i].value;
	return sum;
}

static const struct thing *same_thing(const struct snapshot *s, const struct thing *t)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->things[i].domain == t->domain && s->things[i].index == t->index)
			return &s->things[i];
	return NULL;
}

/* Returns the increase since `was`; NULL means since the start. */
static uint64_t gain(const struct thing *t, const struct thing *was, const char *group,
		     const char *name)
{
	uint64_t now = value(t, group, name), then = value(was, group, name);

	return now > then ? now - then : 0;
}

/* Prints right-aligned in six columns after a space. */
static void count(FILE *f, double n)
{
	static const char unit[] = " kMGTPE";
	int i = 0;

	for (; n >= 99999.5 && unit[i + 1]; i++)
		n /= 1000;
	if (i)
		fprintf(f, " %5.0f%c", n, unit[i]);
	else
		fprintf(f, " %6.0f", n);
}

static void percent(FILE *f, uint64_t part, uint64_t all)
{
	fprintf(f, " %6.2f", all ? 100.0 * (double)part / (double)all : 0.0);
}

static const char *const state_names[] = { "offline", "blocked", "waiting", "running" };
static const char *const times[] = { "guest", "margay", "waiting", "idle" };

/* Prints the four times as shares of the elapsed time. An offline vCPU counts as idle. */
static void shares(FILE *f, const struct thing *t, const struct thing *was, bool vcpu)
{
	uint64_t all = gain(t, was, "time", NULL);

	for (size_t i = 0; i < 4; i++)
		if (vcpu || i != 2)
			percent(f, gain(t, was, "time", times[i]), all);
}

static void cpu_row(FILE *f, const struct thing *t, const struct thing *was, double per)
{
	if (!t->index)
		fputs("CPU          %GUEST %MARGAY  %IDLE SWITCH  KICKS TIMERS   NMIS\n", f);
	fprintf(f, "%3u         ", t->index);
	shares(f, t, was, false);
	count(f, (double)gain(t, was, "cpu", "switch") * per);
	count(f, (double)gain(t, was, "cpu", "kick") * per);
	count(f, (double)gain(t, was, "cpu", "timer") * per);
	count(f, (double)gain(t, was, "cpu", "nmi") * per);
	fputc('\n', f);
}

static void vcpu_row(FILE *f, const struct thing *t, const struct thing *was, double per)
{
	uint64_t run = value(t, "state", "run");

	fprintf(f, "%5u %3llu %c ", t->index, (unsigned long long)value(t, "state", "cpu"),
		run < 4 ? state_names[run][0] : '?');
	shares(f, t, was, true);
	count(f, (double)gain(t, was, "exit", NULL) * per);
	count(f, (double)gain(t, was, "hypercall", NULL) * per);
	count(f, (double)gain(t, was, "inject", NULL) * per);
	count(f, (double)gain(t, was, "sched", "wakeup") * per);
	fputc('\n', f);
}

static unsigned long long mib(const struct thing *t, const char *name)
{
	return (unsigned long long)value(t, "memory", name) >> 20;
}

static unsigned long long kib(const struct thing *t, const char *name)
{
	return (unsigned long long)value(t, "memory", name) >> 10;
}

/* Prints a line for each IOMMU. The number of the IOMMU is the counter's sub. */
static void iommus(FILE *f, const struct thing *t)
{
	static const char *const names[] = { "reported", "suppressed", "cut-off" };
	unsigned long long n[3];

	for (uint32_t unit = 0;; unit++) {
		unsigned int found = 0;

		for (uint32_t i = 0; i < t->nr; i++)
			for (size_t k = 0; k < 3; k++)
				if (is(&t->counters[i], "iommu", names[k]) &&
				    t->counters[i].sub == unit) {
					n[k] = t->counters[i].value;
					found++;
				}
		if (found < 3)
			return;
		fprintf(f,
			"IOMMU %u: faults reported %llu, suppressed %llu; functions cut off %llu\n",
			unit, n[0], n[1], n[2]);
	}
}

static void whole_row(FILE *f, const struct thing *t, bool rates)
{
	if (t->domain == MARGAY_STAT_MACHINE) {
		fprintf(f, "up %.1f s, %llu CPUs; figures are %s\n",
			(double)value(t, "time", "up") / 1e9,
			(unsigned long long)value(t, "cpu", "online"),
			rates ? "per second" : "since the start");
		fprintf(f, "memory: %llu MiB, %llu MiB free, Margay's own %llu KiB\n",
			mib(t, "total"), mib(t, "free"), kib(t, "margay"));
		iommus(f, t);
		return;
	}
	fprintf(f, "\ndomain %u ", t->domain);
	print_text(f, 0, t->name, sizeof(t->name));
	fprintf(f, ": %llu MiB, refused %llu\n", mib(t, "used"),
		(unsigned long long)value(t, "refused", NULL));
	fprintf(f, "mapped: 4K %llu, 2M %llu, 1G %llu\n", (unsigned long long)value(t, "p2m", "4K"),
		(unsigned long long)value(t, "p2m", "2M"),
		(unsigned long long)value(t, "p2m", "1G"));
	if (value(t, "memory", "iommu-tables"))
		fprintf(f, "devices: reach %llu MiB by %llu KiB of tables, interrupts %llu\n",
			mib(t, "iommu-mapped"), kib(t, "iommu-tables"),
			(unsigned long long)value(t, "devices", "interrupts"));
	fputs(" VCPU CPU   %GUEST %MARGAY  %WAIT  %IDLE  EXITS  CALLS INJECT  WAKES\n", f);
}

static void table(FILE *f, const struct snapshot *s, const struct snapshot *before)
{
	const struct thing *m0 = s->nr ? same_thing(before, s->things) : NULL;
	uint64_t passed = s->nr && m0 ? gain(s->things, m0, "time", "up") : 0;
	double per = passed ? 1e9 / (double)passed : 1;

	for (size_t i = 0; i < s->nr; i++) {
		const struct thing *t = &s->things[i], *was = same_thing(before, t);

		if (t->index == MARGAY_STAT_WHOLE)
			whole_row(f, t, m0);
		else if (t->domain == MARGAY_STAT_MACHINE)
			cpu_row(f, t, was, per);
		else
			vcpu_row(f, t, was, per);
	}
}

/* Prints a value in the same unit as the console's key `s`. */
static void print_value(FILE *f, const struct margay_counter *c)
{
	unsigned long long n = c->value;

	if (!strncmp(c->group, "time", sizeof(c->group)))
		fprintf(f, " %llu.%09llu s\n", n / 1000000000, n % 1000000000);
	else if (!strncmp(c->group, "memory", sizeof(c->group)))
		fprintf(f, " %llu KiB\n", n >> 10);
	else if (!strncmp(c->name, "run", sizeof(c->name)) && n < 4)
		fprintf(f, " %s\n", state_names[n]);
	else
		fprintf(f, " %llu\n", n);
}

/* Lists all nonzero counters, one per line, as the console's key `s` does. */
static void listing(FILE *f, const struct snapshot *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct thing *t = &s->things[i];
		bool machine = t->domain == MARGAY_STAT_MACHINE;

		for (uint32_t n = 0; n < t->nr; n++) {
			const struct margay_counter *c = &t->counters[n];

			if (!c->value)
				continue;
			if (machine && t->index != MARGAY_STAT_WHOLE)
				fputs("CPU", f);
			else
				print_text(f, 0, machine ? "machine" : t->name, sizeof(t->name));
			if (t->index != MARGAY_STAT_WHOLE)
				fprintf(f, "%c%u", machine ? ' ' : '/', t->index);
			fputs(": ", f);
			print_text(f, 0, c->group, sizeof(c->group));
			fputc(' ', f);
			print_text(f, 0, c->name, sizeof(c->name));
			if (c->sub != UINT32_MAX)
				print_operation(f, c->name, c->sub);
			print_value(f, c);
		}
	}
}

/* Writes its counters as an object per group; a hypercall is an object of its operations. */
static void json_counters(struct json *j, const struct thing *t)
{
	const struct margay_counter *c = t->counters, *end = c + t->nr;
	char key[20];

	while (c < end) {
		const char *group = c->group;

		snprintf(key, sizeof(key), "%.*s", (int)sizeof(c->group), group);
		json_begin(j, key, '{');
		while (c < end && !strncmp(c->group, group, sizeof(c->group))) {
			const char *name = c->name;

			snprintf(key, sizeof(key), "%.*s", (int)sizeof(key) - 1, name);
			if (c->sub == UINT32_MAX) {
				json_number(j, key, c++->value);
				continue;
			}
			json_begin(j, key, '{');
			for (; c < end && c->sub != UINT32_MAX &&
			       !strncmp(c->name, name, sizeof(c->name));
			     c++) {
				snprintf(key, sizeof(key), "%u", c->sub);
				json_number(j, key, c->value);
			}
			json_end(j, '}');
		}
		json_end(j, '}');
	}
}

/* {"machine": {..., "cpus": [...]}, "domains": [{..., "vcpus": [...]}, ...]} */
static void print_json(FILE *f, const struct snapshot *s)
{
	struct json j = { .f = f };

	json_begin(&j, NULL, '{');
	for (size_t i = 0; i < s->nr; i++) {
		const struct thing *t = &s->things[i];
		bool machine = t->domain == MARGAY_STAT_MACHINE;
		bool last = i + 1 == s->nr || s->things[i + 1].index == MARGAY_STAT_WHOLE;

		if (t->index != MARGAY_STAT_WHOLE) {
			json_begin(&j, NULL, '{');
			json_number(&j, machine ? "cpu" : "vcpu", t->index);
			json_counters(&j, t);
			json_end(&j, '}');
		} else {
			json_begin(&j, machine ? "machine" : NULL, '{');
			if (!machine) {
				json_number(&j, "domain", t->domain);
				json_text(&j, "name", t->name, sizeof(t->name));
			}
			json_counters(&j, t);
			json_begin(&j, machine ? "cpus" : "vcpus", '[');
		}
		if (last) {
			json_end(&j, ']');
			json_end(&j, '}');
		}
		if (last && machine)
			json_begin(&j, "domains", '[');
	}
	json_end(&j, ']');
	json_end(&j, '}');
	fputc('\n', f);
}

static void print(struct mgctl *m, const struct request *rq, const struct snapshot *s,
		  const struct snapshot *before)
{
	if (rq->json)
		print_json(m->out, s);
	else if (rq->all)
		listing(m->out, s);
	else
		table(m->out, s, before);
}

int do_stat(struct mgctl *m, const struct request *rq)
{
	struct snapshot now = { 0 }, before = { 0 };
	int rc = take(m, rq, &now);

	if (!rc && !rq->watch_ms)
		print(m, rq, &now, &before);
	for (uint64_t n = 0; !rc && rq->watch_ms && (!rq->count || n < rq->count); n++) {
		if (!m->wait(m, rq->watch_ms))
			break;
		drop(&before);
		before = now;
		now = (struct snapshot){ 0 };
		rc = take(m, rq, &now);
		if (rc)
			break;
		if (m->terminal)
			fputs(CLEAR, m->out);
		print(m, rq, &now, &before);
		if (!m->terminal && !rq->json)
			fputc('\n', m->out);
		fflush(m->out);
	}
	drop(&now);
	drop(&before);
	if (rc)
		say(m->err, "mgctl: Margay refused to tell its counters: %s",
		    rc == -ESRCH ? "there is no such domain" : strerror(-rc));
	return rc ? MGCTL_REFUSED : MGCTL_OK;
}
