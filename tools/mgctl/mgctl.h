/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of mgctl, the administrator's tool in a control domain. args.c parses the
 * command line into a request. policy.c, stat.c and record.c perform it by calls to Margay, which
 * xen.c makes and a unit test fakes. show.c and export.c read the files that record.c wrote.
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
#define NR_POINTS 5
#define MAX_CPUS 1024
#define REASON_SIZE 120

enum command {
	HELP,
	VERSION,
	LOAD,
	UNLOAD,
	LIST,
	SELECT,
	SHOW,
	SET,
	COUNTERS,
	INFO,
	LOG,
	STAT,
	RECORD,
	TRACE_SHOW,
	EXPORT,
	ADOPT,
	PCI_LIST,
	PCI_ASSIGN,
	PCI_REVOKE,
	PCI_BUS,
	DEDICATE,
	SHARE,
	CHECKPOINT
};

struct request {
	enum command command;
	bool json;
	const char *file, *guest;
	char name[32];			/* of a policy; empty: built-in */
	uint32_t point;
	bool all_cpus;
	uint64_t cpus[MAX_CPUS / 64];
	char key[32];
	uint64_t value;
	uint32_t domain;
	uint32_t sbdf;			/* a PCI function */
	bool all;			/* stat: every counter */
	uint64_t watch_ms;		/* stat: interval; 0: print once */
	uint64_t count;			/* ... how often; 0: until interrupted */
	uint32_t events, pages;		/* trace record: kinds; size of new rings, */
	bool sized;			/* which the caller chose */
	uint64_t seconds;	/* ... how long; 0: until interrupted. pci revoke: wait so long */
	bool force;			/* pci revoke: do not ask the guest; assign: nor drivers */
	bool disks;			/* checkpoint: those, too */
	bool old;			/* ... including older records of the rings */
	bool follow;			/* log, adopt: wait for more, until interrupted */
};

/* The connection to Margay, and the output streams. */
struct mgctl {
	FILE *out, *err;
	void *link;			/* private to xen.c or the test */
	/* Makes the call; returns 0 or -errno. op is ordinary memory that Margay may change. */
	int (*call)(struct mgctl *m, struct margay_op *op);
	/* Returns whether the kernel passes hypercalls on. */
	bool (*may_call)(struct mgctl *m);
	/* Allocates memory to which an address in an operation may point. */
	void *(*alloc)(struct mgctl *m, size_t size);
	void (*free)(struct mgctl *m, void *p);
	/* Maps pages of Margay read-only. Returns NULL and sets errno on failure. */
	const void *(*map)(struct mgctl *m, uint64_t frame, uint32_t pages);
	void (*unmap)(struct mgctl *m, const void *p, uint32_t pages);
	/* Sleeps. Returns false if the user interrupted it (Ctrl-C). */
	bool (*wait)(struct mgctl *m, uint64_t ms);
	bool terminal;			/* whether out is a terminal */
	const char *functions;		/* Linux's directory of PCI functions */
};

extern const char *const point_names[NR_POINTS];

/* args.c. All of them print errors to err. */
bool parse_cpus(const char *text, uint64_t *cpus, FILE *err);
bool parse_setting(const char *text, char *key, size_t size, uint64_t *value, FILE *err);
/* Returns MGCTL_OK or MGCTL_USAGE. */
int parse_args(int argc, char **argv, struct request *rq, FILE *err);
void print_help(FILE *f);

/* policy.c and refusal.c. Return the exit code of mgctl. */
int do_request(struct mgctl *m, const struct request *rq);
int find_policy(struct mgctl *m, const char *name, struct margay_op *op);
/* Explains why Margay answered rc to the request. reason is Margay's own reason, or empty. */
int refused(struct mgctl *m, const struct request *rq, int rc, const char *reason);

/* stat.c, record.c, log.c: the same. */
int do_stat(struct mgctl *m, const struct request *rq);
int do_log(struct mgctl *m, const struct request *rq);
int do_record(struct mgctl *m, const struct request *rq);

/* isolate.c, pci.c: the same. */
int do_isolate(struct mgctl *m, const struct request *rq);
int do_pci(struct mgctl *m, const struct request *rq);
/* pci_bus.c. Returns 0 or -errno; -EALREADY: it has run; -ENOEXEC: its ACPI tables are not libxl's. */
int add_pci_bus(struct mgctl *m, uint32_t domain);

/* adopt.c: the same. */
#define DOMAINS_END 0x7ff0U		/* DOMID_FIRST_RESERVED */
#define ADOPTED "/libxl/%u/adopted"	/* in xenstore: xl did not make this domain */
#define UUID_TEXT 37
int do_adopt(struct mgctl *m, bool follow);
void uuid_text(char text[UUID_TEXT], const uint8_t bytes[16]);

/* unfinished.c: the same. Returns only after an error. */
struct xs_handle;
int watch_unfinished(struct mgctl *m, struct xs_handle *xs);

/* names.c. Return "?" or similar for unknown numbers; operation_name() returns NULL. */
const char *exit_name(uint64_t reason);
const char *hypercall_name(uint64_t nr);
const char *operation_name(const char *call, uint64_t op);
void print_operation(FILE *f, const char *call, uint64_t op);	/* after a space */
extern const char *const event_names[MARGAY_TRACE_EVENTS];

/* access.c. Reports why there is no access; returns MGCTL_NO_ACCESS. */
int no_access(struct mgctl *m, const char *why);
int restricted(struct mgctl *m);
/* Checks for Margay and for the privilege. Returns 0, or MGCTL_NO_ACCESS after a message. */
int check_access(struct mgctl *m);

/* xen.c. Returns 0, or MGCTL_NO_ACCESS after a message. */
int xen_open(struct mgctl *m);
void xen_close(struct mgctl *m);
/* Maps one or two pages of a domain's memory, for m->unmap(). NULL: failed. */
void *xen_map_pages(struct mgctl *m, uint32_t domain, uint64_t gfn, uint32_t pages);
/* Makes a domctl; returns 0 or -errno. */
int xen_domctl(struct mgctl *m, void *op, size_t size);
/* Returns a domain's HVM_PARAM_*, 0 if it has none. */
uint64_t xen_hvm_param(struct mgctl *m, uint32_t domain, uint32_t index);

int xen_set_hvm_param(struct mgctl *m, uint32_t domain, uint32_t index, uint64_t value);
/* Gives a domain a port for the control domain to bind. Returns it, or -errno. */
int xen_alloc_port(struct mgctl *m, uint32_t domain);
/* Gives a domain a page of memory at a hole. Returns 0 or -errno. */
int xen_add_page(struct mgctl *m, uint32_t domain, uint64_t gfn);
/* Grants a domain's page to the control domain, in its name. Returns 0 or -errno; -EBUSY: `ref` is in use. */
int xen_grant_page(struct mgctl *m, uint32_t domain, unsigned int ref, uint64_t gfn);

/* json.c: writes keys and values in sequence. The key is NULL in a list. */
struct json {
	FILE *f;
	bool more;			/* a comma is due */
};

void json_begin(struct json *j, const char *key, char bracket);
void json_end(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *text, size_t size);
void json_number(struct json *j, const char *key, uint64_t value);
/* Writes a number given as text. */
void json_raw(struct json *j, const char *key, const char *text);
void json_bool(struct json *j, const char *key, bool value);
void json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t size);

/* text.c. Like fprintf("%-*s") for at most size bytes; replaces control bytes by '?'. */
void print_text(FILE *f, int width, const char *text, size_t size);
/* Prints a paragraph and ends it. Lines have 72 columns; those after the first are indented. */
void say(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
