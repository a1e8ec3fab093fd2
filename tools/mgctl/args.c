/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses the command line of mgctl into a request. */
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
	[MARGAY_POINT_MIGRATE] = "migrate",
};

static const struct {
	const char *group, *name, *operands, *does;
	enum command command;
	int nr_operands;
} commands[] = {
	{ "policy", "load", "FILE", "give Margay the module in FILE", LOAD, 1 },
	{ "policy", "unload", "NAME", "throw NAME out, if it is unused", UNLOAD, 1 },
	{ "policy", "list", "", "the modules that are loaded", LIST, 0 },
	{ "policy", "select", "POINT NAME", "let NAME (or built-in) decide", SELECT, 2 },
	{ "policy", "show", "", "who decides, on each CPU", SHOW, 0 },
	{ "policy", "set", "NAME KEY=VALUE", "set a parameter of NAME", SET, 2 },
	{ "policy", "counters", "NAME", "what NAME has counted", COUNTERS, 1 },
	{ "trace", "record", "FILE", "write what happens into FILE", RECORD, 1 },
	{ "trace", "show", "FILE", "the records in FILE, as text", TRACE_SHOW, 1 },
	{ "trace", "export", "FILE", "the same as JSON, for Perfetto", EXPORT, 1 },
	{ "pci", "list", "", "PCI functions, and whose they are", PCI_LIST, 0 },
	{ "pci", "assign", "FUNCTION DOMAIN", "give FUNCTION to a domain", PCI_ASSIGN, 2 },
	{ "pci", "revoke", "FUNCTION", "take FUNCTION from its owner", PCI_REVOKE, 1 },
	{ "pci", "bus", "DOMAIN", "PCI slots, before it runs", PCI_BUS, 1 },
	{ "dedicate", "", "DOMAIN [CPUS]", "a CPU of its own for each vCPU", DEDICATE, 2 },
	{ "share", "", "DOMAIN", "share its CPUs again", SHARE, 1 },
	{ "checkpoint", "", "GUEST DIRECTORY", "a checkpoint, into its chain", CHECKPOINT, 2 },
	{ "info", "", "", "mitigations of speculation", INFO, 0 },
	{ "log", "", "", "Margay's messages", LOG, 0 },
	{ "adopt", "", "", "tell xenstore of guests not by xl", ADOPT, 0 },
	{ "stat", "", "", "times, exits, hypercalls, events", STAT, 0 },
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option options[] = {
	{ "cpus", required_argument, NULL, 'c' },
	{ "domain", required_argument, NULL, 'd' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "all", no_argument, NULL, 'a' },
	{ "watch", optional_argument, NULL, 'w' },
	{ "count", required_argument, NULL, 'n' },
	{ "events", required_argument, NULL, 'e' },
	{ "seconds", required_argument, NULL, 's' },
	{ "pages", required_argument, NULL, 'p' },
	{ "old", no_argument, NULL, 'o' },
	{ "follow", no_argument, NULL, 'f' },
	{ "force", no_argument, NULL, 'F' },
	{ "disks", no_argument, NULL, 'D' },
	{ 0 }
};

/* The options given, and their defaults. The last occurrence takes effect. */
struct given {
	const char *cpus, *domain, *watch, *count, *events, *seconds, *pages;
	bool all, old, follow, force, disks;
};

/* Prints the commands of a group; NULL: all. */
static void print_commands(FILE *f, const char *group)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!group || !strcmp(group, commands[i].group))
			fprintf(f, "  mgctl %-6s %-8s %-14s %s\n", commands[i].group,
				commands[i].name, commands[i].operands, commands[i].does);
}

