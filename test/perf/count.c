/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QEMU plugin (TCG) that counts the instructions of a hypervisor that has no counters of its own.
 * It writes to the file given by `to=`:
 * `row INTERVALS INSTRUCTIONS INSIDE CALLS RANGE VMRUNS MEDIAN` for each row that a guest marked
 * (guests/lib/bench.h): the number of intervals between its marks, the instructions in them, the
 * instructions and calls of the function given by `inside=ENTRY:RETURN:RETURN...`: its address and
 * all its return addresses; the instructions at the addresses given by `range=FIRST:END`; the entries
 * of guests; and the median of the intervals' instructions, of the first MAX_INTERVALS;
 * `vmrun INSTRUCTIONS` at the first VMRUN, counted from the first execution of the address `from=`;
 * `passes COUNT` at the end: executions of the address `passes=`.
 * Under -icount all CPUs run in one thread, so no lock is needed.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CPUS	16
#define MAX_RETURNS	64
#define SLOTS		2
#define MAX_INTERVALS	1024
#define EXPORT		__attribute__((visibility("default")))

/* QEMU's plugin API, version 1. Debian does not package its header. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
typedef void (*exec_cb)(unsigned int cpu, void *data);
enum { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
					    void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *where,
						uint64_t addend);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *),
				    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

struct count {
	uint64_t all, inside, calls, range, vmruns;
};

/* A row in progress: the sum of its intervals except the first, which is kept separately. */
struct slot {
	bool open;
	unsigned int intervals;
	struct count begin, first, sum;
	uint64_t lengths[MAX_INTERVALS];
};

static FILE *out;
static uint64_t entry, returns[MAX_RETURNS], from, passed_address, passes, range_first, range_end;
static unsigned int n_returns;

static uint64_t executed, seen;		/* by all CPUs; seen: those included in `now` */
static uint64_t executed_in_range;
static struct count now;
static unsigned int current;		/* the running CPU */
static bool inside[MAX_CPUS];
static uint64_t started;
static bool has_started, has_entered;
static struct slot slots[SLOTS];

/* Accounts what the current CPU executed since the last call. */
static void account(void)
{
	uint64_t more = executed - seen;

	now.all += more;
	now.range = executed_in_range;
	if (inside[current])
		now.inside += more;
	seen = executed;
}

static void on_block(unsigned int cpu, void *data)
{
	(void)data;
	if (cpu == current)
		return;
	if (cpu >= MAX_CPUS) {
		fprintf(stderr, "count: more than %d CPUs\n", MAX_CPUS);
		exit(1);
	}
	account();
	current = cpu;
}

static void on_entry(unsigned int cpu, void *data)
{
	(void)data;
	account();
	inside[cpu] = true;
	now.calls++;
}

static void on_return(unsigned int cpu, void *data)
{
	(void)data;
	account();
	inside[cpu] = false;
}

static struct count difference(const struct count *a, const struct count *b)
{
	return (struct count){ a->all - b->all, a->inside - b->inside, a->calls - b->calls,
			       a->range - b->range, a->vmruns - b->vmruns };
}

/* Starts or ends an interval. */
static void on_mark(unsigned int cpu, void *data)
{
	struct slot *s = data;
	struct count c;

	(void)cpu;
	account();
	s->open = !s->open;
	if (s->open) {
		s->begin = now;
		return;
	}
	c = difference(&now, &s->begin);
	if (s->intervals < MAX_INTERVALS)
		s->lengths[s->intervals] = c.all;
	if (!s->intervals++) {
		s->first = c;
		return;
	}
	s->sum.all += c.all;
	s->sum.inside += c.inside;
	s->sum.calls += c.calls;
	s->sum.range += c.range;
	s->sum.vmruns += c.vmruns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *lengths, unsigned int n)
{
	qsort(lengths, n, sizeof(*lengths), compare);
	return lengths[n / 2];
}

