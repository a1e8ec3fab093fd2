/* SPDX-License-Identifier: BSD-2-Clause */
/* mgctl log: prints Margay's messages, which a ring in Margay holds. */
#include <inttypes.h>
#include <string.h>

#include "mgctl.h"

#define FOLLOW_MS 250

/* What has been read, and the line that it ends in. */
struct log {
	uint64_t at;
	char line[240];
	size_t len;
	bool json;
	struct json j;
};

static void print_line(struct mgctl *m, struct log *l)
{
	if (l->json) {
		json_text(&l->j, NULL, l->line, l->len);
	} else {
		print_text(m->out, 0, l->line, l->len);
		fputc('\n', m->out);
	}
	l->len = 0;
}

static void print_lines(struct mgctl *m, struct log *l, const char *text, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (text[i] == '\n' || l->len == sizeof(l->line))
			print_line(m, l);
		if (text[i] != '\n')
			l->line[l->len++] = text[i];
	}
}

/* Prints all messages that are new. Returns 0 or -errno. */
static int print_new(struct mgctl *m, struct log *l)
{
	struct margay_op op;
	uint64_t lost;
	int rc;

	for (;;) {
		op = (struct margay_op){ .cmd = MARGAY_LOG, .u.log.at = l->at };
		rc = m->call(m, &op);
		if (rc || !op.u.log.size || op.u.log.size > sizeof(op.u.log.text))
			return rc;
		lost = op.u.log.at - op.u.log.size - l->at;
		if (lost)
			say(m->err, "mgctl: %" PRIu64 " bytes of the log are lost", lost);
		print_lines(m, l, op.u.log.text, op.u.log.size);
		l->at = op.u.log.at;
	}
}

int do_log(struct mgctl *m, const struct request *rq)
{
	struct log l = { .json = rq->json, .j = { .f = m->out } };
	int rc;

	if (l.json)
		json_begin(&l.j, NULL, '[');
	do {
		rc = print_new(m, &l);
		fflush(m->out);
	} while (!rc && rq->follow && m->wait(m, FOLLOW_MS));
	if (l.len)
		print_line(m, &l);
	if (l.json) {
		json_end(&l.j, ']');
		fputc('\n', m->out);
	}
	if (!rc)
		return MGCTL_OK;
	say(m->err, "mgctl: Margay refused to read its log: %s", strerror(-rc));
	return MGCTL_REFUSED;
}
