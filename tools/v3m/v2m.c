/* SPDX-License-Identifier: BSD-2-Clause */
/* v2m: libv3m's calls as commands. Its exit code is that of enum v3m_code; the manual page lists them. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <glib.h>

#include "v3m.h"

static const char usage[] =
	"Usage:\n"
	"  v2m check [--offline] FILE...     check profiles; --offline: not against this host\n"
	"  v2m create [--dry-run] FILE       make its images and define its machines\n"
	"  v2m convert FILE                  print what the hypervisor gets: libvirt's XML\n"
	"  v2m start NAME                    start a machine\n"
	"  v2m stop [--force] NAME           shut a machine down; --force: at once\n"
	"  v2m pause NAME                    stop its CPUs\n"
	"  v2m resume NAME                   continue it\n"
	"  v2m destroy NAME                  end and forget a machine; its images stay\n"
	"  v2m list                          list machines and their states\n"
	"  v2m show NAME                     show a machine\n"
	"  v2m console NAME                  its console; Ctrl-] leaves\n"
	"  v2m checkpoint NAME FILE          store a machine in a file and end it\n"
	"  v2m restore FILE                  continue such a machine\n"
	"  v2m migrate NAME URI              move a machine to another libvirt\n"
	"  v2m set start|stop|pause|resume|destroy FILE  the same with a file's machines\n"
	"  v2m backends                      list hypervisors and what they cannot do\n"
	"Options:\n"
	"  --on TYPE    the hypervisor: mock, qemu, kvm, xen, margay, boot or vmware\n"
	"               (default: V3M_TYPE, or qemu); of a profile: instead of its <type>\n"
	"  --json       print JSON\n"
	"  --dry-run    print what would be done\n"
	"  --help, --version\n";

static struct {
	const char *on;
	bool json, dry_run, offline, force;
} option;

static const char *type_of_names(void)
{
	const char *type = option.on ? option.on : getenv("V3M_TYPE");

	return type ? type : "qemu";
}

static void print_json(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* With --json each message is an object on a line of its own. */
static void say(void *opaque, const char *file, int line, int column, const char *text)
{
	(void)opaque;
	if (option.json) {
		fputs("{\"file\":", stderr);
		print_json(stderr, file);
		fprintf(stderr, ",\"line\":%d,\"column\":%d,\"message\":", line, column);
		print_json(stderr, text);
		fputs("}\n", stderr);
	} else if (line) {
		fprintf(stderr, "%s:%d:%d: %s\n", file, line, column, text);
	} else {
		fprintf(stderr, "v2m: %s\n", text);
	}
}

static int wrong(const char *text, const char *word)
{
	fprintf(stderr, "v2m: %s%s%s\n", text, word ? " " : "", word ? word : "");
	fputs("Try v2m --help.\n", stderr);
	return V3M_USAGE;
}

static enum v3m_code load(const char *path, struct v3m_set **set)
{
	enum v3m_code code = v3m_load_file(path, set, say, NULL);

	if (!code && option.on && v3m_set_type(*set, option.on)) {
		v3m_set_free(*set);
		return (enum v3m_code)wrong("there is no type", option.on);
	}
	return code;
}

static int cmd_check(char **args)
{
	enum v3m_code worst = V3M_OK;

	for (; *args; args++) {
		struct v3m_set *set;
		enum v3m_code code = load(*args, &set);

		if (!code) {
			code = v3m_check(set, option.offline ? 0 : V3M_CHECK_HOST, say, NULL);
			if (!code && !option.json)
				printf("%s: %u machine%s, no faults\n", *args, v3m_set_count(set),
				       v3m_set_count(set) == 1 ? "" : "s");
			v3m_set_free(set);
		}
		if (code > worst)
			worst = code;
	}
	if (option.json)
		printf("{\"valid\":%s}\n", worst ? "false" : "true");
	return worst;
}

/* Runs a call on each machine of a set, over one connection for each type. Stops at the first failure. */
static enum v3m_code for_each(struct v3m_set *set,
			      enum v3m_code (*call)(struct v3m *, const struct v3m_profile *))
{
	struct v3m *v = NULL;
	const char *type = NULL;
	enum v3m_code code = V3M_OK;

	for (unsigned int i = 0; !code && i < v3m_set_count(set); i++) {
		const struct v3m_profile *p = v3m_set_profile(set, i);

		if (!type || strcmp(type, v3m_profile_type(p))) {
			v3m_close(v);
			v = NULL;
			type = v3m_profile_type(p);
			code = v3m_open(type, &v, say, NULL);
		}
		if (!code)
			code = call(v, p);
	}
	v3m_close(v);
	return code;
}

