/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl without Margay: its command line, its calls, its output and its exit codes. The tests
 * replace Margay by a fake with two modules and three CPUs.
 * unit-sources: tools/mgctl/args.c tools/mgctl/policy.c tools/mgctl/isolate.c tools/mgctl/pci.c tools/mgctl/pci_bus.c tools/mgctl/refusal.c tools/mgctl/json.c tools/mgctl/text.c tools/mgctl/access.c tools/mgctl/stat.c tools/mgctl/names.c tools/mgctl/log.c tools/mgctl/record.c tools/mgctl/show.c
 */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xencall.h>	/* first: the next header needs it */
#define __XEN_TOOLS__ 1
#include <xen/domctl.h>

#include <public/guest_pci.h>

#include "../../tools/mgctl/mgctl.h"
#include "mgctl_host.h"

static char out[8192], err[4096];
static struct margay_op last;	/* last operation other than LIST */
static int answer;		/* to all operations but queries */
static const char *reason;	/* reason for a refused load */
static bool ejected;		/* whether the second module is */
static unsigned again;		/* so many times -EAGAIN comes before the answer */
static unsigned waits;
static const char *functions = "/nowhere";

/* A guest of libxl's: the pages with its RSDP and its ACPI tables. It has run for so many ns. */
static uint8_t pages[5][4096];	/* 0xff, 0xfc000 and those that follow */
static uint64_t ran;

static int fake_list(struct margay_op *op)
{
	static const char *const names[] = { "rr", "odd" };

	if (op->u.list.index > 1)
		return -ENOENT;
	strcpy(op->name, names[op->u.list.index]);
	op->u.list.points = op->u.list.index ? 6 : 1;
	memset(op->u.list.digest, 0xa0 + (int)op->u.list.index, sizeof(op->u.list.digest));
	op->u.list.selected = 3;
	op->u.list.memory = 12288;
	/* The summary has no NUL and holds bytes that must not reach a terminal. */
	memset(op->u.list.summary, 's', sizeof(op->u.list.summary));
	memcpy(op->u.list.summary, "\"\\\033[2J\n\351", 8);
	if (op->u.list.index && ejected) {
		op->u.list.ejected = 1;
		strcpy(op->u.list.why, "#PF at +0x10");
	}
	return 0;
}

static int fake_call(struct mgctl *m, struct margay_op *op)
{
	(void)m;
	if (op->cmd == MARGAY_POLICY_LIST)
		return fake_list(op);
	if (op->cmd == MARGAY_PCI_LIST) {
		if (op->u.pci.index > 1)
			return -ENOENT;
		op->u.pci.sbdf = op->u.pci.group = op->u.pci.index ? 0x10000 : 0x3fb;
		op->u.pci.domain = op->u.pci.index ? MARGAY_NONE : 2;
		op->u.pci.seen_at = op->u.pci.index ? ~0U : 8;
		op->u.pci.vendor = 0x8086;
		op->u.pci.node = op->u.pci.index ? MARGAY_NO_NODE : 1;
		op->u.pci.physfn = op->u.pci.index ? op->u.pci.sbdf : 0x3f8;
		op->u.pci.flags = op->u.pci.index ? MARGAY_PCI_HIDDEN : 0;
		return 0;
	}
	last = *op;
	switch (op->cmd) {
	case MARGAY_POLICY_SELECTED:
		if (op->u.select.cpu > 2)
			return -ENOENT;
		if (op->u.select.cpu == 1 && op->u.select.point == MARGAY_POINT_SCHED)
			strcpy(op->name, "rr");
		return 0;
	case MARGAY_POLICY_COUNTER:
		if (op->u.counter.index > 1)
			return -ENOENT;
		memset(op->u.counter.name, 'c', sizeof(op->u.counter.name));
		op->u.counter.value = UINT64_MAX - op->u.counter.index;
		return 0;
	case MARGAY_PCI_REVOKE:
		if (again && !(op->u.pci.flags & MARGAY_PCI_FORCE))
			return again--, -EAGAIN;
		return answer;
	case MARGAY_PCI_BUS:
		op->u.bus.high = 0x8000000000;
		op->u.bus.high_size = 0x4000000000;
		return answer;
	case MARGAY_POLICY_LOAD:
		if (reason)
			strcpy((char *)(uintptr_t)op->u.load.reason, reason);
		return answer;
	}
	return answer;
}