/* Leaves out the first of several intervals, as the guests do. */
static void on_row(unsigned int cpu, void *data)
{
	struct slot *s = slots;
	unsigned int left_out;
	struct count *c;

	(void)cpu;
	(void)data;
	while (s < slots + SLOTS && !s->intervals)
		s++;
	if (s == slots + SLOTS) {
		fprintf(out, "row 0 0 0 0 0 0 0\n");
		return;
	}
	left_out = s->intervals > 1;
	c = left_out ? &s->sum : &s->first;
	fprintf(out,
		"row %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		s->intervals - left_out, c->all, c->inside, c->calls, c->range, c->vmruns,
		median(s->lengths + left_out,
		       (s->intervals < MAX_INTERVALS ? s->intervals : MAX_INTERVALS) - left_out));
	*s = (struct slot){};
}

static void on_start(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!has_started)
		started = executed;
	has_started = true;
}

static void on_vmrun(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	now.vmruns++;
	if (has_started && !has_entered)
		fprintf(out, "vmrun %" PRIu64 "\n", executed - started);
	has_entered |= has_started;
}

static bool is(const struct qemu_plugin_insn *insn, unsigned int first, unsigned int second,
	       unsigned int third)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);

	return qemu_plugin_insn_size(insn) == 3 && code[0] == first && code[1] == second &&
	       code[2] == third;
}

static void when_executed(struct qemu_plugin_insn *insn, exec_cb cb, void *data)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, QEMU_PLUGIN_CB_NO_REGS, data);
}

/* Registers the callbacks of this instruction. They run before the instruction is counted. */
static void watch(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);

	if (is(insn, 0x66, 0x87, 0xdb))		/* xchg %bx, %bx */
		when_executed(insn, on_mark, &slots[0]);
	else if (is(insn, 0x66, 0x87, 0xc9))	/* xchg %cx, %cx */
		when_executed(insn, on_mark, &slots[1]);
	else if (is(insn, 0x66, 0x87, 0xd2))	/* xchg %dx, %dx */
		when_executed(insn, on_row, NULL);
	else if (is(insn, 0x0f, 0x01, 0xd8))
		when_executed(insn, on_vmrun, NULL);
	if (from && address == from)
		when_executed(insn, on_start, NULL);
	if (entry && address == entry)
		when_executed(insn, on_entry, NULL);
	for (unsigned int i = 0; i < n_returns; i++)
		if (address == returns[i])
			when_executed(insn, on_return, NULL);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	uint64_t first = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	bool in_range = first >= range_first && first < range_end;

	(void)id;
	if (!passed_address)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, NULL);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (passed_address) {
			if (qemu_plugin_insn_vaddr(insn) == passed_address)
				qemu_plugin_register_vcpu_insn_exec_inline(
					insn, QEMU_PLUGIN_INLINE_ADD_U64, &passes, 1);
			continue;
		}
		watch(insn);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   &executed, 1);
		if (in_range)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
								   &executed_in_range, 1);
	}
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	if (passed_address)
		fprintf(out, "passes %" PRIu64 "\n", passes);
	fclose(out);
}

static bool take_inside(char *text)
{
	entry = strtoull(text, &text, 0);
	while (*text == ':' && n_returns < MAX_RETURNS)
		returns[n_returns++] = strtoull(text + 1, &text, 0);
	return !*text && n_returns;
}

static bool take_range(char *text)
{
	range_first = strtoull(text, &text, 0);
	if (*text != ':')
		return false;
	range_end = strtoull(text + 1, &text, 0);
	return !*text && range_first < range_end;
}

static bool take(char *text)
{
	char *value = strchr(text, '=');

	if (!value++)
		return false;
	if (!strncmp(text, "to=", 3)) {
		out = fopen(value, "w");
		if (!out)
			perror(value);
		return out;
	}
	if (!strncmp(text, "inside=", 7))
		return take_inside(value);
	if (!strncmp(text, "range=", 6))
		return take_range(value);
	if (!strncmp(text, "from=", 5))
		return (from = strtoull(value, NULL, 0));
	if (!strncmp(text, "passes=", 7))
		return (passed_address = strtoull(value, NULL, 0));
	return false;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!take(argv[i])) {
			fprintf(stderr, "count: cannot take '%s'\n", argv[i]);
			return -1;
		}
	}
	if (!out) {
		fprintf(stderr, "count: no to=\n");
		return -1;
	}
	/* A reader that sees the line that ends a run kills QEMU at once. */
	setvbuf(out, NULL, _IOLBF, 0);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
