/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: policies are loaded, selected and ejected under a guest's own load. The vCPUs that do
 * not control them check all the time that clocks advance, timers fire and each event arrives
 * exactly once. swaps=N on the command line is the number of swaps. With churn=N the guest only
 * fills the memory with modules, N times.
 */
#include "guest.h"

#include <public/margay.h>

#define MAX_LATE (3 * NS_PER_S)
#define MAX_MODULES 32
#define EVERYWHERE { ~0ul, ~0ul, ~0ul, ~0ul }

extern const struct {
	const char *name;
	const uint8_t *file;
	uint64_t size, hostile;
} modules[];

static bool same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !strncmp(a, b, strlen(a));
}

/* Blocks without a port to wait for. */
static void sleep_ns(uint64_t ns)
{
	struct sched_poll poll = { .timeout = now_ns() + ns };
	uint64_t late;

	CHECK(!hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), "SCHEDOP_poll");
	late = now_ns() - poll.timeout;
	CHECK((int64_t)late < (int64_t)MAX_LATE, "vCPU %u: a timer came %lu ms late",
	      this_cpu()->id, late / 1000000);
}

static struct margay_op op;
static char reason[120];
static volatile bool stop, busy, resting;
static uint64_t rounds[MAX_CPUS], sent[MAX_CPUS], got[MAX_CPUS];
static evtchn_port_t ports[MAX_CPUS];

static long control(uint32_t cmd, const char *name)
{
	char copy[sizeof(op.name)] = "";

	memcpy(copy, name, strlen(name));	/* may be op.name */
	op.cmd = cmd;
	op.interface = MARGAY_INTERFACE;
	memcpy(op.name, copy, sizeof(op.name));
	return hypercall1(MARGAY_HYPERCALL, &op);
}

static long load_bytes(const void *file, uint64_t size)
{
	memset(&op, 0, sizeof(op));
	op.u.load.file = (uint64_t)file;
	op.u.load.size = size;
	op.u.load.reason = (uint64_t)reason;
	reason[0] = 0;
	return control(MARGAY_POLICY_LOAD, "");
}

static int find(const char *name)
{
	for (int i = 0; modules[i].name; i++)
		if (same(modules[i].name, name))
			return i;
	fail("the scenario has no module %s", name);
}

static void load(const char *name)
{
	int i = find(name);
	long rc = load_bytes(modules[i].file, modules[i].size);

	CHECK(!rc, "load %s: %ld (%s)", name, rc, reason);
}

static long select(const char *name, uint32_t point, uint64_t cpus)
{
	memset(&op, 0, sizeof(op));
	op.u.select.point = point;
	op.u.select.cpus[0] = cpus;
	return control(MARGAY_POLICY_SELECT, name);
}

static void unload(const char *name)
{
	long rc = control(MARGAY_POLICY_UNLOAD, name);

	CHECK(!rc, "unload %s: %ld", name, rc);
}

/* Lists a module. Returns false if it does not exist. */
static bool listed(const char *name)
{
	for (uint32_t i = 0;; i++) {
		memset(&op, 0, sizeof(op));
		op.u.list.index = i;
		if (control(MARGAY_POLICY_LIST, ""))
			return false;
		if (same(op.name, name))
			return true;
	}
}

/* Blocks while it waits for the ejection, so that CPUs are idle at times. */
static bool ejected(const char *name)
{
	for (uint64_t end = now_ns() + 60 * NS_PER_S; now_ns() < end;) {
		if (listed(name) && op.u.list.ejected)
			return true;
		sleep_ns(5000000);
	}
	return false;
}

static void got_event(evtchn_port_t port)
{
	for (unsigned int i = 0; i < cpu_count(); i++)
		if (ports[i] == port)
			__atomic_add_fetch(&got[i], 1, __ATOMIC_SEQ_CST);
}

/* Sleeps, computes, and sends events to itself, one at a time. */
static void worker(void)
{
	unsigned int id = this_cpu()->id;
	uint64_t last = now_ns(), now;

	irq_enable();
	while (!stop) {
		if (resting) {
			sleep_ns(20000000);
			last = now_ns();
			continue;
		}
		for (int i = 0; i < 200; i++)
			cpu_pause();
		now = now_ns();
		CHECK(now >= last, "vCPU %u: the clock went back by %lu ns", id, last - now);
		CHECK(now - last < MAX_LATE, "vCPU %u did not run for %lu ms", id,
		      (now - last) / 1000000);
		last = now;
		sent[id]++;
		CHECK(!evtchn_send(ports[id]), "send");
		CHECK(WAIT_FOR(__atomic_load_n(&got[id], __ATOMIC_SEQ_CST) == sent[id], MAX_LATE),
		      "vCPU %u: %lu events of %lu came", id, got[id], sent[id]);
		if (rounds[id]++ % 4 == 0 && !(busy && id >= 2))
			sleep_ns(5000000);
		last = now_ns();
	}
}