static bool fake_wait(struct mgctl *m, uint64_t ms)
{
	(void)m;
	assert_int_equal(ms, 100);
	return ++waits != 350;	/* then the user loses patience */
}

static void fake_unmap(struct mgctl *m, const void *p, uint32_t n)
{
	(void)m;
	assert_non_null(p);
	allocated -= n;
}

void *xen_map_pages(struct mgctl *m, uint32_t domain, uint64_t gfn, uint32_t n)
{
	static const uint64_t gfns[] = { 0xff, 0xfc000, 0xfc001, 0xfc002, 0xfc003 };

	(void)m;
	assert_int_equal(domain, 3);
	for (unsigned i = 0; i < 5; i++)
		if (gfns[i] == gfn) {
			allocated += n;
			return pages[i];
		}
	return NULL;
}

int xen_domctl(struct mgctl *m, void *op, size_t size)
{
	struct xen_domctl *d = op;

	(void)m;
	assert_int_equal(size, sizeof(*d));
	d->u.getdomaininfo.cpu_time = ran;
	d->domain = (domid_t)(d->domain == 4 ? 5 : d->domain);
	return 0;
}

static int parse(struct request *rq, const char *line)
{
	static char copy[512], *argv[32];
	int argc = 1, rc;
	FILE *f;

	memset(err, 0, sizeof(err));
	f = fmemopen(err, sizeof(err), "w");
	argv[0] = (char *)"mgctl";
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	rc = parse_args(argc, argv, rq, f);
	fclose(f);
	return rc;
}

/* Runs a whole command line and returns its exit code; its output is in out and err. */
static int run(const char *line)
{
	struct mgctl m = { .call = fake_call, .alloc = fake_alloc, .free = fake_free,
			   .wait = fake_wait, .unmap = fake_unmap, .functions = functions };
	struct request rq;
	int rc = parse(&rq, line);

	memset(out, 0, sizeof(out));
	if (rc)
		return rc;
	memset(&last, 0, sizeof(last));
	m.out = fmemopen(out, sizeof(out), "w");
	m.err = fmemopen(err, sizeof(err), "w");
	rc = do_request(&m, &rq);
	fclose(m.out);
	fclose(m.err);
	assert_int_equal(allocated, 0);
	return rc;
}

/* Joins the lines of a message. */
static void flatten(char *text)
{
	for (char *p; (p = strstr(text, "\n  "));) {
		*p = ' ';
		memmove(p + 1, p + 3, strlen(p + 3) + 1);
	}
}

#define assert_refused(line, part)                                                     \
	do {                                                                           \
		assert_int_equal(run(line), MGCTL_REFUSED);                            \
		assert_fits(err);                                                      \
		flatten(err);                                                          \
		assert_says(err, part);                                                \
	} while (0)

static int setup(void **state)
{
	(void)state;
	answer = 0;
	reason = NULL;
	ejected = false;
	again = waits = 0;
	ran = 0;
	return 0;
}

static void test_cpus(void **state)
{
	static const char *const bad[] = {
		"", ",", "1,", "-3", "3-1", "1024", "1-1024", "0x", "1--2", "a", "1 2", "1-2-3",
		"99999999999999999999",
	};
	uint64_t cpus[MAX_CPUS / 64];
	FILE *f = fmemopen(err, sizeof(err), "w");

	(void)state;
	assert_true(parse_cpus("0-3,5", cpus, f));
	assert_int_equal(cpus[0], 0x2f);
	assert_int_equal(cpus[3], 0);
	assert_true(parse_cpus("255,0x40-65,0", cpus, f));
	assert_int_equal(cpus[0], 1);
	assert_int_equal(cpus[1], 3);
	assert_true(cpus[3] == 1ULL << 63);
	assert_true(parse_cpus("0-1023", cpus, f));
	for (int i = 0; i < MAX_CPUS / 64; i++)
		assert_true(cpus[i] == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_cpus(bad[i], cpus, f))
			fail_msg("'%s' was accepted", bad[i]);
	fclose(f);
}