static void print_steps(struct v3m_set *set)
{
	for (unsigned int i = 0; i < v3m_set_count(set); i++) {
		const struct v3m_profile *p = v3m_set_profile(set, i);
		char *domain = v3m_domain(p, say, NULL);

		if (option.json) {
			printf("{\"name\":\"%s\",\"type\":\"%s\",\"define\":", v3m_profile_name(p),
			       v3m_profile_type(p));
			print_json(stdout, domain ? domain : "");
			puts("}");
		} else {
			printf("define %s on %s:\n%s", v3m_profile_name(p), v3m_profile_type(p),
			       domain ? domain : "");
		}
		free(domain);
	}
}

static int cmd_create(char **args)
{
	struct v3m_set *set;
	enum v3m_code code = load(*args, &set);

	if (code)
		return code;
	code = v3m_check(set, V3M_CHECK_HOST, say, NULL);
	if (!code && option.dry_run)
		print_steps(set);
	else if (!code)
		code = for_each(set, vm_create);
	v3m_set_free(set);
	return code;
}

/* Prints one domain after the other, without a look at this host. */
static int cmd_convert(char **args)
{
	struct v3m_set *set;
	enum v3m_code code = load(*args, &set);

	if (code)
		return code;
	for (unsigned int i = 0; !code && i < v3m_set_count(set); i++) {
		char *domain = v3m_domain(v3m_set_profile(set, i), say, NULL);

		if (domain)
			fputs(domain, stdout);
		else
			code = V3M_UNSUPPORTED;
		free(domain);
	}
	v3m_set_free(set);
	return code;
}

typedef enum v3m_code name_fn(struct v3m *, const char *);

static name_fn *name_call(const char *command)
{
	static const struct {
		const char *command;
		name_fn *call;
	} calls[] = {
		{ "start", v3m_start },	  { "pause", v3m_pause },     { "resume", v3m_resume },
		{ "restore", v3m_restore }, { "destroy", v3m_destroy },
	};

	if (!strcmp(command, "stop"))
		return option.force ? v3m_kill : v3m_shutdown;
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++)
		if (!strcmp(command, calls[i].command))
			return calls[i].call;
	return NULL;
}

static name_fn *set_call;

static enum v3m_code call_by_profile(struct v3m *v, const struct v3m_profile *p)
{
	return set_call(v, v3m_profile_name(p));
}

static int cmd_set(char **args)
{
	struct v3m_set *set;
	enum v3m_code code;

	set_call = strcmp(args[0], "restore") ? name_call(args[0]) : NULL;
	if (!set_call)
		return wrong("a set has no command", args[0]);
	code = load(args[1], &set);
	if (code)
		return code;
	for (unsigned int i = 0; option.dry_run && i < v3m_set_count(set); i++)
		printf("%s %s on %s\n", args[0], v3m_profile_name(v3m_set_profile(set, i)),
		       v3m_profile_type(v3m_set_profile(set, i)));
	code = option.dry_run ? V3M_OK : for_each(set, call_by_profile);
	v3m_set_free(set);
	return code;
}

struct listing {
	bool any;
};

static void print_machine(void *opaque, const char *name, enum v3m_state state)
{
	struct listing *listing = opaque;

	if (option.json) {
		fputs(listing->any ? ",\n{\"name\":" : "[{\"name\":", stdout);
		print_json(stdout, name);
		printf(",\"state\":\"%s\"}", v3m_state_name(state));
	} else {
		bool colour = state == V3M_RUNNING && isatty(1);

		printf("%-32s %s%s%s\n", name, colour ? "\033[32m" : "", v3m_state_name(state),
		       colour ? "\033[0m" : "");
	}
	listing->any = true;
}

static int cmd_list(struct v3m *v)
{
	struct listing listing = { false };
	enum v3m_code code = v3m_list(v, print_machine, &listing);

	if (!code && option.json)
		puts(listing.any ? "]" : "[]");
	return code;
}