static void start_workers(void)
{
	for (unsigned int i = 1; i < cpu_count(); i++) {
		long port = evtchn_bind_ipi(i);

		CHECK(port > 0, "bind_ipi: %ld", port);
		ports[i] = (evtchn_port_t)port;
		evtchn_set_handler(ports[i], got_event);
		evtchn_clear_mask(ports[i]);
	}
	cpu_start_all(worker);
}

static uint64_t total(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 1; i < cpu_count(); i++)
		sum += rounds[i];
	return sum;
}

static void let_work(const char *what)
{
	uint64_t before[MAX_CPUS];

	memcpy(before, rounds, sizeof(before));
	for (unsigned int i = 1; i < cpu_count(); i++)
		CHECK(WAIT_FOR(rounds[i] > before[i] + 2, 10 * NS_PER_S),
		      "%s: vCPU %u stands still", what, i);
}

static const char *const sched_modules[] = { "rr", "credit", "gang", "edf" };

static void ordinary(void)
{
	CHECK(!listed("rr"), "rr is there before it was loaded");
	CHECK(control(MARGAY_POLICY_UNLOAD, "rr") == -XEN_ENOENT, "unload of what is not there");
	CHECK(select("rr", MARGAY_POINT_SCHED, 1) == -XEN_ENOENT, "select of what is not there");
	load("rr");
	CHECK(listed("rr"), "rr is not listed");
	CHECK(op.u.list.points == 1u << MARGAY_POINT_SCHED, "rr decides %x", op.u.list.points);
	CHECK(load_bytes(modules[find("rr")].file, modules[find("rr")].size) == -XEN_EEXIST,
	      "a second rr was loaded");
	CHECK(select("rr", MARGAY_POINT_IDLE, 1) == -XEN_EOPNOTSUPP, "rr decides what is idle");
	CHECK(select("rr", 99, 1) == -XEN_EINVAL, "point 99");
	CHECK(select("rr", MARGAY_POINT_SCHED, 0) == -XEN_EINVAL, "no CPU");
	CHECK(!select("rr", MARGAY_POINT_SCHED, 1), "select on CPU 0");
	CHECK(control(MARGAY_POLICY_UNLOAD, "rr") == -XEN_EBUSY, "unload while selected");
	op.u.select.cpu = 0;
	op.u.select.point = MARGAY_POINT_SCHED;
	CHECK(!control(MARGAY_POLICY_SELECTED, "") && same(op.name, "rr"), "CPU 0 has '%s'",
	      op.name);
	op.u.select.cpu = 1;
	CHECK(!control(MARGAY_POLICY_SELECTED, "") && !op.name[0], "CPU 1 has '%s'", op.name);
	let_work("rr on one CPU");
	CHECK(!select("", MARGAY_POINT_SCHED, 1), "back to built-in");
	unload("rr");
	CHECK(!listed("rr"), "rr is still there");
}

static void swaps(uint64_t n)
{
	uint64_t seed = 12345;

	for (unsigned int i = 0; i < 4; i++)
		load(sched_modules[i]);
	for (uint64_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005ul + 1442695040888963407ul;

		unsigned int which = seed >> 33 & 7, mask = (seed >> 40 & 3) + 1;
		long rc = select(which < 4 ? sched_modules[which] : "", MARGAY_POINT_SCHED,
				 mask > 3 ? 3 : mask);

		CHECK(!rc, "swap %lu to %s: %ld", i, which < 4 ? sched_modules[which] : "built-in",
		      rc);
		if (seed >> 50 & 1)
			sleep_ns(seed >> 44 & 0x7ffff);
	}
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(listed(sched_modules[i]) && !op.u.list.ejected, "%s was ejected: %s",
		      sched_modules[i], op.u.list.why);
		printf("%s: selected %lu times\n", op.name, op.u.list.selected);
	}
	CHECK(!select("", MARGAY_POINT_SCHED, 3), "back to built-in");
	let_work("after the swaps");
	for (unsigned int i = 0; i < 4; i++)
		unload(sched_modules[i]);
}