static void test_setting(void **state)
{
	static const char *const bad[] = {
		"", "=1", "x", "x=", "x=-1", "x=1k", "x= 1", "x=1=2", "x=+1",
		"x=18446744073709551616", "a2345678901234567890123456789012=1",
	};
	FILE *f = fmemopen(err, sizeof(err), "w");
	uint64_t value;
	char key[32];

	(void)state;
	assert_true(parse_setting("weight=512", key, sizeof(key), &value, f));
	assert_string_equal(key, "weight");
	assert_int_equal(value, 512);
	assert_true(parse_setting("a=0xffffffffffffffff", key, sizeof(key), &value, f));
	assert_true(value == UINT64_MAX);
	assert_true(
		parse_setting("a234567890123456789012345678901=08", key, sizeof(key), &value, f));
	assert_int_equal(value, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_setting(bad[i], key, sizeof(key), &value, f))
			fail_msg("'%s' was accepted", bad[i]);
	fclose(f);
}

static void test_args(void **state)
{
	struct request rq;

	(void)state;
	assert_int_equal(parse(&rq, "policy select idle built-in --cpus 1,2 --json"), 0);
	assert_int_equal(rq.command, SELECT);
	assert_int_equal(rq.point, MARGAY_POINT_IDLE);
	assert_string_equal(rq.name, "");
	assert_int_equal(rq.cpus[0], 6);
	assert_false(rq.all_cpus);
	assert_true(rq.json);
	assert_int_equal(parse(&rq, "-d 7 policy set edf budget_us=5"), 0);
	assert_int_equal(rq.domain, 7);
	assert_int_equal(parse(&rq, "policy set edf budget_us=5"), 0);
	assert_int_equal(rq.domain, MARGAY_POLICY_ITSELF);
	assert_int_equal(parse(&rq, "policy frobnicate --help"), 0);
	assert_int_equal(rq.command, HELP);
	assert_int_equal(parse(&rq, "--version"), 0);
	assert_int_equal(rq.command, VERSION);
	assert_wrong("", "\n  mgctl stat  ");
	assert_says(err, "\n  mgctl policy load     FILE ");
	assert_wrong("policy", "usage: mgctl [OPTION...] policy COMMAND [OPERAND...]\n");
	assert_says(err, "\n  mgctl policy load     FILE ");
	assert_null(strstr(err, "mgctl stat"));
	assert_wrong("trace", "\n  mgctl trace  export   FILE ");
	assert_wrong("police list", "'police'");
	assert_wrong("policy frobnicate", "'frobnicate' is not a command of policy");
	assert_wrong("policy list rr", "usage: mgctl policy list (");
	assert_wrong("policy load", "usage: mgctl policy load FILE");
	assert_wrong("policy select cpu rr", "'cpu' is not a policy point");
	assert_wrong("policy list --frobnicate", "no option '--frobnicate'");
	assert_wrong("policy list --cpus", "needs a value");
	assert_wrong("policy list --cpus 1", "--cpus goes with select");
	assert_wrong("policy select place numa --cpus 1", "--cpus goes with select");
	assert_wrong("policy select sched rr -d 1", "--domain goes with set");
	assert_wrong("policy set rr a=1 -d 32752", "not a domain's number");
	assert_wrong("policy select sched rr --cpus 9-8", "'9-8' is not a list of CPUs");
	assert_wrong("policy unload a2345678901234567890123456789012", "cannot be a policy's name");
}

static void test_list(void **state)
{
	(void)state;
	ejected = true;
	assert_int_equal(run("policy list"), 0);
	assert_fits(out);
	assert_says(out, "\nrr              sched                        3    12 KiB\n"
			 "  \"\\?[2J??ss");
	assert_says(out, "\nodd             idle,exit                    3    12 KiB\n");
	assert_says(out, "\n  ejected: #PF at +0x10\n");
	assert_int_equal(run("policy list --json"), 0);
	assert_says(out, "{\"policies\": [{\"name\": \"rr\", \"summary\": "
			 "\"\\\"\\\\\\u001b[2J\\u000a\\u00e9ss");
	assert_says(out, "ss\", \"points\": [\"sched\"], \"ejected\": false, \"why\": \"\", "
			 "\"selected\": 3, \"memory\": 12288, \"sha256\": \"a0a0a0a0");
	assert_says(out, "a0\", \"build_id\": \"0000000000000000000000000000000000000000\"}, "
			 "{\"name\": \"odd\"");
	assert_says(out, "\"points\": [\"idle\", \"exit\"], \"ejected\": true, "
			 "\"why\": \"#PF at +0x10\"");
	assert_string_equal(out + strlen(out) - 4, "}]}\n");
}

