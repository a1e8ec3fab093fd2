/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of mgctl becomes a request. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mgctl.h"

const char *const point_names[NR_POINTS] = {
	[MARGAY_POINT_SCHED] = "sched",
	[MARGAY_POINT_IDLE] = "idle",
	[MARGAY_POINT_EXIT] = "exit",
	[MARGAY_POINT_PLACE] = "place",
};

static const struct {
	const char *name, *operands, *does;
	enum command command;
	int nr_operands;
} commands[] = {
	{ "load", "FILE", "give the module in FILE to Margay; it is not used yet", LOAD, 1 },
	{ "unload", "NAME", "throw the module NAME out; nothing may use it", UNLOAD, 1 },
	{ "list", "", "the modules that are loaded", LIST, 0 },
	{ "select", "POINT NAME", "let NAME (or built-in) decide at POINT from now on", SELECT, 2 },
	{ "show", "", "who decides, on each CPU", SHOW, 0 },
	{ "set", "NAME KEY=VALUE", "set a parameter of NAME's, or of a domain's with NAME", SET,
	  2 },
	{ "counters", "NAME", "what NAME has counted", COUNTERS, 1 },
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum { OPT_CPUS = 'c', OPT_DOMAIN = 'd', OPT_JSON = 'j', OPT_HELP = 'h' };

static const struct option options[] = {
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 }
};

void print_help(FILE *f)
{
	fputs("usage: mgctl [OPTION...] policy COMMAND [OPERAND...]\n"
	      "Controls the policies of Margay, the hypervisor, from a guest with the privilege.\n\n",
	      f);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(f, "  %-8s %-15s %s\n", commands[i].name, commands[i].operands,
			commands[i].does);
	fputs("\nPOINT is sched (which vCPU runs next), idle (what a CPU does without one), exit (who\n"
	      "sees exits) or place (where new guests go).\n\n"
	      "  -c, --cpus LIST     select: only on these CPUs of the machine, such as 0-3,5\n"
	      "  -d, --domain N      set: the parameter of domain N (or `self')\n"
	      "  -j, --json          print JSON\n"
	      "  -h, --help          print this\n\n"
	      "Examples:\n"
	      "  mgctl policy load /modules/credit.mod\n"
	      "  mgctl policy select sched credit            everywhere\n"
	      "  mgctl policy select sched credit -c 0-3,5   there; other CPUs stay as they are\n"
	      "  mgctl policy set credit weight=512 -d 2     twice the share of other domains\n"
	      "  mgctl policy select sched built-in          back to Margay's own\n"
	      "  mgctl policy unload credit\n\n"
	      "Exit status: 0 done, 1 Margay refused, 2 wrong usage, 3 no access to Margay.\n",
	      f);
}

static int wrong(FILE *err, const char *fmt, ...)
{
	va_list ap;

	fputs("mgctl: ", err);
	va_start(ap, fmt);
	vfprintf(err, fmt, ap);
	va_end(ap);
	fputs(" (mgctl --help)\n", err);
	return MGCTL_USAGE;
}

/* A decimal or 0x number that takes all of the text up to one of the characters in end. */
static bool number(const char *text, const char *end, uint64_t max, uint64_t *value,
		   const char **rest)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &stop, text[0] == '0' && text[1] == 'x' ? 16 : 10);
	if (errno || *value > max || (*stop && !strchr(end, *stop)))
		return false;
	*rest = stop;
	return true;
}

bool parse_cpus(const char *text, uint64_t *cpus, FILE *err)
{
	const char *p = text;

	memset(cpus, 0, MAX_CPUS / 8);
	for (;;) {
		uint64_t first, last;

		if (!number(p, ",-", MAX_CPUS - 1, &first, &p))
			break;
		last = first;
		if (*p == '-' && !number(p + 1, ",", MAX_CPUS - 1, &last, &p))
			break;
		if (last < first)
			break;
		for (; first <= last; first++)
			cpus[first / 64] |= 1ULL << first % 64;
		if (!*p)
			return true;
		p++;
	}
	wrong(err, "'%s' is not a list of CPUs such as 0-3,5, each below %u", text, MAX_CPUS);
	return false;
}

bool parse_setting(const char *text, char *key, size_t size, uint64_t *value, FILE *err)
{
	const char *equals = strchr(text, '='), *rest;
	size_t len = equals ? (size_t)(equals - text) : 0;

	if (!len || len >= size) {
		wrong(err, "'%s' is not KEY=VALUE with a key of 1 to %zu letters", text, size - 1);
		return false;
	}
	if (!number(equals + 1, "", UINT64_MAX, value, &rest)) {
		wrong(err, "'%s' is not a number, in '%s'", equals + 1, text);
		return false;
	}
	memset(key, 0, size);
	memcpy(key, text, len);
	return true;
}

