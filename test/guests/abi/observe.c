/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a control domain reads Margay's counters and its trace, and both show exactly what this
 * guest did. Needs one CPU, so that there is one ring.
 */
#include "guest.h"

#include <public/margay.h>

#define N 50u
#define MAX 400u

static struct margay_op op;
static struct margay_counter got[MAX];
static const struct margay_trace_ring *ring;
static const struct margay_trace *records;
static uint64_t seen;		/* records before those to examine */
static uint64_t ring_frame;

static long control(uint32_t cmd)
{
	op.cmd = cmd;
	op.interface = MARGAY_INTERFACE;
	return hypercall1(MARGAY_HYPERCALL, &op);
}

static long stat(uint32_t domain, uint32_t index, void *to, uint32_t max)
{
	memset(&op, 0, sizeof(op));
	op.u.stat.domain = domain;
	op.u.stat.index = index;
	op.u.stat.counters = (uint64_t)to;
	op.u.stat.max = max;
	return control(MARGAY_STAT);
}

static bool same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !strncmp(a, b, strlen(a));
}

/* Returns a counter of the last reading; 0 if it is missing. */
static uint64_t value(const char *group, const char *name, uint32_t sub)
{
	for (uint32_t i = 0; i < op.u.stat.nr; i++)
		if (same(got[i].group, group) && same(got[i].name, name) && got[i].sub == sub)
			return got[i].value;
	return 0;
}

static uint64_t own(const char *group, const char *name, uint32_t sub)
{
	memset(got, 0, sizeof(got));
	CHECK_RET(stat(DOMID_SELF, 0, got, MAX), 0);
	CHECK(op.u.stat.nr < MAX, "%u counters", op.u.stat.nr);
	return value(group, name, sub);
}

/* Checks what the counter gains by N operations and by the reading itself. */
#define GAINS(by, group, name, sub, ...)                                                     \
	do {                                                                                 \
		uint64_t before_ = own(group, name, sub), after_;                            \
		for (unsigned int i = 0; i < N; i++) {                                       \
			__VA_ARGS__;                                                         \
		}                                                                            \
		after_ = own(group, name, sub);                                              \
		CHECK(after_ - before_ == (by), "%s %s %u: %lu, then %lu", group, name, sub, \
		      before_, after_);                                                      \
	} while (0)

static uint64_t all_times(void)
{
	static const char *const names[] = { "margay", "waiting", "idle", "offline" };
	uint64_t sum = own("time", "guest", ~0u);

	for (unsigned int i = 0; i < 4; i++)
		sum += value("time", names[i], ~0u);
	return sum;
}

static unsigned int upcalls;

static void on_upcall(evtchn_port_t port)
{
	(void)port;
	upcalls++;
}

/* The lines of key v: a mitigation each, and SPEC_CTRL's. */
static void speculation(void)
{
	op = (struct margay_op){ 0 };
	CHECK_RET(control(MARGAY_SPECULATION), 0);
	CHECK(!memcmp(op.u.line.text, "ibpb ", 5), "the first line: %s", op.u.line.text);
	while (memcmp(op.u.line.text, "SPEC_CTRL ", 10)) {
		op.u.line.index++;
		CHECK_RET(control(MARGAY_SPECULATION), 0);
	}
	op.u.line.index++;
	CHECK_RET(control(MARGAY_SPECULATION), -XEN_ENOENT);
	op.u.line.index = ~0u;
	CHECK_RET(control(MARGAY_SPECULATION), -XEN_ENOENT);
}

static uint64_t read_log(uint64_t at)
{
	op = (struct margay_op){ .u.log.at = at };
	CHECK_RET(control(MARGAY_LOG), 0);
	CHECK(op.u.log.size <= sizeof(op.u.log.text), "%u bytes of the log", op.u.log.size);
	return op.u.log.at - op.u.log.size;
}

/*
 * Margay's log: the first message is there, the end gives nothing, a byte that does not exist yet
 * gives the first one that does, and a message that this guest causes is added.
 */
static void margay_log(void)
{
	uint64_t at = read_log(0), end;

	CHECK(at == 0 && !memcmp(op.u.log.text, "Margay, ", 8), "the log's start at %lu", at);
	do
		at = op.u.log.at;
	while (read_log(at) == at && op.u.log.size);
	end = op.u.log.at;
	CHECK(end == at && end > sizeof(op.u.log.text), "the log's end: %lu of %lu", at, end);
	CHECK(read_log(end + 1) == 0 && op.u.log.size, "beyond the end: from %lu", op.u.log.at);
	CHECK(read_log(~0UL) == 0 && op.u.log.size, "the last number: from %lu", op.u.log.at);
}