static void test_show(void **state)
{
	(void)state;
	assert_int_equal(run("policy show"), 0);
	assert_fits(out);
	assert_string_equal(out, "CPU sched           idle            exit\n"
				 "  0 built-in        built-in        built-in\n"
				 "  1 rr              built-in        built-in\n"
				 "  2 built-in        built-in        built-in\n"
				 "place: built-in\n"
				 "migrate: built-in\n");
	assert_int_equal(run("policy show -j"), 0);
	assert_says(out,
		    "{\"cpus\": [{\"cpu\": 0, \"sched\": \"built-in\", \"idle\": \"built-in\", "
		    "\"exit\": \"built-in\"}, {\"cpu\": 1, \"sched\": \"rr\"");
	assert_says(out, "}], \"place\": \"built-in\", \"migrate\": \"built-in\"}\n");
}

static void test_counters(void **state)
{
	(void)state;
	assert_int_equal(run("policy counters rr"), 0);
	assert_string_equal(out, "cccccccccccccccccccccccccccccccc 18446744073709551615\n"
				 "cccccccccccccccccccccccccccccccc 18446744073709551614\n");
	assert_int_equal(run("policy counters rr --json"), 0);
	assert_string_equal(out, "{\"name\": \"rr\", \"counters\": ["
				 "{\"name\": \"cccccccccccccccccccccccccccccccc\", "
				 "\"value\": 18446744073709551615}, "
				 "{\"name\": \"cccccccccccccccccccccccccccccccc\", "
				 "\"value\": 18446744073709551614}]}\n");
	assert_refused("policy counters none",
		       "read counters of none: there is no such policy (mgctl policy list)\n");
	ejected = true;
	assert_refused("policy counters odd", "it was ejected: #PF");
}

static void test_select(void **state)
{
	(void)state;
	assert_int_equal(run("policy select exit odd -c 0-1"), 0);
	assert_int_equal(last.cmd, MARGAY_POLICY_SELECT);
	assert_string_equal(last.name, "odd");
	assert_int_equal(last.u.select.point, MARGAY_POINT_EXIT);
	assert_int_equal(last.u.select.cpus[0], 3);
	assert_string_equal(out, "");
	assert_int_equal(run("policy select sched built-in"), 0);
	assert_string_equal(last.name, "");
	assert_true(last.u.select.cpus[3] == UINT64_MAX);
	assert_refused("policy select sched rr -c 0,3", "there is no CPU 3");
	assert_int_equal(last.cmd, MARGAY_POLICY_SELECTED); /* nothing was selected */
	answer = -ENOENT;
	assert_refused("policy select sched none", "select none: there is no such policy");
	answer = -EOPNOTSUPP;
	assert_refused("policy select sched odd", "does not decide at that point");
	answer = -EINVAL;
	assert_refused("policy select idle odd", "its start function refused");
	answer = -EPERM;
	ejected = true;
	assert_refused("policy select sched odd", "it was ejected: #PF at +0x10");
	answer = -EBUSY;
	assert_refused("policy unload rr", "unload rr: it is selected");
}

