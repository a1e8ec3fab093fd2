/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl stat and mgctl trace record with a fake Margay: a machine with two CPUs, one of which
 * traces, and two domains.
 * unit-sources: tools/mgctl/args.c tools/mgctl/policy.c tools/mgctl/isolate.c tools/mgctl/pci.c tools/mgctl/refusal.c tools/mgctl/json.c tools/mgctl/text.c tools/mgctl/access.c tools/mgctl/stat.c tools/mgctl/names.c tools/mgctl/log.c tools/mgctl/record.c tools/mgctl/show.c
 */
#include "host.h"

#include <errno.h>
#include <unistd.h>

#include "../../tools/mgctl/show.h"
#include "mgctl_host.h"

int add_pci_bus(struct mgctl *m, uint32_t domain)
{
	fail_msg("a bus for %u, by %p", domain, (void *)m);
	return 0;
}

#define ROOM 128U	/* records of a ring of two pages */

static char out[65536], err[4096];
static unsigned int mapped, waits, last_wait;
static uint64_t passed;		/* time spent waiting, ms */
static uint32_t events;
static int answer;
static bool on_terminal;
static _Alignas(4096) uint8_t ring[2][2 * 4096];
static unsigned int burst;	/* records that CPU 0 writes in each wait */

static void put(struct margay_op *op, const char *group, const char *name, uint32_t sub,
		uint64_t value)
{
	struct margay_counter *c = (struct margay_counter *)(uintptr_t)op->u.stat.counters;

	if (op->u.stat.nr < op->u.stat.max) {
		c += op->u.stat.nr;
		*c = (struct margay_counter){ .sub = sub, .value = value };
		strncpy(c->group, group, sizeof(c->group));
		strncpy(c->name, name, sizeof(c->name));
	}
	op->u.stat.nr++;
}

#define PUT(group, name, value) put(op, group, name, UINT32_MAX, value)

static void put_times(struct margay_op *op, uint64_t guest, uint64_t margay, uint64_t idle)
{
	PUT("time", "guest", guest);
	PUT("time", "margay", margay);
	PUT("time", "idle", idle);
}

/* Domains 3 and 70, with one vCPU each; 70's name needs escaping. */
static int fake_stat(struct margay_op *op)
{
	uint32_t d = op->u.stat.domain == 0x7ff0 ? 3 : op->u.stat.domain, i = op->u.stat.index;
	bool whole = i == MARGAY_STAT_WHOLE;

	op->u.stat.nr = 0;
	op->u.stat.domain = d;
	op->u.stat.next = d == MARGAY_STAT_MACHINE ? 3 : d == 3 ? 70 : MARGAY_NONE;
	if (d != MARGAY_STAT_MACHINE && d != 3 && d != 70)
		return -ESRCH;
	if (!whole && i > (d == MARGAY_STAT_MACHINE ? 1 : 0))
		return -ENOENT;
	if (d == MARGAY_STAT_MACHINE && whole) {
		PUT("time", "up", 1000000000 + passed * 1000000);
		PUT("cpu", "online", 2);
		PUT("memory", "total", 1ULL << 40);
		PUT("memory", "margay", 608ULL << 10);
		for (uint32_t n = 0; n < 6; n++)
			put(op, "iommu",
			    (const char *const[]){ "reported", "suppressed", "cut-off" }[n / 2],
			    n % 2, n % 2 ? 0 : 7 + n);
	} else if (d == MARGAY_STAT_MACHINE) {
		put_times(op, 700000000 + passed * 1000000, 50000000, 250000000);
		PUT("cpu", "switch", 12345678901234ULL);
	} else if (whole) {
		strcpy(op->name, d == 3 ? "linux" : "\033[2Jab\"");
		PUT("memory", "used", 512ULL << 20);
		if (d == 3) {
			PUT("memory", "iommu-mapped", 512ULL << 20);
			PUT("memory", "iommu-tables", 5ULL << 12);
		}
		PUT("p2m", "4K", 77);
		PUT("devices", "interrupts", d == 3 ? 1234 : 0);
		PUT("refused", "unknown", 5);
		PUT("refused", "denied", 6);
	} else {
		strcpy(op->name, d == 3 ? "linux" : "\033[2Jab\"");
		PUT("state", "run", 3);
		PUT("state", "cpu", 1);
		put_times(op, 10000000 + passed * 250000, 10000000, 10000000 + passed * 750000);
		PUT("exit", "hlt", 1000 + passed * 20);
		put(op, "hypercall", "sched_op", 1, 40);
		put(op, "hypercall", "sched_op", 31, 2);
		put(op, "hypercall", "event_channel_op", 4, 8);
	}
	return 0;
}