static int cmd_show(struct v3m *v, const char *name)
{
	struct v3m_info info;
	enum v3m_code code = v3m_status(v, name, &info);

	if (code)
		return code;
	if (option.json) {
		fputs("{\"name\":", stdout);
		print_json(stdout, name);
		printf(",\"state\":\"%s\",\"memory\":%llu,\"cpus\":%u,\"cpu_time\":%llu}\n",
		       v3m_state_name(info.state), info.memory, info.cpus, info.cpu_time);
	} else {
		printf("name      %s\nstate     %s\nmemory    %llu MiB\nCPUs      %u\nCPU time  %.3f s\n",
		       name, v3m_state_name(info.state), info.memory >> 20, info.cpus,
		       (double)info.cpu_time / 1e9);
	}
	return code;
}

static int cmd_console(struct v3m *v, const char *name)
{
	struct termios old, raw;
	bool terminal = tcgetattr(0, &old) == 0;
	enum v3m_code code;

	if (terminal) {
		raw = old;
		cfmakeraw(&raw);
		tcsetattr(0, TCSANOW, &raw);
	}
	code = v3m_console(v, name, 0, 1);
	if (terminal)
		tcsetattr(0, TCSANOW, &old);
	return code;
}

static void print_backend(void *opaque, const char *name, const char *package, const char *missing)
{
	(void)opaque;
	printf("%-8s package %s%s%s\n", name, package, *missing ? "; cannot: " : "", missing);
}

static int on_connection(const char *command, char **args)
{
	struct v3m *v;
	name_fn *call = name_call(command);
	enum v3m_code code;

	if (option.dry_run) {
		printf("%s%s%s on %s\n", command, args[0] ? " " : "", args[0] ? args[0] : "",
		       type_of_names());
		return V3M_OK;
	}
	code = v3m_open(type_of_names(), &v, say, NULL);
	if (code == V3M_USAGE)
		return wrong("there is no type", type_of_names());
	if (code)
		return code;
	if (call)
		code = call(v, args[0]);
	else if (!strcmp(command, "list"))
		code = (enum v3m_code)cmd_list(v);
	else if (!strcmp(command, "show"))
		code = (enum v3m_code)cmd_show(v, args[0]);
	else if (!strcmp(command, "console"))
		code = (enum v3m_code)cmd_console(v, args[0]);
	else
		code = (!strcmp(command, "migrate") ? v3m_migrate : v3m_checkpoint)(v, args[0],
										    args[1]);
	v3m_close(v);
	return code;
}

static int run(int count, char **args)
{
	static const struct {
		const char *name;
		int min, max;
		int (*own)(char **args); /* else by on_connection() */
	} commands[] = {
		{ "check", 1, 10000, cmd_check },
		{ "create", 1, 1, cmd_create },
		{ "convert", 1, 1, cmd_convert },
		{ "set", 2, 2, cmd_set },
		{ "start", 1, 1, NULL },
		{ "stop", 1, 1, NULL },
		{ "pause", 1, 1, NULL },
		{ "resume", 1, 1, NULL },
		{ "destroy", 1, 1, NULL },
		{ "list", 0, 0, NULL },
		{ "show", 1, 1, NULL },
		{ "console", 1, 1, NULL },
		{ "checkpoint", 2, 2, NULL },
		{ "restore", 1, 1, NULL },
		{ "migrate", 2, 2, NULL },
	};

	if (!strcmp(args[0], "backends") && count == 1) {
		v3m_backends(print_backend, NULL);
		return V3M_OK;
	}
	for (unsigned int i = 0; i < G_N_ELEMENTS(commands); i++) {
		if (strcmp(args[0], commands[i].name))
			continue;
		if (count - 1 < commands[i].min || count - 1 > commands[i].max)
			return wrong("wrong number of arguments of", args[0]);
		return commands[i].own ? commands[i].own(args + 1) :
					 on_connection(args[0], args + 1);
	}
	return wrong("there is no command", args[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "on", required_argument, NULL, 'o' }, { "json", no_argument, NULL, 'j' },
		{ "dry-run", no_argument, NULL, 'n' },	{ "offline", no_argument, NULL, 'O' },
		{ "force", no_argument, NULL, 'f' },	{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },	{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			option.on = optarg;
			break;
		case 'j':
			option.json = true;
			break;
		case 'n':
			option.dry_run = true;
			break;
		case 'O':
			option.offline = true;
			break;
		case 'f':
			option.force = true;
			break;
		case 'V':
			puts("v2m " V3M_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return V3M_USAGE;
		}
	}
	if (optind == argc)
		return wrong("no command", NULL);
	c = run(argc - optind, argv + optind);
	if (fflush(stdout)) {
		perror("v2m");
		return V3M_FAILED;
	}
	return c;
}