static void test_set(void **state)
{
	(void)state;
	assert_int_equal(run("policy set rr slice_us=2000"), 0);
	assert_int_equal(last.cmd, MARGAY_POLICY_SET);
	assert_int_equal(last.u.set.domain, MARGAY_POLICY_ITSELF);
	assert_string_equal(last.u.set.name, "slice_us");
	assert_int_equal(last.u.set.value, 2000);
	assert_int_equal(run("policy set rr x=1 --domain self"), 0);
	assert_int_equal(last.u.set.domain, 0x7ff0);
	answer = -ENOENT;
	assert_refused("policy set rr x=1", "no such parameter of its own");
	assert_refused("policy set rr x=1 -d 1", "domains have no such parameter");
	assert_refused("policy set none x=1", "there is no such policy");
	answer = -ESRCH;
	assert_refused("policy set rr x=1 -d 9", "no such domain");
	answer = -EINVAL;
	assert_refused("policy set rr x=1", "out of range");
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(run("--help"), 0);
	assert_fits(out);
	assert_says(out, "\n  mgctl stat --watch ");
}

static int answer_to_first(struct mgctl *m, struct margay_op *op)
{
	(void)m;
	(void)op;
	return answer;
}

static bool passes;

static bool fake_may_call(struct mgctl *m)
{
	(void)m;
	return passes;
}

static void test_access(void **state)
{
	struct mgctl m = { .call = answer_to_first, .may_call = fake_may_call };
	static const struct {
		int answer;
		bool passes;
		const char *says;
	} cases[] = {
		{ -ENOSYS, true, "is not Margay" },
		{ -EPERM, true, "does not have the control privilege" },
		{ -EPERM, false, "unrestricted=1" },
		{ -EACCES, true, "another control interface" },
		{ -EFAULT, true, "does not answer: Bad address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(err, 0, sizeof(err));
		m.err = fmemopen(err, sizeof(err), "w");
		answer = cases[i].answer;
		passes = cases[i].passes;
		assert_int_equal(check_access(&m), MGCTL_NO_ACCESS);
		fclose(m.err);
		assert_fits(err);
		flatten(err);
		assert_says(err, cases[i].says);
	}
	answer = 0;
	assert_int_equal(check_access(&m), 0);
	answer = -ENOENT;	/* no module is loaded */
	assert_int_equal(check_access(&m), 0);
}

static void test_load(void **state)
{
	char name[] = "/tmp/mgctlXXXXXX", line[64];
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "12345", 5), 5);
	snprintf(line, sizeof(line), "policy load %s", name);
	assert_int_equal(run(line), 0);
	assert_int_equal(last.u.load.size, 5);
	answer = -ENOEXEC;
	reason = "section .text\033 is bad";
	assert_refused(line, ": section .text? is bad\n");
	reason = NULL;
	answer = -ENOMEM;
	assert_refused(line, "no memory left");
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	assert_wrong(line, "too large for a module");
	close(fd);
	unlink(name);
	assert_wrong(line, "No such file");
	assert_wrong("policy load /", "Is a directory");
}

static void test_isolate(void **state)
{
	(void)state;
	assert_int_equal(run("dedicate 3 1,4-5"), MGCTL_OK);
	assert_int_equal(last.cmd, MARGAY_DEDICATE);
	assert_int_equal(last.u.dedicate.domain, 3);
	assert_int_equal(last.u.dedicate.cpus[0], 0x32);
	assert_int_equal(run("dedicate 3"), MGCTL_OK);	/* Margay chooses */
	assert_int_equal(last.u.dedicate.cpus[0], 0);
	assert_int_equal(run("share 3"), MGCTL_OK);
	assert_int_equal(last.cmd, MARGAY_SHARE);
	answer = -EPERM;
	assert_refused("dedicate 3 0", "dedicate CPUs to domain 3: the housekeeping CPU");
	answer = -ESRCH;
	assert_refused("share 9", "share the CPUs of domain 9: there is no such domain");
	assert_int_equal(run("checkpoint linux"), MGCTL_USAGE);
	assert_int_equal(run("stat --disks"), MGCTL_USAGE);
	assert_int_equal(run("dedicate"), MGCTL_USAGE);
	assert_int_equal(run("dedicate 3 4-1"), MGCTL_USAGE);
}

