/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy commands. Each makes a few calls of hypercall 55. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgctl.h"

#define FILE_MAX (1U << 20)	/* Margay's own limit is lower */
#define LIST_MAX 65536U		/* a module's list of counters might be endless */

static int call(struct mgctl *m, struct margay_op *op, uint32_t cmd, const char *name)
{
	op->cmd = cmd;
	if (name)
		snprintf(op->name, sizeof(op->name), "%s", name);
	return m->call(m, op);
}

static int list_nth(struct mgctl *m, uint32_t i, struct margay_op *op)
{
	memset(op, 0, sizeof(*op));
	op->u.list.index = i;
	return call(m, op, MARGAY_POLICY_LIST, NULL);
}

/* Sets op to what LIST returns for the policy with that name. Returns 0 on success. */
int find_policy(struct mgctl *m, const char *name, struct margay_op *op)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < LIST_MAX; i++) {
		rc = list_nth(m, i, op);
		if (!rc && !strncmp(op->name, name, sizeof(op->name)))
			return 0;
	}
	memset(op, 0, sizeof(*op));
	return -ENOENT;
}

static int cannot_read(struct mgctl *m, const char *name, const char *why)
{
	say(m->err, "mgctl: cannot read %s: %s", name, why);
	return MGCTL_USAGE;
}

/* Reads the file into memory that Margay can read. Returns its size, or -1 after a message. */
static long read_file(struct mgctl *m, const char *name, void **data)
{
	FILE *f = fopen(name, "rb");
	size_t size;

	if (!f) {
		cannot_read(m, name, strerror(errno));
		return -1;
	}
	*data = m->alloc(m, FILE_MAX);
	if (!*data) {
		fclose(f);
		cannot_read(m, name, strerror(ENOMEM));
		return -1;
	}
	size = fread(*data, 1, FILE_MAX, f);
	if (ferror(f) || (size == FILE_MAX && fgetc(f) != EOF)) {
		cannot_read(m, name, ferror(f) ? strerror(errno) : "too large for a module");
		m->free(m, *data);
		fclose(f);
		return -1;
	}
	fclose(f);
	return (long)size;
}

static int load(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { 0 };
	char *reason;
	void *data;
	long size = read_file(m, rq->file, &data);
	int rc;

	if (size < 0)
		return MGCTL_USAGE;
	reason = m->alloc(m, REASON_SIZE);
	if (reason)
		memset(reason, 0, REASON_SIZE);
	op.u.load.file = (uintptr_t)data;
	op.u.load.size = (uint64_t)size;
	op.u.load.reason = (uintptr_t)reason;
	rc = call(m, &op, MARGAY_POLICY_LOAD, NULL);
	if (rc)
		refused(m, rq, rc, reason);
	m->free(m, data);
	if (reason)
		m->free(m, reason);
	return rc ? MGCTL_REFUSED : MGCTL_OK;
}