static struct margay_trace_ring *head(unsigned int cpu)
{
	return (struct margay_trace_ring *)ring[cpu];
}

/* A log whose first 10 bytes are lost. Each wait lets it grow by a line; the last one is open. */
static int fake_log(struct margay_op *op)
{
	static const char log[] = "lost line\nfirst line\nsecond\033line\nthird\nfourth";
	static const uint64_t heads[] = { 33, 39, sizeof(log) - 1 };
	uint64_t head = heads[waits < 2 ? waits : 2], at = op->u.log.at < 10 ? 10 : op->u.log.at;

	assert_true(at <= head);
	op->u.log.size = head - at > 7 ? 7 : (uint32_t)(head - at);
	memcpy(op->u.log.text, log + at, op->u.log.size);
	op->u.log.at = at + op->u.log.size;
	return 0;
}

static int fake_call(struct mgctl *m, struct margay_op *op)
{
	(void)m;
	if (answer)
		return answer;
	switch (op->cmd) {
	case MARGAY_STAT:
		return fake_stat(op);
	case MARGAY_TRACE:
		events = op->u.trace.events;
		return op->u.trace.pages == 64 || op->u.trace.pages == 1 ? 0 : -EINVAL;
	case MARGAY_SPECULATION:
		if (op->u.line.index > 1)
			return -ENOENT;
		snprintf(op->u.line.text, sizeof(op->u.line.text), "line %u", op->u.line.index);
		return 0;
	case MARGAY_LOG:
		return fake_log(op);
	case MARGAY_TRACE_RING:
		if (op->u.ring.cpu > 1)
			return -ENOENT;
		op->u.ring.frame = 100 + op->u.ring.cpu;
		op->u.ring.pages = 2;
		return 0;
	}
	fail_msg("operation %u", op->cmd);
	return 0;
}

static const void *fake_map(struct mgctl *m, uint64_t frame, uint32_t pages)
{
	(void)m;
	assert_int_equal(pages, 2);
	mapped++;
	return ring[frame - 100];
}

static void fake_unmap(struct mgctl *m, const void *p, uint32_t pages)
{
	(void)m;
	(void)p;
	assert_int_equal(pages, 2);
	mapped--;
}

static void record(void)
{
	struct margay_trace *t = (struct margay_trace *)(ring[0] + 4096);
	uint64_t n = head(0)->written;

	t[n % ROOM] = (struct margay_trace){ .tsc = 1000 + n, .event = MARGAY_TRACE_HYPERCALL,
					     .domain = 3, .a = 17, .b = 100 + n };
	head(0)->written = n + 1;
}

static bool fake_wait(struct mgctl *m, uint64_t ms)
{
	(void)m;
	passed += ms;
	for (unsigned int i = 0; events && i < burst; i++)
		record();
	return ++waits != last_wait;
}

static int run(const char *line)
{
	static char copy[512], *argv[32];
	struct mgctl m = { .call = fake_call, .alloc = fake_alloc, .free = fake_free,
			   .map = fake_map, .unmap = fake_unmap, .wait = fake_wait,
			   .terminal = on_terminal };
	struct request rq;
	int argc = 1, rc;

	memset(out, 0, sizeof(out));
	memset(err, 0, sizeof(err));
	m.out = fmemopen(out, sizeof(out), "w");
	m.err = fmemopen(err, sizeof(err), "w");
	argv[0] = (char *)"mgctl";
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	rc = parse_args(argc, argv, &rq, m.err);
	rc = rc ? rc : do_request(&m, &rq);
	fclose(m.out);
	fclose(m.err);
	assert_int_equal(allocated, 0);
	assert_int_equal(mapped, 0);
	return rc;
}

static int setup(void **state)
{
	(void)state;
	answer = 0;
	burst = waits = last_wait = 0;
	passed = events = 0;
	memset(ring, 0, sizeof(ring));
	for (unsigned int i = 0; i < 2; i++)
		*head(i) = (struct margay_trace_ring){ .version = MARGAY_TRACE_VERSION, .cpu = i,
						       .records = ROOM, .tsc_hz = 1000000000 };
	return 0;
}