static void test_pci(void **state)
{
	(void)state;
	assert_int_equal(run("pci list"), MGCTL_OK);
	assert_says(out, "0000:03:1f.3  8086:0000 000000      2 0000:00:01.0 ");
	assert_says(out, "0001:00:00.0  8086:0000 000000      - - ");
	assert_says(out, "        0    1 virtual\n");
	assert_says(out, "        0    - Margay's\n");
	assert_int_equal(run("-j pci list"), MGCTL_OK);
	assert_says(out, "\"node\": 1,");
	assert_says(out, "\"physfn\": \"0000:03:1f.0\",");
	assert_says(out, "\"function\": \"0000:03:1f.3\"");
	assert_int_equal(run("pci assign 3:1f.3 2"), MGCTL_OK);
	assert_int_equal(last.cmd, MARGAY_PCI_ASSIGN);
	assert_int_equal(last.u.pci.sbdf, 0x3fb);
	assert_int_equal(last.u.pci.domain, 2);
	answer = -EXDEV;
	assert_refused("pci assign 0000:03:00.0 2", "cannot be isolated");
	answer = -ENOENT;
	assert_refused("pci revoke ffff:ff:1f.7", "revoke ffff:ff:1f.7: it has no owner");
	assert_int_equal(run("pci revoke 3:20.0"), MGCTL_USAGE);
	assert_int_equal(run("pci revoke 0000:03:00.0x"), MGCTL_USAGE);
}

/* A function that a driver uses here is not given away, unless by force. */
static void test_pci_driver(void **state)
{
	static const char *const stubs[] = { "pci-stub", "vfio-pci", "pciback", "xen-pciback" };
	char path[64], directory[] = "/tmp/functions.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(directory));
	functions = directory;
	assert_int_equal(run("pci assign 3:00.0 2"), MGCTL_OK);
	snprintf(path, sizeof(path), "%s/0000:03:00.0", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/driver");
	assert_int_equal(run("pci assign 3:00.0 2"), MGCTL_OK);
	assert_int_equal(symlink("../../../bus/pci/drivers/nvme", path), 0);
	last.cmd = 0;
	assert_int_equal(run("pci assign 3:00.0 2"), MGCTL_REFUSED);
	assert_int_equal(last.cmd, 0);
	assert_says(err, "the driver nvme of this domain uses 0000:03:00.0: unbind it");
	assert_int_equal(run("pci revoke 3:00.0"), MGCTL_REFUSED);
	assert_int_equal(last.cmd, 0);
	assert_says(err, "the driver nvme of this domain uses 0000:03:00.0: unbind it");
	assert_int_equal(run("pci assign 3:00.1 2"), MGCTL_OK);
	assert_int_equal(run("pci assign --force 3:00.0 2"), MGCTL_OK);
	assert_int_equal(last.cmd, MARGAY_PCI_ASSIGN);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink(stubs[i], path), 0);
		assert_int_equal(run("pci assign 3:00.0 2"), MGCTL_OK);
	}
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path) | rmdir(directory), 0);
	functions = "/nowhere";
}

/* The guest is asked, and has a time for its answer. */
static void test_pci_revoke(void **state)
{
	(void)state;
	again = 20;
	assert_int_equal(run("pci revoke 3:00.0"), MGCTL_OK);
	assert_int_equal(waits, 20);
	assert_string_equal(err, "");
	again = 1000;
	assert_int_equal(run("pci revoke -s 5 3:00.0"), MGCTL_OK);
	assert_int_equal(waits, 70);
	assert_int_equal(last.u.pci.flags, MARGAY_PCI_FORCE);
	assert_says(err, "it is taken away");
	assert_int_equal(run("pci revoke --force 3:00.0"), MGCTL_OK);
	assert_int_equal(waits, 70);
	assert_int_equal(last.u.pci.flags, MARGAY_PCI_FORCE);
	assert_refused("pci revoke 3:00.0", "you interrupted it");
	again = 5;	/* the guest ends instead */
	answer = -ENOENT;
	assert_int_equal(run("pci revoke 3:00.0"), MGCTL_OK);
	assert_int_equal(run("pci list --force"), MGCTL_USAGE);
	assert_int_equal(run("pci assign -s 5 3:00.0 1"), MGCTL_USAGE);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t all = 0;

	while (n--)
		all = (uint8_t)(all + p[n]);
	return all;
}