static int unload(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { 0 };
	int rc = call(m, &op, MARGAY_POLICY_UNLOAD, rq->name);

	return rc ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

static void list_json(struct json *j, const struct margay_op *op)
{
	json_begin(j, NULL, '{');
	json_text(j, "name", op->name, sizeof(op->name));
	json_text(j, "summary", op->u.list.summary, sizeof(op->u.list.summary));
	json_begin(j, "points", '[');
	for (uint32_t i = 0; i < NR_POINTS; i++)
		if (op->u.list.points & 1U << i)
			json_text(j, NULL, point_names[i], 16);
	json_end(j, ']');
	json_bool(j, "ejected", op->u.list.ejected);
	json_text(j, "why", op->u.list.why, sizeof(op->u.list.why));
	json_number(j, "selected", op->u.list.selected);
	json_number(j, "memory", op->u.list.memory);
	json_hex(j, "sha256", op->u.list.digest, sizeof(op->u.list.digest));
	json_hex(j, "build_id", op->u.list.build_id, sizeof(op->u.list.build_id));
	json_end(j, '}');
}

static void list_text(FILE *f, const struct margay_op *op)
{
	char points[32] = "";

	for (uint32_t i = 0; i < NR_POINTS; i++)
		if (op->u.list.points & 1U << i)
			snprintf(points + strlen(points), sizeof(points) - strlen(points), "%s%s",
				 points[0] ? "," : "", point_names[i]);
	print_text(f, 15, op->name, sizeof(op->name));
	fprintf(f, " %-21s %8llu %5llu KiB\n", points, (unsigned long long)op->u.list.selected,
		(unsigned long long)op->u.list.memory >> 10);
	say(f, "  %.*s", (int)sizeof(op->u.list.summary), op->u.list.summary);
	if (op->u.list.ejected)
		say(f, "  ejected: %.*s", (int)sizeof(op->u.list.why), op->u.list.why);
}

static int list(struct mgctl *m, const struct request *rq)
{
	struct json j = { .f = m->out };
	struct margay_op op;
	uint32_t i = 0;
	int rc;

	if (rq->json) {
		json_begin(&j, NULL, '{');
		json_begin(&j, "policies", '[');
	}
	for (; !(rc = list_nth(m, i, &op)) && i < LIST_MAX; i++) {
		if (!rq->json && !i)
			fputs("NAME            POINTS                SELECTED    MEMORY\n", m->out);
		if (rq->json)
			list_json(&j, &op);
		else
			list_text(m->out, &op);
	}
	if (rq->json) {
		json_end(&j, ']');
		json_end(&j, '}');
		fputc('\n', m->out);
	} else if (!i) {
		fputs("no modules are loaded\n", m->out);
	}
	return rc && rc != -ENOENT ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

static int selected(struct mgctl *m, uint32_t point, uint32_t cpu, struct margay_op *op)
{
	int rc;

	memset(op, 0, sizeof(*op));
	op->u.select.point = point;
	op->u.select.cpu = cpu;
	rc = call(m, op, MARGAY_POLICY_SELECTED, NULL);
	if (!rc && !op->name[0])
		snprintf(op->name, sizeof(op->name), BUILT_IN);
	return rc;
}

/* Reports CPUs that do not exist: Margay silently ignores them. */
static bool cpus_exist(struct mgctl *m, const struct request *rq)
{
	struct margay_op op;
	uint32_t last = MAX_CPUS;

	if (rq->all_cpus)
		return true;
	do
		last--;
	while (!(rq->cpus[last / 64] >> last % 64 & 1));
	if (selected(m, rq->point, last, &op) != -ENOENT)
		return true;
	say(m->err, "mgctl: there is no CPU %u; nothing was changed", last);
	return false;
}

static int do_select(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { 0 };
	int rc;

	if (!cpus_exist(m, rq))
		return MGCTL_REFUSED;
	op.u.select.point = rq->point;
	if (rq->all_cpus)
		memset(op.u.select.cpus, 0xff, sizeof(op.u.select.cpus));
	else
		memcpy(op.u.select.cpus, rq->cpus, sizeof(op.u.select.cpus));
	rc = call(m, &op, MARGAY_POLICY_SELECT, rq->name);
	return rc ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

/* Prints one CPU's line. Fails if the CPU does not exist, or on another error. */
static int show_cpu(struct mgctl *m, struct json *j, uint32_t cpu)
{
	struct margay_op op;
	int rc = 0;

	for (uint32_t point = 0; point < MARGAY_POINT_PLACE; point++) {
		rc = selected(m, point, cpu, &op);
		if (rc)
			return rc;
		if (!point && j) {
			json_begin(j, NULL, '{');
			json_number(j, "cpu", cpu);
		} else if (!point) {
			fprintf(m->out, "%3u", cpu);
		}
		if (j) {
			json_text(j, point_names[point], op.name, sizeof(op.name));
		} else {
			fputc(' ', m->out);
			print_text(m->out, point == MARGAY_POINT_EXIT ? 0 : 15, op.name,
				   sizeof(op.name));
		}
	}
	if (j)
		json_end(j, '}');
	else
		fputc('\n', m->out);
	return 0;
}

static int show(struct mgctl *m, const struct request *rq)
{
	struct json j = { .f = m->out };
	struct margay_op op;
	int rc, machine_rc;

	if (rq->json) {
		json_begin(&j, NULL, '{');
		json_begin(&j, "cpus", '[');
	} else {
		fputs("CPU sched           idle            exit\n", m->out);
	}
	rc = 0;
	for (uint32_t cpu = 0; !rc && cpu < MAX_CPUS; cpu++)
		rc = show_cpu(m, rq->json ? &j : NULL, cpu);
	if (rq->json)
		json_end(&j, ']');
	for (uint32_t point = MARGAY_POINT_PLACE; (!rc || rc == -ENOENT) && point < NR_POINTS;
	     point++) {
		machine_rc = selected(m, point, 0, &op);
		if (machine_rc)
			return refused(m, rq, machine_rc, NULL);
		if (rq->json) {
			json_text(&j, point_names[point], op.name, sizeof(op.name));
			continue;
		}
		fprintf(m->out, "%s: ", point_names[point]);
		print_text(m->out, 0, op.name, sizeof(op.name));
		fputc('\n', m->out);
	}
	if (rq->json) {
		json_end(&j, '}');
		fputc('\n', m->out);
	}
	return rc && rc != -ENOENT ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

static int set(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { 0 };
	int rc;

	op.u.set.domain = rq->domain;
	op.u.set.value = rq->value;
	memcpy(op.u.set.name, rq->key, sizeof(op.u.set.name));
	rc = call(m, &op, MARGAY_POLICY_SET, rq->name);
	return rc ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

static int counters(struct mgctl *m, const struct request *rq)
{
	struct json j = { .f = m->out };
	struct margay_op op;
	uint32_t i;
	int rc;

	rc = find_policy(m, rq->name, &op);
	if (rc || op.u.list.ejected)
		return refused(m, rq, -ENOENT, NULL);
	if (rq->json) {
		json_begin(&j, NULL, '{');
		json_text(&j, "name", rq->name, sizeof(rq->name));
		json_begin(&j, "counters", '[');
	}
	for (i = 0; i < LIST_MAX; i++) {
		memset(&op, 0, sizeof(op));
		op.u.counter.index = i;
		rc = call(m, &op, MARGAY_POLICY_COUNTER, rq->name);
		if (rc)
			break;
		if (rq->json) {
			json_begin(&j, NULL, '{');
			json_text(&j, "name", op.u.counter.name, sizeof(op.u.counter.name));
			json_number(&j, "value", op.u.counter.value);
			json_end(&j, '}');
		} else {
			print_text(m->out, 31, op.u.counter.name, sizeof(op.u.counter.name));
			fprintf(m->out, " %llu\n", (unsigned long long)op.u.counter.value);
		}
	}
	if (rq->json) {
		json_end(&j, ']');
		json_end(&j, '}');
		fputc('\n', m->out);
	}
	/* Its own counter function may have got it ejected. */
	if (rc != -ENOENT || find_policy(m, rq->name, &op) || op.u.list.ejected)
		return refused(m, rq, rc, i == LIST_MAX ? "its counters have no end" : NULL);
	return MGCTL_OK;
}

static int info(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { 0 };
	struct json j = { .f = m->out };
	int rc;

	if (rq->json) {
		json_begin(&j, NULL, '{');
		json_begin(&j, "speculation", '[');
	}
	for (uint32_t i = 0; i < LIST_MAX; i++) {
		op.u.line.index = i;
		rc = call(m, &op, MARGAY_SPECULATION, NULL);
		if (rc)
			break;
		if (rq->json)
			json_text(&j, NULL, op.u.line.text, sizeof(op.u.line.text));
		else
			say(m->out, "%.*s", (int)sizeof(op.u.line.text), op.u.line.text);
	}
	if (rq->json) {
		json_end(&j, ']');
		json_end(&j, '}');
		fputc('\n', m->out);
	}
	return rc != -ENOENT ? refused(m, rq, rc, NULL) : MGCTL_OK;
}

int do_request(struct mgctl *m, const struct request *rq)
{
	switch (rq->command) {
	case LOAD:
		return load(m, rq);
	case UNLOAD:
		return unload(m, rq);
	case LIST:
		return list(m, rq);
	case SELECT:
		return do_select(m, rq);
	case SHOW:
		return show(m, rq);
	case SET:
		return set(m, rq);
	case COUNTERS:
		return counters(m, rq);
	case INFO:
		return info(m, rq);
	case LOG:
		return do_log(m, rq);
	case STAT:
		return do_stat(m, rq);
	case RECORD:
		return do_record(m, rq);
	case PCI_LIST:
	case PCI_ASSIGN:
	case PCI_REVOKE:
	case PCI_BUS:
		return do_pci(m, rq);
	case DEDICATE:
	case SHARE:
		return do_isolate(m, rq);
	case TRACE_SHOW: /* needs no Margay: main.c */
	case CHECKPOINT:
	case EXPORT:
	case ADOPT:
	case HELP:
	case VERSION:
		break;
	}
	print_help(m->out);
	return MGCTL_OK;
}