void print_help(FILE *f)
{
	fputs("usage: mgctl [OPTION...] policy|trace|pci COMMAND [OPERAND...]\n"
	      "       mgctl [OPTION...] stat|log|info|adopt|dedicate|share|checkpoint\n"
	      "Controls and observes Margay, the hypervisor, from a guest with the\n"
	      "control privilege.\n\n",
	      f);
	print_commands(f, NULL);
	fputs("\nPOINT is sched (which vCPU runs next), idle (what a CPU does without\n"
	      "one), exit (who sees exits), place (where new guests go) or\n"
	      "migrate (when a migration stops the guest).\n\n"
	      "  -c, --cpus LIST     select: only on these CPUs, such as 0-3,5\n"
	      "  -d, --domain N      set: the parameter of domain N (or `self');\n"
	      "                      stat: only that domain\n"
	      "  -j, --json          print JSON\n"
	      "  -a, --all           stat: every counter, one on a line\n"
	      "  -w, --watch[=SECS]  stat: what happens in a second, repeatedly\n"
	      "  -n, --count N       stat --watch: so often, not until Ctrl-C\n"
	      "  -e, --events LIST   trace record: of exit,entry,hypercall,inject,\n"
	      "                      sched,wake,policy,fault\n"
	      "  -s, --seconds N     trace record: for so long, not until Ctrl-C; pci\n"
	      "                      revoke: wait so long for the guest (30)\n"
	      "  -p, --pages N       trace record: pages of a CPU's ring, a power of\n"
	      "                      two to 256 (64); the first recording decides\n"
	      "  -o, --old           trace record: what is in the rings already, too\n"
	      "  -f, --follow        log: wait for more messages, until Ctrl-C;\n"
	      "                      adopt: destroy domains that an xl left half-built\n"
	      "  -F, --force         pci revoke: do not ask the guest for it; assign:\n"
	      "                      take it even from a driver that uses it\n"
	      "  -D, --disks         checkpoint: the guest's disks, too: thin volumes\n"
	      "  -h, --help          print this\n"
	      "  -V, --version       print the version of mgctl\n\n"
	      "Examples:\n"
	      "  mgctl policy load /modules/credit.mod\n"
	      "  mgctl policy select sched credit       # on all CPUs\n"
	      "  mgctl policy set credit weight=512 -d 1  # twice others' share\n"
	      "  mgctl policy select sched built-in -c 0  # Margay's own, only there\n"
	      "  mgctl policy select sched built-in\n"
	      "  mgctl policy unload credit\n"
	      "  mgctl stat --watch                     # like top, until Ctrl-C\n"
	      "  mgctl trace record -s 2 /tmp/t && mgctl trace export /tmp/t >/tmp/json\n\n"
	      "Exit status: 0 done, 1 Margay refused, 2 wrong usage, 3 no access to\n"
	      "Margay.\n",
	      f);
}

/* Says what may follow `mgctl GROUP`, or `mgctl` if group is NULL. */
static int incomplete(FILE *err, const char *group)
{
	fprintf(err, "usage: mgctl [OPTION...] %s%sCOMMAND [OPERAND...]\n\n", group ? group : "",
		group ? " " : "");
	print_commands(err, group);
	fputs("\nmgctl --help explains the options and has examples.\n", err);
	return MGCTL_USAGE;
}

static int wrong(FILE *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(err, "mgctl: %s (mgctl --help)", text);
	return MGCTL_USAGE;
}

/* Parses a decimal or 0x number that ends at one of the characters in end or at the text's end. */
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
	wrong(err, "'%s' is not a policy point: sched, idle, exit, place or migrate", text);
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

/* Parses segment:bus:device.function; the segment may be left out. */
static bool parse_function(const char *text, struct request *rq, FILE *err)
{
	unsigned int segment = 0, bus, device, function;
	int end = 0;

	if ((sscanf(text, "%4x:%2x:%2x.%1x%n", &segment, &bus, &device, &function, &end) == 4 ||
	     (segment = 0, sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) == 3)) &&
	    !text[end] && device < 32 && function < 8) {
		rq->sbdf = segment << 16 | bus << 8 | device << 3 | function;
		return true;
	}
	wrong(err, "'%s' is not a PCI function such as 0000:03:00.0", text);
	return false;
}