static void test_stat(void **state)
{
	(void)state;
	assert_int_equal(run("stat"), 0);
	assert_fits(out);
	assert_says(
		out,
		"up 1.0 s, 2 CPUs; figures are since the start\n"
		"memory: 1048576 MiB, 0 MiB free, Margay's own 608 KiB\n"
		"IOMMU 0: faults reported 7, suppressed 9; functions cut off 11\n"
		"IOMMU 1: faults reported 0, suppressed 0; functions cut off 0\n"
		"CPU ");
	assert_says(out, "\n  0           70.00   5.00  25.00 12346G      0      0      0\n");
	assert_says(out, "\ndomain 3 linux: 512 MiB, refused 11\nmapped: 4K 77, 2M 0, 1G 0\n"
			 "devices: reach 512 MiB by 20 KiB of tables, interrupts 1234\n VCPU ");
	assert_says(out,
		    "\n    0   1 r   33.33  33.33   0.00  33.33   1000     50      0      0\n");
	assert_says(out,
		    "\ndomain 70 ?[2Jab\": 512 MiB, refused 11\nmapped: 4K 77, 2M 0, 1G 0\n VCPU ");
	assert_int_equal(run("stat -d self"), 0);
	assert_says(out, "domain 3 ");
	assert_null(strstr(out, "domain 70"));
	assert_int_equal(run("stat -d 4"), MGCTL_REFUSED);
	assert_says(err, "there is no such domain");
	answer = -EPERM;
	assert_int_equal(run("stat"), MGCTL_REFUSED);
	assert_string_equal(out, "");
}

static void test_info(void **state)
{
	(void)state;
	assert_int_equal(run("info"), 0);
	assert_string_equal(out, "line 0\nline 1\n");
	assert_int_equal(run("info --json"), 0);
	assert_says(out, "\"line 0\",");
	answer = -EPERM;
	assert_int_equal(run("info"), MGCTL_REFUSED);
	assert_says(err, "list mitigations");
}

static void test_log(void **state)
{
	(void)state;
	assert_int_equal(run("log"), 0);
	assert_string_equal(out, "first line\nsecond?line\n");
	assert_says(err, "10 bytes of the log are lost");
	assert_int_equal(run("log --json"), 0);
	assert_string_equal(out, "[\"first line\", \"second\\u001bline\"]\n");
	last_wait = 3;
	assert_int_equal(run("log --follow"), 0);
	assert_string_equal(out, "first line\nsecond?line\nthird\nfourth\n");
	assert_int_equal(waits, 3);
	assert_int_equal(run("log --follow --json"), MGCTL_USAGE);
	assert_int_equal(run("stat --follow"), MGCTL_USAGE);
	answer = -EPERM;
	assert_int_equal(run("log"), MGCTL_REFUSED);
	assert_says(err, "read its log");
}

/* Rates between consecutive seconds; the first table comes after the first second. */
static void test_watch(void **state)
{
	(void)state;
	assert_int_equal(run("stat --watch --count 2"), 0);
	assert_int_equal(waits, 2);
	assert_fits(out);
	assert_says(out, "up 2.0 s");
	assert_says(out, "up 3.0 s");
	assert_says(out, "per second\n");
	assert_says(out,
		    "\n    0   1 r   25.00   0.00   0.00  75.00  20000      0      0      0\n");
	assert_null(strchr(out, '\033'));
	on_terminal = true; /* each table replaces the previous one */
	assert_int_equal(run("stat --watch -n 2 -d 3"), 0);
	on_terminal = false;
	assert_memory_equal(out, "\033[H\033[J\nup 4.0 s", 15);
	assert_says(out + 15, "\n\033[H\033[J\nup 5.0 s");
	waits = 0;
	last_wait = 1; /* Ctrl-C in the first second */
	assert_int_equal(run("stat -w0.5"), 0);
	assert_string_equal(out, "");
	assert_wrong("stat --watch=0", "not a time in seconds");
	assert_wrong("stat --watch=1x", "not a time in seconds");
	assert_wrong("stat --watch=nan", "not a time in seconds");
	assert_wrong("stat --count 2", "--count goes with --watch");
	assert_wrong("stat --watch --count 0", "not a number from 1");
	assert_wrong("stat now", "usage: mgctl stat");
	assert_wrong("policy list --all", "go with stat");
	assert_wrong("stat --pages 1", "go with trace record");
}