static void counters(void)
{
	const uint32_t none = ~0u;
	evtchn_port_t a = (evtchn_port_t)evtchn_alloc_unbound(DOMID_SELF);
	evtchn_port_t b = (evtchn_port_t)evtchn_bind_interdomain(DOMID_SELF, a);
	uint64_t start, mine, msr;

	GAINS(N, "hypercall", "xen_version", XENVER_version, xen_version(XENVER_version, NULL));
	GAINS(N, "hypercall", "xen_version", 31, xen_version(31 + (int)i, NULL));
	GAINS(2 * N + 1, "exit", "hypercall", none, xen_version(XENVER_version, NULL);
	      sched_op(SCHEDOP_yield, NULL));
	GAINS(N, "exit", "cpuid", none, cpuid(0, 0));
	GAINS(N, "hypercall", "unserved", 3, hypercall1(63, 3));
	GAINS(2 * N, "refused", "unknown", none, hypercall1(63, 3); hypercall1(100, 0));
	GAINS(N, "refused", "msr", none, rdmsr_safe(0x12345, &msr));
	GAINS(N, "inject", "exception", none, rdmsr_safe(0x12345, &msr));
	GAINS(1, "hypercall", "margay_op", MARGAY_STAT, (void)0);
	GAINS(0, "hypercall", "margay_op", 31, (void)0);

	upcalls = 0;
	evtchn_clear(b);
	this_cpu()->info->evtchn_upcall_pending = 0;
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	evtchn_set_handler(b, on_upcall);
	evtchn_unmask(b);
	irq_enable();
	GAINS(N, "inject", "event", none, evtchn_send(a));
	irq_disable();
	CHECK(upcalls == N, "%u upcalls", upcalls);

	/* Each sleep has a wake-up, and its time is accounted separately. */
	start = own("time", "idle", none);
	mine = own("sched", "wakeup", none);
	for (unsigned int i = 0; i < 3; i++) {
		struct sched_poll poll = { .timeout = now_ns() + 10000000 };

		CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
	}
	CHECK(own("sched", "wakeup", none) - mine == 3, "wake-ups: %lu",
	      value("sched", "wakeup", none) - mine);
	CHECK(value("time", "idle", none) - start >= 15000000, "asleep for 30 ms: %lu ns",
	      value("time", "idle", none) - start);
	start = value("time", "guest", none);
	mine = value("time", "margay", none);
	delay_ns(20000000);
	CHECK(own("time", "guest", none) - start >= 10000000,
	      "worked for 20 ms: %lu ns in the guest", value("time", "guest", none) - start);
	CHECK(value("time", "margay", none) > mine, "no time in Margay");
	CHECK(value("state", "run", none) == 3, "this vCPU does not run");
	/* The counters of time add up to the elapsed time. */
	start = now_ns();
	mine = all_times();
	delay_ns(10000000);
	mine = all_times() - mine;
	CHECK(mine >= 10000000 && mine <= now_ns() - start, "%lu ns of %lu", mine,
	      now_ns() - start);
}

static void whole(void)
{
	const uint32_t none = ~0u;
	char name[sizeof(op.name)];
	uint32_t all;

	CHECK_RET(stat(DOMID_SELF, MARGAY_STAT_WHOLE, got, MAX), 0);
	CHECK(op.u.stat.domain == own_domid() && same(op.name, guest_name), "%u %s",
	      op.u.stat.domain, op.name);
	CHECK(value("state", "vcpus", none) == cpu_count(), "vCPUs");
	CHECK(value("memory", "limit", none) >= value("memory", "used", none), "memory");
	CHECK(value("p2m", "4K", none) * 4096 + value("p2m", "2M", none) * 2097152 >=
		      value("memory", "used", none),
	      "mappings");
	CHECK(op.u.stat.next == MARGAY_NONE, "another domain: %u", op.u.stat.next);
	memcpy(name, op.name, sizeof(name));

	CHECK_RET(stat(MARGAY_STAT_MACHINE, MARGAY_STAT_WHOLE, got, MAX), 0);
	CHECK(op.u.stat.next == own_domid(), "the first domain: %u", op.u.stat.next);
	CHECK(value("cpu", "online", none) == 1, "CPUs");
	CHECK(value("time", "up", none) + NS_PER_S >= now_ns(), "up");
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 0, got, MAX), 0);
	CHECK(value("time", "guest", none) && value("time", "margay", none) &&
		      value("time", "idle", none),
	      "the CPU's times");

	/* Buffers too small, of no entries, at bad addresses, and things that do not exist. */
	all = op.u.stat.nr;
	got[1].value = 4711;
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 0, got, 1), 0);
	CHECK(op.u.stat.nr == all && got[1].value == 4711, "more than there was room for");
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 0, NULL, 0), 0);
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 0, (void *)0xdead00000000, 9), -XEN_EFAULT);
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 1, got, MAX), -XEN_ENOENT);
	CHECK_RET(stat(DOMID_SELF, cpu_count(), got, MAX), -XEN_ENOENT);
	CHECK_RET(stat(4321, 0, got, MAX), -XEN_ESRCH);
}