static bool parse_operands(char **operand, struct request *rq, FILE *err)
{
	switch (rq->command) {
	case LOAD:
	case RECORD:
	case TRACE_SHOW:
	case EXPORT:
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
	case PCI_ASSIGN:
		return parse_function(operand[0], rq, err) && parse_domain(operand[1], rq, err);
	case PCI_REVOKE:
		return parse_function(operand[0], rq, err);
	case DEDICATE:
		return parse_domain(operand[0], rq, err) &&
		       (!operand[1] || parse_cpus(operand[1], rq->cpus, err));
	case CHECKPOINT:
		rq->guest = operand[0];
		rq->file = operand[1];
		return true;
	case PCI_BUS:
	case SHARE:
		return parse_domain(operand[0], rq, err);
	default:
		return true;
	}
}

static int parse_command(int argc, char **argv, struct request *rq, FILE *err)
{
	const char *group = argc > 0 ? argv[0] : "", *name = argc > 1 ? argv[1] : "";
	size_t i = 0;
	bool optional;
	int used;

	if (argc < 1)
		return incomplete(err, NULL);
	while (i < NR_COMMANDS && strcmp(group, commands[i].group))
		i++;
	if (i == NR_COMMANDS)
		return wrong(
			err,
			"'%s' is not `policy', `trace', `pci', `stat', `log', `info', `adopt', "
			"`dedicate', `share' or `checkpoint'",
			group);
	used = commands[i].name[0] ? 2 : 1;
	if (argc < used)
		return incomplete(err, group);
	while (used == 2 && i < NR_COMMANDS &&
	       (strcmp(group, commands[i].group) || strcmp(name, commands[i].name)))
		i++;
	if (i == NR_COMMANDS)
		return wrong(err, "'%s' is not a command of %s", name, group);
	optional = strchr(commands[i].operands, '[');	/* the last */
	if (argc - used > commands[i].nr_operands ||
	    argc - used + optional < commands[i].nr_operands)
		return wrong(err, "usage: mgctl %s%s%s%s%s", group, used == 2 ? " " : "",
			     commands[i].name, commands[i].nr_operands ? " " : "",
			     commands[i].operands);
	rq->command = commands[i].command;
	return parse_operands(argv + used, rq, err) ? MGCTL_OK : MGCTL_USAGE;
}

/* Parses "exit,sched". */
static bool parse_events(const char *text, uint32_t *events, FILE *err)
{
	const char *p = text;

	for (*events = 0;; p++) {
		size_t len = strcspn(p, ",");
		uint32_t i = 0;

		while (i < MARGAY_TRACE_EVENTS &&
		       (strlen(event_names[i]) != len || strncmp(event_names[i], p, len)))
			i++;
		if (i == MARGAY_TRACE_EVENTS) {
			wrong(err, "'%s' is not a list of events such as exit,sched", text);
			return false;
		}
		*events |= 1U << i;
		p += len;
		if (!*p)
			return true;
	}
}

/* Parses seconds with a decimal point, from 10 ms to a day. */
static bool parse_watch(const char *text, uint64_t *ms, FILE *err)
{
	char *stop;
	double s = strtod(text, &stop);

	if (*stop || stop == text || !(s >= 0.01 && s <= 86400)) {
		wrong(err, "'%s' is not a time in seconds, from 0.01 on", text);
		return false;
	}
	*ms = (uint64_t)(s * 1000 + 0.5);
	return true;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *value, FILE *err)
{
	const char *rest;

	if (number(text, "", max, value, &rest) && *value)
		return true;
	wrong(err, "'%s' is not a number from 1 to %llu", text, (unsigned long long)max);
	return false;
}