static void test_stat_listing(void **state)
{
	(void)state;
	assert_int_equal(run("stat --all"), 0);
	assert_fits(out);
	assert_says(out, "machine: time up 1.000000000 s\n");
	assert_says(out, "\nmachine: memory margay 608 KiB\n");
	assert_says(out, "\nmachine: iommu suppressed 0 9\nmachine: iommu cut-off 0 11\n");
	assert_says(out, "\nlinux: memory iommu-tables 20 KiB\n");
	assert_says(out, "\nlinux: devices interrupts 1234\n");
	assert_says(out, "\nCPU 1: time guest 0.700000000 s\n");
	assert_says(out, "\nCPU 1: cpu switch 12345678901234\n");
	assert_says(out, "\nlinux: memory used 524288 KiB\n");
	assert_says(out, "\nlinux/0: state run running\n");
	assert_says(out, "\nlinux/0: hypercall sched_op block 40\n"
			 "linux/0: hypercall sched_op 31 2\n"
			 "linux/0: hypercall event_channel_op send 8\n");
	assert_int_equal(run("stat --json"), 0);
	assert_says(out,
		    "{\"machine\": {\"time\": {\"up\": 1000000000}, \"cpu\": {\"online\": 2}, ");
	assert_says(out, "\"cpus\": [{\"cpu\": 0, \"time\": {\"guest\": 700000000, ");
	assert_says(out, "]}, \"domains\": [{\"domain\": 3, \"name\": \"linux\", ");
	assert_says(out, "\"vcpus\": [{\"vcpu\": 0, \"state\": {\"run\": 3, ");
	assert_says(
		out,
		"\"hypercall\": {\"sched_op\": {\"1\": 40, \"31\": 2}, "
		"\"event_channel_op\": {\"4\": 8}}}]}, {\"domain\": 70, \"name\": \"\\u001b[2Jab\\\"\"");
	assert_string_equal(out + strlen(out) - 5, "]}]}\n");
}

static char path[] = "/tmp/mgctlXXXXXX";

/* Checks the file's records from the n-th call on; sums up the lost ones. */
static unsigned int check_file(uint64_t *lost, unsigned int *names)
{
	struct trace_header h;
	struct margay_trace t;
	uint64_t next = 0;
	unsigned int n = 0;
	FILE *f = fopen(path, "rb");

	*lost = *names = 0;
	assert_int_equal(fread(&h, sizeof(h), 1, f), 1);
	assert_memory_equal(h.magic, TRACE_MAGIC, 8);
	assert_int_equal(h.tsc_hz, 1000000000);
	assert_int_equal(h.cpus, 2);
	while (fread(&t, sizeof(t), 1, f) == 1) {
		if (t.event == TRACE_NAME) {
			++*names;
		} else if (t.event == TRACE_LOST) {
			*lost += t.a;
			next += t.a;
		} else {
			assert_int_equal(t.b, 100 + next);
			assert_int_equal(t.tsc, 1000 + next++);
			n++;
		}
	}
	fclose(f);
	return n;
}

static void test_record(void **state)
{
	char line[64];
	unsigned int names;
	uint64_t lost;

	(void)state;
	snprintf(line, sizeof(line), "trace record %s -s 1 -e hypercall,exit", path);
	burst = 7;
	assert_int_equal(run(line), 0);
	assert_int_equal(waits, 50);
	assert_string_equal(out, "350 records, 0 lost\n");
	assert_int_equal(check_file(&lost, &names), 350);
	assert_int_equal(lost, 0);
	assert_int_equal(names, 4);
	assert_int_equal(events, 0);

	/* Older records in the ring do not belong to this recording. */
	burst = 0;
	assert_int_equal(run(line), 0);
	assert_string_equal(out, "0 records, 0 lost\n");
	strcat(line, " --old");
	assert_int_equal(run(line), 0);
	assert_string_equal(out, "127 records, 223 lost\n");
	assert_int_equal(check_file(&lost, &names), 127);
}

/* One wait may bring as many records as fit. Of more, those that Margay may overwrite are lost. */
static void test_overrun(void **state)
{
	static const struct {
		unsigned int burst, kept;
	} cases[] = { { ROOM - 1, ROOM - 1 },
		      { ROOM, ROOM - 1 },
		      { ROOM + 1, ROOM - 1 },
		      { 1000, ROOM - 1 } };
	char line[64];
	unsigned int names;
	uint64_t lost;

	snprintf(line, sizeof(line), "trace record %s", path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		burst = cases[i].burst;
		last_wait = 4; /* Ctrl-C: records of the last wait are still written */
		assert_int_equal(run(line), 0);
		assert_int_equal(check_file(&lost, &names), 4 * cases[i].kept);
		assert_int_equal(lost, 4 * (cases[i].burst - cases[i].kept));
	}
}