static long trace(uint32_t events, uint32_t pages)
{
	memset(&op, 0, sizeof(op));
	op.u.trace.events = events;
	op.u.trace.pages = pages;
	return control(MARGAY_TRACE);
}

static long ring_of(uint32_t cpu)
{
	memset(&op, 0, sizeof(op));
	op.u.ring.cpu = cpu;
	return control(MARGAY_TRACE_RING);
}

static const struct margay_trace *record(uint64_t n)
{
	return &records[n % ring->records];
}

/* Counts the records of one kind since `seen`; *last is the last one. */
static unsigned int count(unsigned int event, const struct margay_trace **last)
{
	unsigned int n = 0;

	CHECK(ring->written - seen < ring->records, "overrun");
	for (uint64_t i = seen; i < ring->written; i++)
		if (record(i)->event == event) {
			*last = record(i);
			n++;
		}
	return n;
}

static void map_ring(void)
{
	uintptr_t at = hole_alloc(3);
	uint64_t frame;

	CHECK_RET(ring_of(0), -XEN_ENOENT);
	CHECK_RET(trace(~0u, 0), -XEN_EINVAL);
	CHECK_RET(trace(~0u, 3), -XEN_EINVAL);
	CHECK_RET(trace(~0u, 512), -XEN_EINVAL);
	CHECK_RET(trace(0, 2), 0);
	CHECK_RET(trace(0, 1), 0);	/* the size was fixed at creation */
	CHECK_RET(ring_of(1), -XEN_ENOENT);
	CHECK_RET(ring_of(0), 0);
	CHECK(op.u.ring.pages == 3, "%u pages", op.u.ring.pages);
	frame = op.u.ring.frame;
	CHECK_RET(map_foreign(DOMID_XEN, frame - 1, at), -XEN_EINVAL);
	CHECK_RET(map_foreign(DOMID_XEN, frame + 3, at), -XEN_EINVAL);
	ring_frame = frame;
	for (unsigned int i = 0; i < 3; i++)
		CHECK_RET(map_foreign(DOMID_XEN, frame + i, at + i * PAGE_SIZE), 0);
	ring = (void *)at;
	records = (void *)(at + PAGE_SIZE);
	CHECK(ring->version == MARGAY_TRACE_VERSION && ring->cpu == 0 && ring->records == 256 &&
		      ring->tsc_hz && !ring->written,
	      "the ring's first page");

	/* The guest may only read it, and so may Margay on behalf of the guest. */
	WRITE_ONCE(*(uint64_t *)(at + 8), 5);
	WRITE_ONCE(*(uint32_t *)(at + 16), 1u << 30);
	CHECK_RET(stat(MARGAY_STAT_MACHINE, 0, (void *)(at + PAGE_SIZE), 1), -XEN_EFAULT);
	CHECK(!ring->written && ring->records == 256, "the ring could be written");
}