/* Makes the tables as libxl does. Returns the RSDP. */
static uint8_t *make_tables(unsigned rsdp_page, uint64_t xsdt)
{
	static const uint64_t entries[] = { 0xfc001000, 0xfc001100 };
	uint8_t *r = rsdp_page ? pages[rsdp_page] : pages[0] + 4096 - 64;
	uint8_t *x = pages[1] + (xsdt - 0xfc000000);

	memset(pages, 0, sizeof(pages));
	memcpy(r, "RSD PTR ", 8);
	memcpy(r + 24, &xsdt, 8);
	r[32] = (uint8_t)-sum(r, 36);
	memcpy(x, "XSDT", 4);
	x[4] = 36 + sizeof(entries);
	memcpy(x + 36, entries, sizeof(entries));
	x[9] = (uint8_t)-sum(x, 36 + sizeof(entries));
	return r;
}

static void check_tables(const uint8_t *r)
{
	uint64_t at[4], number;
	const uint8_t *t;

	assert_int_equal(sum(r, 36), 0);
	memcpy(&number, r + 24, 8);
	assert_int_equal(number & ~0x7ffUL, 0xfc000800);
	t = pages[1] + (number & 0xfff);
	assert_memory_equal(t, "XSDT", 4);
	assert_int_equal(t[4], 36 + sizeof(at));
	assert_int_equal(sum(t, 36 + sizeof(at)), 0);
	memcpy(at, t + 36, sizeof(at));
	assert_int_equal(at[1], 0xfc001100);
	for (unsigned i = 2; i < 4; i++) {
		assert_int_equal(at[i] >> 12, 0xfc000);
		t = pages[1] + (at[i] & 0xfff);
		assert_memory_equal(t, i == 2 ? "SSDT" : "MCFG", 4);
		assert_int_equal(sum(t, *(const uint32_t *)(t + 4)), 0);
	}
	memcpy(&number, t + 44, 8);
	assert_int_equal(number, GUEST_PCI_ECAM);
	memcpy(&number, pages[1] + (at[2] & 0xfff) + 36 + GUEST_PCI_HIGH + 8, 8);
	assert_int_equal(number, 0xbfffffffffUL);
}

static void test_pci_bus(void **state)
{
	uint8_t *r = make_tables(0, 0xfc002100);

	(void)state;
	assert_int_equal(run("pci bus 3"), MGCTL_OK);
	assert_int_equal(last.cmd, MARGAY_PCI_BUS);
	assert_int_equal(last.u.bus.domain, 3);
	check_tables(r);
	/* A second time there is no room. */
	assert_refused("pci bus 3", "are not libxl's");
	/* The RSDP behind the tables, an XSDT in two pages. */
	r = make_tables(4, 0xfc001ff0);
	assert_int_equal(run("pci bus 3"), MGCTL_OK);
	check_tables(r);
	/* What is no such guest. */
	make_tables(0, 0xfc002100);
	pages[3][0x120]++;
	assert_refused("pci bus 3", "are not libxl's");
	make_tables(3, 0xfc002100)[2] = 'x';
	assert_refused("pci bus 3", "are not libxl's");
	make_tables(0, 0xfc002100);
	answer = -E2BIG;
	assert_refused("pci bus 3", "more than 3 GiB");
	assert_int_equal(sum(pages[1], 4096), 0);
	ran = 1;
	assert_refused("pci bus 3", "it has run already");
	assert_refused("pci bus 4", "no such domain");
	assert_int_equal(run("pci bus"), MGCTL_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cpus, setup),
		cmocka_unit_test_setup(test_setting, setup),
		cmocka_unit_test_setup(test_args, setup),
		cmocka_unit_test_setup(test_list, setup),
		cmocka_unit_test_setup(test_show, setup),
		cmocka_unit_test_setup(test_counters, setup),
		cmocka_unit_test_setup(test_select, setup),
		cmocka_unit_test_setup(test_set, setup),
		cmocka_unit_test_setup(test_access, setup),
		cmocka_unit_test_setup(test_load, setup),
		cmocka_unit_test_setup(test_isolate, setup),
		cmocka_unit_test_setup(test_pci, setup),
		cmocka_unit_test_setup(test_pci_driver, setup),
		cmocka_unit_test_setup(test_pci_revoke, setup),
		cmocka_unit_test_setup(test_pci_bus, setup),
		cmocka_unit_test_setup(test_help, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
