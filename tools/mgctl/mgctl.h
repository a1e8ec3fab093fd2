/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl, the administrator's tool in a control domain: what its files share. args.c makes a request of the
 * command line; policy.c, stat.c and record.c do it by calls to Margay, which xen.c carries and a unit test
 * makes up. show.c and export.c read what record.c has written.
 */
#ifndef MGCTL_H
#define MGCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <public/margay.h>

enum { MGCTL_OK, MGCTL_REFUSED, MGCTL_USAGE, MGCTL_NO_ACCESS }; /* exit codes */

#define BUILT_IN "built-in"
#define NR_POINTS 4
#define MAX_CPUS 1024
#define REASON_SIZE 120

enum command {
	HELP,
	LOAD,
	UNLOAD,
	LIST,
	SELECT,
	SHOW,
	SET,
	COUNTERS,
	STAT,
	RECORD,
	TRACE_SHOW,
	EXPORT
};

struct request {
	enum command command;
	bool json;
	const char *file;
	char name[32];			/* of a policy; empty: the built-in one */
	uint32_t point;
	bool all_cpus;
	uint64_t cpus[MAX_CPUS / 64];
	char key[32];
	uint64_t value;
	uint32_t domain;
	bool all;			/* stat: every counter */
	uint64_t watch_ms;		/* stat: anew after so long; 0: once */
	uint64_t count;			/* ... so often; 0: until interrupted */
	uint32_t events, pages;		/* trace record: kinds; size of new rings */
	uint64_t seconds;		/* ... for so long; 0: until interrupted */
	bool old;			/* ... and from what is in the rings already */
};

/* How to reach Margay, and where to write. */
struct mgctl {
	FILE *out, *err;
	void *link;			/* xen.c's or the test's own */
	/* Makes the call; 0 or -errno. op is ordinary memory and is changed as Margay changes it. */
	int (*call)(struct mgctl *m, struct margay_op *op);
	/* Does the kernel let hypercalls pass? */
	bool (*may_call)(struct mgctl *m);
	/* Memory that an address in an operation may point to. */
	void *(*alloc)(struct mgctl *m, size_t size);
	void (*free)(struct mgctl *m, void *p);
	/* Pages of Margay's that may be read; NULL with errno. */
	const void *(*map)(struct mgctl *m, uint64_t frame, uint32_t pages);
	void (*unmap)(struct mgctl *m, const void *p, uint32_t pages);
	/* Sleeps; false: the user wants no more (Ctrl-C). */
	bool (*wait)(struct mgctl *m, uint64_t ms);
	bool terminal;			/* out is one */
};

extern const char *const point_names[NR_POINTS];

/* args.c. All of them complain to err. */
bool parse_cpus(const char *text, uint64_t *cpus, FILE *err);
bool parse_setting(const char *text, char *key, size_t size, uint64_t *value, FILE *err);
/* MGCTL_OK or MGCTL_USAGE. */
int parse_args(int argc, char **argv, struct request *rq, FILE *err);
void print_help(FILE *f);

/* policy.c and refusal.c. Return what mgctl exits with. */
int do_request(struct mgctl *m, const struct request *rq);
int find_policy(struct mgctl *m, const char *name, struct margay_op *op);
/* Says why Margay answered rc to the request, in words; reason is the answer's own, or empty. */
int refused(struct mgctl *m, const struct request *rq, int rc, const char *reason);

/* stat.c, record.c: the same. */
int do_stat(struct mgctl *m, const struct request *rq);
int do_record(struct mgctl *m, const struct request *rq);

/* names.c: "?" or such for what they do not know; operation_name() NULL. */
const char *exit_name(uint64_t reason);
const char *hypercall_name(uint64_t nr);
const char *operation_name(const char *call, uint64_t op);
void print_operation(FILE *f, const char *call, uint64_t op);	/* after a blank */
extern const char *const event_names[MARGAY_TRACE_EVENTS];

/* access.c: what is said when there is none; all return MGCTL_NO_ACCESS. */
int no_access(struct mgctl *m, const char *why);
int restricted(struct mgctl *m);
/* 0, or MGCTL_NO_ACCESS after saying why: is it Margay, and may we? */
int check_access(struct mgctl *m);

/* xen.c: 0, or MGCTL_NO_ACCESS after saying why. */
int xen_open(struct mgctl *m);
void xen_close(struct mgctl *m);

/* json.c: keys and values as they come; a key is NULL in a list. */
struct json {
	FILE *f;
	bool more;			/* a comma is due */
};

void json_begin(struct json *j, const char *key, char bracket);
void json_end(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *text, size_t size);
void json_number(struct json *j, const char *key, uint64_t value);
/* A number as text. */
void json_raw(struct json *j, const char *key, const char *text);
void json_bool(struct json *j, const char *key, bool value);
void json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t size);

/* Like fprintf("%-*s"), of at most size bytes; what could drive a terminal becomes '?'. json.c */
void print_text(FILE *f, int width, const char *text, size_t size);

#endif