static void test_record_refused(void **state)
{
	char line[64];

	(void)state;
	snprintf(line, sizeof(line), "trace record %s -s 1 -p 2", path);
	assert_int_equal(run(line), MGCTL_REFUSED);
	assert_says(err, "rings of that size");
	head(1)->version = 2;
	line[strlen(line) - 1] = '1';
	assert_int_equal(run(line), MGCTL_REFUSED);
	assert_says(err, "cannot record");
	head(1)->version = MARGAY_TRACE_VERSION;
	head(1)->records = ROOM + 1; /* must not exceed what is mapped */
	assert_int_equal(run(line), MGCTL_REFUSED);
	answer = -ENOMEM;
	assert_int_equal(run(line), MGCTL_REFUSED);
	assert_says(err, "no memory");
	assert_wrong("trace record /none/x", "cannot write /none/x");
	answer = 0;
	head(1)->records = ROOM;
	assert_int_equal(run(line), 0);
	assert_string_equal(err, "");
	snprintf(line, sizeof(line), "trace record %s -s 1 -p 64", path);
	assert_int_equal(run(line), 0); /* Margay keeps its rings as they are */
	assert_says(err, "keep their size, --pages 1:");
	assert_wrong("trace record /dev/full -s 1", "cannot write /dev/full: No space");
	assert_wrong("trace", "trace COMMAND");
	assert_wrong("trace list", "'list' is not a command");
	assert_wrong("trace record", "usage: mgctl trace record FILE");
	assert_wrong("trace record x -p 3", "not a power of two");
	assert_wrong("trace record x -p 512", "not a number from 1 to 256");
	assert_wrong("trace record x -e ,", "not a list of events");
	assert_wrong("trace record x -e exi", "not a list of events");
	assert_wrong("trace show x -s 1", "goes with trace record and pci revoke");
	assert_wrong("stat --old", "go with trace record");
}

static void test_show_refused(void **state)
{
	static const char *const cases[][2] = { { "/none/x", "/none/x: No such file" },
						{ "/", "/: Is a directory" },
						{ "/dev/null", "is not a trace" } };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		char text[200] = "";
		FILE *f = fmemopen(text, sizeof(text), "w");

		assert_int_equal(show_trace(cases[i][0], f, f), MGCTL_USAGE);
		fclose(f);
		assert_says(text, cases[i][1]);
	}
}

/* What is there is shown, but the status says that it is not the whole recording. */
static void test_show_truncated(void **state)
{
	static const size_t cuts[] = { 1, 16, 4 * 32, 4 * 32 + 1 };
	char line[64], whole[512], text[8192];
	size_t size;
	FILE *f;

	(void)state;
	snprintf(line, sizeof(line), "trace record %s", path);
	burst = 7;
	last_wait = 1;
	assert_int_equal(run(line), 0);
	f = fopen(path, "rb");
	size = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	assert_true(size > 4 * 32 && size < sizeof(whole));
	for (unsigned int i = 0; i <= 4; i++) {
		FILE *to = fmemopen(text, sizeof(text), "w");

		assert_int_equal(truncate(path, (off_t)(size - (i ? cuts[i - 1] : 0))), 0);
		assert_int_equal(show_trace(path, to, to), i ? MGCTL_REFUSED : MGCTL_OK);
		fclose(to);
		assert_int_equal(strstr(text, "is truncated") != NULL, i != 0);
		f = fopen(path, "wb");
		assert_int_equal(fwrite(whole, 1, size, f), size);
		fclose(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stat, setup),
		cmocka_unit_test_setup(test_info, setup),
		cmocka_unit_test_setup(test_log, setup),
		cmocka_unit_test_setup(test_watch, setup),
		cmocka_unit_test_setup(test_stat_listing, setup),
		cmocka_unit_test_setup(test_record, setup),
		cmocka_unit_test_setup(test_overrun, setup),
		cmocka_unit_test_setup(test_record_refused, setup),
		cmocka_unit_test(test_show_refused),
		cmocka_unit_test_setup(test_show_truncated, setup),
	};
	int fd = mkstemp(path), rc;

	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