/* Checks that the command uses each given option. */
static int parse_given(const struct given *g, struct request *rq, FILE *err)
{
	uint64_t pages = 64;

	if (g->cpus && (rq->command != SELECT || rq->point >= MARGAY_POINT_PLACE))
		return wrong(err, "--cpus goes with select, at a point that CPUs have");
	if (g->domain && rq->command != SET && rq->command != STAT)
		return wrong(err, "--domain goes with set and stat");
	if ((g->all || g->watch || g->count) && rq->command != STAT)
		return wrong(err, "--all, --watch and --count go with stat");
	if (g->count && !g->watch)
		return wrong(err, "--count goes with --watch");
	if ((g->events || g->pages || g->old) && rq->command != RECORD)
		return wrong(err, "--events, --pages and --old go with trace record");
	if (g->seconds && rq->command != RECORD && rq->command != PCI_REVOKE)
		return wrong(err, "--seconds goes with trace record and pci revoke");
	if (g->force && rq->command != PCI_REVOKE && rq->command != PCI_ASSIGN)
		return wrong(err, "--force goes with pci assign and pci revoke");
	if (g->disks && rq->command != CHECKPOINT)
		return wrong(err, "--disks goes with checkpoint");
	if (g->follow && ((rq->command != LOG && rq->command != ADOPT) || rq->json))
		return wrong(err, "--follow goes with log and adopt, and not with --json");
	rq->all_cpus = !g->cpus;
	rq->all = g->all;
	rq->old = g->old;
	rq->follow = g->follow;
	rq->force = g->force;
	rq->disks = g->disks;
	if (rq->command == PCI_REVOKE)
		rq->seconds = 30;
	rq->events = (1U << MARGAY_TRACE_EVENTS) - 1;
	if ((g->cpus && !parse_cpus(g->cpus, rq->cpus, err)) ||
	    (g->domain && !parse_domain(g->domain, rq, err)) ||
	    (g->watch && !parse_watch(g->watch, &rq->watch_ms, err)) ||
	    (g->count && !parse_number(g->count, 1000000, &rq->count, err)) ||
	    (g->events && !parse_events(g->events, &rq->events, err)) ||
	    (g->seconds && !parse_number(g->seconds, 1000000, &rq->seconds, err)) ||
	    (g->pages && !parse_number(g->pages, 256, &pages, err)))
		return MGCTL_USAGE;
	if (pages & (pages - 1))
		return wrong(err, "%s pages are not a power of two", g->pages);
	rq->pages = (uint32_t)pages;
	rq->sized = g->pages;
	return MGCTL_OK;
}

int parse_args(int argc, char **argv, struct request *rq, FILE *err)
{
	struct given g = { 0 };
	int c, rc;

	*rq = (struct request){ .domain = MARGAY_POLICY_ITSELF };
	opterr = 0;
	optind = 0; /* glibc: restart, also on a second call */
	while ((c = getopt_long(argc, argv, ":c:d:jhVaw::n:e:s:p:ofFD", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			g.cpus = optarg;
			break;
		case 'd':
			g.domain = optarg;
			break;
		case 'j':
			rq->json = true;
			break;
		case 'a':
			g.all = true;
			break;
		case 'w':
			g.watch = optarg ? optarg : "1";
			break;
		case 'n':
			g.count = optarg;
			break;
		case 'e':
			g.events = optarg;
			break;
		case 's':
			g.seconds = optarg;
			break;
		case 'p':
			g.pages = optarg;
			break;
		case 'o':
			g.old = true;
			break;
		case 'f':
			g.follow = true;
			break;
		case 'F':
			g.force = true;
			break;
		case 'D':
			g.disks = true;
			break;
		case 'h':
			return MGCTL_OK; /* whatever else is given */
		case 'V':
			rq->command = VERSION;
			return MGCTL_OK;
		default:
			return wrong(err, c == ':' ? "'%s' needs a value" : "no option '%s'",
				     argv[optind - 1]);
		}
	}
	rc = parse_command(argc - optind, argv + optind, rq, err);
	return rc ? rc : parse_given(&g, rq, err);
}