static void hypercalls_traced(void)
{
	uint64_t last = 0;

	CHECK_RET(trace(1u << MARGAY_TRACE_HYPERCALL, 2), 0);
	CHECK(!op.u.trace.events, "it was on");
	seen = ring->written;
	for (unsigned int i = 0; i < N; i++)
		xen_version(1000 + (int)i, NULL);
	CHECK(ring->written - seen == N, "%lu records of %u calls", ring->written - seen, N);
	for (unsigned int i = 0; i < N; i++) {
		const struct margay_trace *r = record(seen + i);

		CHECK(r->event == MARGAY_TRACE_HYPERCALL && r->a == __HYPERVISOR_xen_version &&
			      r->b == 1000 + i && r->tsc > last && r->cpu == 0 &&
			      r->domain == own_domid() && r->vcpu == 0,
		      "record %u: event %u, %lu %lu, tsc %lu after %lu", i, r->event, r->a, r->b,
		      r->tsc, last);
		last = r->tsc;
	}

	/* More records than the ring holds: it has the last ones, and the count continues. */
	seen = ring->written;
	for (unsigned int i = 0; i < 1000; i++)
		xen_version(2000 + (int)i, NULL);
	CHECK(ring->written - seen == 1000, "%lu records of 1000 calls", ring->written - seen);
	for (unsigned int i = 1000 - ring->records; i < 1000; i++)
		CHECK(record(seen + i)->b == 2000 + i, "record %u is of call %lu", i,
		      record(seen + i)->b);

	CHECK_RET(trace(0, 2), 0);
	CHECK(op.u.trace.events == 1u << MARGAY_TRACE_HYPERCALL, "it was not on");
	seen = ring->written;
	for (unsigned int i = 0; i < N; i++)
		xen_version(XENVER_version, NULL);
	CHECK(ring->written == seen, "records while it is off");
}

/* Checks that every kind occurs as often as it should, and that exits and entries alternate. */
static void all_traced(void)
{
	struct sched_poll poll = { .timeout = now_ns() + 20000000 };
	uint64_t msr;
	const struct margay_trace *r;
	unsigned int turn = MARGAY_TRACE_ENTRY, n;

	irq_enable();
	seen = ring->written;
	lapic_enable();
	CHECK_RET(trace(~0u, 2), 0);
	cpuid(0, 0);
	n = count(MARGAY_TRACE_EXIT, &r);
	CHECK(n && count(MARGAY_TRACE_ENTRY, &r) == n + 1, "%u exits", n);
	rdmsr_safe(0x12345, &msr);
	CHECK(count(MARGAY_TRACE_INJECT, &r) && (r->a & 0xfff) == (13 | 3 << 8), "a #GP: %lx",
	      r->a);
	(void)*(volatile uint32_t *)0xfee00020ul;
	n = count(MARGAY_TRACE_FAULT, &r);
	CHECK(n && r->a == 0xfee00020 && !r->b, "%u faults, the last at %lx", n, r->a);
	CHECK(!count(MARGAY_TRACE_WAKE, &r), "woken");
	memset(&op, 0, sizeof(op));
	op.u.select.point = MARGAY_POINT_IDLE;
	op.u.select.cpus[0] = 1;
	CHECK_RET(control(MARGAY_POLICY_SELECT), 0);	/* the built-in one, selected already */
	CHECK(count(MARGAY_TRACE_POLICY, &r) == 1 && r->a == MARGAY_POINT_IDLE && !r->b &&
		      r->domain == MARGAY_NONE,
	      "a policy selected");
	CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
	CHECK_RET(trace(0, 2), 0);
	irq_disable();
	CHECK(count(MARGAY_TRACE_WAKE, &r) == 1 && r->domain == own_domid(), "not woken");
	CHECK(count(MARGAY_TRACE_SCHED, &r) >= 2 && r->a == 3, "off and on the CPU");
	for (uint64_t i = seen; i < ring->written; i++) {
		r = record(i);
		if (r->event != MARGAY_TRACE_EXIT && r->event != MARGAY_TRACE_ENTRY)
			continue;
		CHECK(r->event == turn, "record %lu: two of kind %u without one between", i,
		      r->event);
		turn = MARGAY_TRACE_EXIT + MARGAY_TRACE_ENTRY - turn;
	}
}

/* Checks that Margay continues to write whatever a reader does to its mapping. */
static void taken_away(void)
{
	struct xen_remove_from_physmap rm = { .domid = DOMID_SELF };
	struct xen_memory_reservation dec = { .domid = DOMID_SELF, .nr_extents = 1 };
	struct vcpu_register_runstate_memory_area area = { .addr.v = (void *)(uintptr_t)records };
	uintptr_t at = (uintptr_t)ring;
	xen_pfn_t gfn = at / PAGE_SIZE + 2;
	uint64_t pages = (uint64_t)memory_op(XENMEM_current_reservation, &rm.domid);

	CHECK(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area) < 0, "a runstate area there");
	CHECK_RET(trace(1u << MARGAY_TRACE_HYPERCALL, 2), 0);
	seen = ring->written;
	rm.gpfn = at / PAGE_SIZE;
	CHECK_RET(memory_op(XENMEM_remove_from_physmap, &rm), 0);
	CHECK(*(volatile uint64_t *)(at + 8) == ~0ul, "the ring is still there");
	rm.gpfn++;
	CHECK_RET(memory_op(XENMEM_remove_from_physmap, &rm), 0);
	set_xen_guest_handle(dec.extent_start, &gfn);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &dec), 1);
	for (unsigned int i = 0; i < N; i++)
		xen_version(3000 + (int)i, NULL);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_RET(map_foreign(DOMID_XEN, ring_frame + i, at + i * PAGE_SIZE), 0);
	CHECK(ring->written - seen == N + 6 && record(seen + 3)->b == 3000,
	      "%lu records of %u calls", ring->written - seen, N + 6);
	CHECK_RET(trace(0, 2), 0);
	CHECK_RET(memory_op(XENMEM_current_reservation, &rm.domid), (long)pages);
}