static bool parse_name(const char *text, struct request *rq, FILE *err)
{
	size_t len = strlen(text);

	if (!len || len >= sizeof(rq->name)) {
		wrong(err, "'%s' cannot be a policy's name", text);
		return false;
	}
	memcpy(rq->name, text, len + 1);
	return true;
}

static bool parse_point(const char *text, struct request *rq, FILE *err)
{
	for (uint32_t i = 0; i < NR_POINTS; i++) {
		if (!strcmp(text, point_names[i])) {
			rq->point = i;
			return true;
		}
	}
	wrong(err, "'%s' is not a policy point: sched, idle, exit or place", text);
	return false;
}

static bool parse_domain(const char *text, struct request *rq, FILE *err)
{
	const char *rest;
	uint64_t value;

	if (!strcmp(text, "self")) {
		rq->domain = 0x7ff0; /* DOMID_SELF */
		return true;
	}
	if (!number(text, "", 0x7fef, &value, &rest)) {
		wrong(err, "'%s' is not a domain's number", text);
		return false;
	}
	rq->domain = (uint32_t)value;
	return true;
}

static bool parse_operands(char **operand, struct request *rq, FILE *err)
{
	switch (rq->command) {
	case LOAD:
		rq->file = operand[0];
		return true;
	case UNLOAD:
	case COUNTERS:
		return parse_name(operand[0], rq, err);
	case SELECT:
		if (!parse_point(operand[0], rq, err) || !parse_name(operand[1], rq, err))
			return false;
		if (!strcmp(rq->name, BUILT_IN))
			rq->name[0] = 0;
		return true;
	case SET:
		return parse_name(operand[0], rq, err) &&
		       parse_setting(operand[1], rq->key, sizeof(rq->key), &rq->value, err);
	default:
		return true;
	}
}

static int parse_command(int argc, char **argv, struct request *rq, FILE *err)
{
	size_t i = 0;

	if (argc < 1 || strcmp(argv[0], "policy"))
		return wrong(err, argc < 1 ? "what?" : "'%s' is not `policy'", argv[0]);
	if (argc < 2)
		return wrong(err, "policy: what about it?");
	while (i < NR_COMMANDS && strcmp(argv[1], commands[i].name))
		i++;
	if (i == NR_COMMANDS)
		return wrong(err, "'%s' is not a command", argv[1]);
	if (argc - 2 != commands[i].nr_operands)
		return wrong(err, "usage: mgctl policy %s%s%s", commands[i].name,
			     commands[i].nr_operands ? " " : "", commands[i].operands);
	rq->command = commands[i].command;
	return parse_operands(argv + 2, rq, err) ? MGCTL_OK : MGCTL_USAGE;
}

int parse_args(int argc, char **argv, struct request *rq, FILE *err)
{
	const char *cpus = NULL, *domain = NULL;
	int c, rc;

	*rq = (struct request){ .all_cpus = true, .domain = MARGAY_POLICY_ITSELF };
	opterr = 0;
	optind = 0; /* glibc: from the start, also the second time */
	while ((c = getopt_long(argc, argv, ":c:d:jh", options, NULL)) != -1) {
		if (c == OPT_CPUS)
			cpus = optarg;
		else if (c == OPT_DOMAIN)
			domain = optarg;
		else if (c == OPT_JSON)
			rq->json = true;
		else if (c == OPT_HELP)
			return MGCTL_OK; /* whatever else is there */
		else
			return wrong(err, c == ':' ? "'%s' needs a value" : "no option '%s'",
				     argv[optind - 1]);
	}
	rc = parse_command(argc - optind, argv + optind, rq, err);
	if (rc)
		return rc;
	if (cpus && (rq->command != SELECT || rq->point == MARGAY_POINT_PLACE))
		return wrong(err, "--cpus goes with select, at a point that CPUs have");
	if (domain && rq->command != SET)
		return wrong(err, "--domain goes with set");
	if (cpus && !parse_cpus(cpus, rq->cpus, err))
		return MGCTL_USAGE;
	if (domain && !parse_domain(domain, rq, err))
		return MGCTL_USAGE;
	rq->all_cpus = !cpus;
	return MGCTL_OK;
}