/* Loads the modules of test/modules. Each must be ejected, and the load must continue. */
static void hostile(unsigned int times)
{
	for (int i = 0; modules[i].name; i++) {
		const char *name = modules[i].name;
		long rc;

		if (!modules[i].hostile)
			continue;
		for (unsigned int n = 0; n < times; n++) {
			rc = load_bytes(modules[i].file, modules[i].size);
			CHECK(!rc, "load %s: %ld (%s)", name, rc, reason);
			CHECK(listed(name), "%s is not listed", name);
			if (op.u.list.points == 1u << MARGAY_POINT_PLACE) {
				unload(name);	/* no domain is created here */
				break;
			}
			/*
			 * Starvation needs vCPUs that never sleep; an idle policy runs only if
			 * vCPUs sleep.
			 */
			busy = op.u.list.points & 1u << MARGAY_POINT_SCHED;
			resting = op.u.list.points == 1u << MARGAY_POINT_IDLE;
			for (uint32_t point = 0, points = op.u.list.points; point < 3; point++)
				if (points >> point & 1)
					rc = select(name, point, 3);
			if (!strncmp(name, "start_", 6)) {
				CHECK(rc < 0, "%s: started", name);
			} else {
				CHECK(!rc, "select %s: %ld", name, rc);
				CHECK(ejected(name), "%s was not ejected", name);
				if (!n)
					printf("%s: %s\n", name, op.u.list.why);
			}
			busy = resting = false;
			let_work(name);
			unload(name);
		}
	}
}

/* Loads truncated and corrupt files: each is refused with a reason or loaded, nothing worse. */
static void corrupt(unsigned int n)
{
	static uint8_t file[65536];
	unsigned int refused = 0;
	uint64_t seed = 99;

	for (unsigned int k = 0; k < n; k++) {
		int i = find(sched_modules[k % 4]);
		uint64_t size = modules[i].size;
		long rc;

		CHECK(size <= sizeof(file), "%s is too large for the scenario", modules[i].name);
		memcpy(file, modules[i].file, size);
		for (unsigned int j = 0; j <= k % 7; j++) {
			seed = seed * 6364136223846793005ul + 1442695040888963407ul;
			file[(seed >> 33) % size] ^= 1u << (seed >> 60 & 7);
		}
		if (k % 5 == 0)
			size = (seed >> 20) % size;
		rc = load_bytes(file, size);
		if (rc) {
			refused++;
			CHECK(reason[0] || rc == -XEN_E2BIG, "refused with %ld and no reason", rc);
		} else {
			memset(&op, 0, sizeof(op));
			CHECK(!control(MARGAY_POLICY_LIST, ""), "list");
			unload(op.name);
		}
	}
	printf("%u of %u corrupt files were refused\n", refused, n);
	CHECK(refused > n / 4, "only %u of %u corrupt files were refused", refused, n);
}

/* Fills all memory that is or becomes free with modules, holds it for seconds, and unloads them. */
static void churn(uint64_t cycles)
{
	bool loaded[MAX_MODULES];
	uint64_t refused = 0, done = 0;

	for (uint64_t n = 0; n < cycles; n++) {
		memset(loaded, 0, sizeof(loaded));
		for (uint64_t end = now_ns() + 3 * NS_PER_S; now_ns() < end; sleep_ns(5000000))
			for (int i = 0; i < MAX_MODULES && modules[i].name; i++) {
				long rc;

				if (loaded[i])
					continue;
				rc = load_bytes(modules[i].file, modules[i].size);
				CHECK(!rc || rc == -XEN_ENOMEM, "load: %ld (%s)", rc, reason);
				loaded[i] = !rc;
				done += !rc;
				refused += rc != 0;
			}
		for (int i = 0; i < MAX_MODULES && modules[i].name; i++)
			if (loaded[i])
				unload(modules[i].name);
		sleep_ns(NS_PER_S);
	}
	printf("%lu modules loaded and unloaded, %lu refused\n", done, refused);
}

int main(void)
{
	uint64_t begin;

	if (cmdline_number("churn", 0)) {
		churn(cmdline_number("churn", 0));
		pass();
	}
	CHECK(cpu_count() > 1, "needs more than one vCPU");
	CHECK(!upcall_by_callback(UPCALL_VECTOR), "callback vector");
	irq_enable();
	start_workers();
	begin = now_ns();
	ordinary();
	swaps(cmdline_number("swaps", 300));
	hostile(cmdline_number("times", 1));
	corrupt(200);
	let_work("at the end");
	stop = true;
	CHECK(WAIT_FOR(cpus_done() == cpu_count() - 1, 10 * NS_PER_S), "%u vCPUs finished",
	      cpus_done());
	for (unsigned int i = 1; i < cpu_count(); i++)
		CHECK(sent[i] == got[i], "vCPU %u: %lu of %lu events", i, got[i], sent[i]);
	printf("%lu rounds in %lu ms\n", total(), (now_ns() - begin) / 1000000);
	pass();
}