/* Tries a space that no caller may name, and an operation with an address like a small number. */
static void odd_numbers(void)
{
	struct xen_add_to_physmap map = { .domid = DOMID_SELF, .space = ~0u, .idx = ring_frame };
	struct margay_op *low = (struct margay_op *)(uintptr_t)8, saved;
	uint64_t before, after;

	map.gpfn = (uintptr_t)ring / PAGE_SIZE;
	CHECK_RET(memory_op(XENMEM_add_to_physmap, &map), -XEN_EINVAL);

	before = own("hypercall", "margay_op", 31);
	__asm__("" : "+r"(low));
	memcpy(&saved, low, sizeof(saved));
	memset(&op, 0, sizeof(op));
	op.cmd = 30;
	op.interface = MARGAY_INTERFACE;
	memcpy(low, &op, sizeof(op));
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, low), -XEN_ENOSYS);
	memcpy(low, &saved, sizeof(saved));
	after = own("hypercall", "margay_op", 31);
	CHECK(before == after, "larger operations: %lu, then %lu", before, after);
	CHECK(value("hypercall", "margay_op", 30) == 1, "operation 30 was counted %lu times",
	      value("hypercall", "margay_op", 30));
}

/*
 * faults=1: the guest has an edu, alone behind the only IOMMU. Margay looks for faults once a second,
 * and the unit records one at a time.
 */
static void device(void)
{
	const uint32_t none = ~0u, faults = 3, interrupts = 5;
	struct edu edu = { 0 };
	uint64_t before;

	CHECK(edu_init(&edu), "there is no edu");
	CHECK_RET(stat(MARGAY_STAT_MACHINE, MARGAY_STAT_WHOLE, got, MAX), 0);
	before = value("iommu", "reported", 0);
	for (unsigned int i = 0; i < faults; i++) {
		CHECK(edu_write(&edu, ram_bytes() + (512ul << 20), 0, 16), "edu is not ready");
		block_until(now_ns() + 1200 * NS_PER_MS);
	}
	CHECK_RET(stat(MARGAY_STAT_MACHINE, MARGAY_STAT_WHOLE, got, MAX), 0);
	CHECK(value("iommu", "reported", 0) == before + faults, "%lu faults, then %lu", before,
	      value("iommu", "reported", 0));
	CHECK(!value("iommu", "suppressed", 0) && !value("iommu", "cut-off", 0), "others");

	CHECK_RET(stat(DOMID_SELF, MARGAY_STAT_WHOLE, got, MAX), 0);
	CHECK(value("memory", "iommu-mapped", none) == value("memory", "used", none),
	      "%lu of %lu bytes are mapped", value("memory", "iommu-mapped", none),
	      value("memory", "used", none));
	CHECK(value("memory", "iommu-tables", none) >= 4 * PAGE_SIZE &&
		      value("memory", "iommu-tables", none) < 32 * PAGE_SIZE,
	      "%lu bytes of tables", value("memory", "iommu-tables", none));
	before = value("devices", "interrupts", none);
	edu_set_message(&edu, 0xfee00000 | lapic_id() << 12, 0x60);
	for (unsigned int i = 0; i < interrupts; i++)
		edu_raise(&edu);
	block_until(now_ns() + NS_PER_MS);
	CHECK_RET(stat(DOMID_SELF, MARGAY_STAT_WHOLE, got, MAX), 0);
	CHECK(value("devices", "interrupts", none) == before + interrupts,
	      "%lu interrupts, then %lu", before, value("devices", "interrupts", none));
}

int main(void)
{
	if (cmdline_number("faults", 0)) {
		device();
		pass();
	}
	counters();
	whole();
	map_ring();
	hypercalls_traced();
	all_traced();
	taken_away();
	odd_numbers();
	counters();
	speculation();
	margay_log();
	pass();
}
