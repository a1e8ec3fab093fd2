/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a control domain (log=1) logs the dirty pages of its peer, another guest with this program,
 * whose vCPUs write. First exactly those pages come that were written; then the control domain keeps a
 * copy of all memory up to date, as a migration does, while the peer writes without a pause, Margay
 * writes for it, and grants and foreign mappings are written. In the end memory and copy are equal.
 * faults=1: the CPUs have no dirty bits, so that first writes exit.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <public/margay.h>
#include <xen/domctl.h>

#define POOL		600u	/* pages of the peer that it writes to */
#define CPUS		3u
#define ROUNDS		6u
#define LIVE_ROUNDS	4u
#define WRITE		100u	/* rounds: the peer writes, ... */
#define STOP		101u	/* ... and ends */
#define FRAMES		2560u	/* of the peer: 10 MiB */
#define REF		FIRST_GRANT

/* At the same addresses in both guests. */
static struct {
	volatile unsigned int round, done, started, finished;
} shared PAGE_ALIGNED;
static uint64_t pool[POOL][PAGE_SIZE / 8] PAGE_ALIGNED;
static struct vcpu_runstate_info runstate[CPUS] PAGE_ALIGNED;
static uint8_t times[PAGE_SIZE] PAGE_ALIGNED, lent[3][PAGE_SIZE] PAGE_ALIGNED;

static domid_t peer;

/* Which vCPU writes to a page of the pool in a round; others than 0 to CPUS - 1: none. */
static unsigned int writer_of(unsigned int page, unsigned int round)
{
	return (page * 2654435761u ^ round * 40503u) >> 13 & 7;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

/* The peer's part. */

static void register_areas(unsigned int id)
{
	struct vcpu_register_runstate_memory_area rs = { .addr.v = &runstate[id] };
	struct vcpu_register_time_memory_area t = { .addr.p = (uintptr_t)times + id * 64 };

	CHECK_RET(vcpu_op(VCPUOP_register_runstate_memory_area, id, &rs), 0);
	CHECK_RET(vcpu_op(VCPUOP_register_vcpu_time_memory_area, id, &t), 0);
}

/* Writes, and lets Margay write results and sleep. */
static void write_on(unsigned int id)
{
	uint64_t seed = id + 1;

	while (READ_ONCE(shared.round) == WRITE) {
		uint64_t r = next_random(&seed);
		uint64_t *word = &pool[r % POOL][(r >> 10) % 480];
		struct sched_poll nap = { .timeout = now_ns() + 50000 };

		if (r >> 20 & 7)
			(*word)++;
		else if (r >> 23 & 7)
			CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, id, word), 0);
		else
			sched_op(SCHEDOP_poll, &nap);
	}
}

static void write_pages(void)
{
	unsigned int id = this_cpu()->id, seen = 0;

	register_areas(id);
	__atomic_add_fetch(&shared.started, 1, __ATOMIC_SEQ_CST);
	while (seen != STOP) {
		unsigned int round = READ_ONCE(shared.round);

		cpu_pause();
		if (round == seen)
			continue;
		seen = round;
		if (round == WRITE)
			write_on(id);
		for (unsigned int i = 0; round < WRITE && i < POOL; i++)
			if (writer_of(i, round) == id)
				pool[i][round] += id + 1;
		__atomic_add_fetch(&shared.done, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_add_fetch(&shared.finished, 1, __ATOMIC_SEQ_CST);
}

static void be_logged(void)
{
	grants_init();
	grant(REF, peer, lent[0], 0);
	grant(REF + 1, peer, lent[1], 0);
	for (unsigned int i = 1; i < CPUS; i++)
		cpu_start(i, write_pages);
	write_pages();
	while (READ_ONCE(shared.finished) < CPUS)
		cpu_pause();
	pass();
}

/* The control domain's part. */

static uint8_t (*copy)[PAGE_SIZE];
static uint64_t map[FRAMES / 64];
static uintptr_t window, view;	/* holes: for one page after the other; for `shared` */
static __typeof__(shared) *theirs;
static xen_domctl_t op;

static long domctl(uint32_t cmd, domid_t d)
{
	op.cmd = cmd;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = d;
	return hypercall1(__HYPERVISOR_domctl, &op);
}

static long log_op(uint32_t what, uint32_t mode, uint64_t pages, void *bits)
{
	memset(&op, 0, sizeof(op));
	op.u.shadow_op.op = what;
	op.u.shadow_op.mode = mode;
	op.u.shadow_op.pages = pages;
	set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bits);
	return domctl(XEN_DOMCTL_shadow_op, peer);
}

static bool is_dirty(uint64_t frame)
{
	return map[frame / 64] >> frame % 64 & 1;
}

static unsigned int take(uint32_t mode)
{
	unsigned int n = 0;

	memset(map, 0xff, sizeof(map));
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, mode, FRAMES, map), 0);
	CHECK(op.u.shadow_op.pages == FRAMES, "%lu pages", (uint64_t)op.u.shadow_op.pages);
	for (unsigned int f = 0; f < FRAMES; f++)
		n += is_dirty(f);
	CHECK(n == op.u.shadow_op.stats.dirty_count, "%u pages, but %u counted", n,
	      op.u.shadow_op.stats.dirty_count);
	return n;
}

static uint64_t counter(uint32_t index, const char *group, const char *name)
{
	static struct margay_counter got[200];
	static struct margay_op m;
	uint64_t sum = 0;

	m = (struct margay_op){ .cmd = MARGAY_STAT, .interface = MARGAY_INTERFACE };
	m.u.stat.domain = peer;
	m.u.stat.index = index;
	m.u.stat.counters = (uint64_t)got;
	m.u.stat.max = ARRAY_SIZE(got);
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, &m), 0);
	for (unsigned int i = 0; i < m.u.stat.nr && i < ARRAY_SIZE(got); i++)
		if (!strncmp(got[i].group, group, 12) && !strncmp(got[i].name, name, 20))
			sum += got[i].value;
	return sum;
}

static uint64_t page_faults(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < CPUS; i++)
		n += counter(i, "exit", "npf");
	return n;
}

static void unmap_page(uintptr_t at)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = at >> PAGE_SHIFT };

	CHECK_RET(memory_op(XENMEM_remove_from_physmap, &r), 0);
}

static void run_round(unsigned int round)
{
	theirs->done = 0;
	theirs->round = round;
	CHECK(WAIT_FOR(theirs->done == CPUS, 20 * NS_PER_S), "round %u: %u vCPUs are done", round,
	      theirs->done);
}

/* Exactly the pages of the pool that the vCPUs wrote to, and few others: stacks, tables, `shared`. */
static void exact_rounds(bool faults)
{
	uint64_t first = (uintptr_t)pool >> PAGE_SHIFT, exits = page_faults(), writes = 0, seen = 0;
	unsigned int others = 0;

	for (unsigned int round = 1; round <= ROUNDS; round++) {
		unsigned int n, wrong = 0, hits = 0;

		run_round(round);
		n = take(0);
		seen += op.u.shadow_op.stats.fault_count;
		for (unsigned int i = 0; i < POOL; i++) {
			bool dirty = is_dirty(first + i);

			wrong += dirty != (writer_of(i, round) < CPUS);
			hits += dirty;
		}
		CHECK(!wrong, "round %u: %u pages are wrong", round, wrong);
		others = others < n - hits ? n - hits : others;
		writes += hits;
	}
	exits = page_faults() - exits;
	printf("%lu first writes, at most %u other pages a round, %lu nested page faults\n", writes,
	       others, exits);
	CHECK(others <= 40, "%u other pages", others);
	CHECK(faults ? exits >= writes && seen >= writes : !exits && !seen,
	      "%lu exits, %lu write faults", exits, seen);
}

static bool is_ram(uint64_t frame)
{
	long rc = map_foreign(peer, frame, window);

	CHECK(!rc || rc == -XEN_EINVAL, "page %lx: %ld", frame, rc);
	return !rc;
}

static void copy_dirty(void)
{
	for (uint64_t f = 0; f < FRAMES; f++) {
		if (!is_dirty(f) || !is_ram(f))
			continue;
		memcpy(copy[f], (void *)window, PAGE_SIZE);
		unmap_page(window);
	}
}

/* Writes to pages of the peer by all ways that others have. */
static void write_others(unsigned int round)
{
	uintptr_t at = window + PAGE_SIZE;
	grant_handle_t handle;
	struct gnttab_copy c = {
		.source = { .domid = DOMID_SELF, .u.gmfn = (uintptr_t)map >> PAGE_SHIFT },
		.dest = { .domid = peer, .u.ref = REF, .offset = (uint16_t)(round * 8) },
		.flags = GNTCOPY_dest_gref, .len = 8,
	};

	CHECK_RET(map_grant(peer, REF, GNTMAP_host_map, at, &handle), GNTST_okay);
	((uint64_t *)at)[100 + round]++;
	CHECK_RET(unmap_grant(at, handle), GNTST_okay);
	CHECK_RET(grant_table_op(GNTTABOP_copy, &c, 1), 0);
	CHECK_RET(c.status, GNTST_okay);
	if (round == 1) {
		CHECK_RET(map_foreign(peer, (uintptr_t)lent[2] >> PAGE_SHIFT, at), 0);
		((uint64_t *)at)[500]++;
		/* Margay writes there. */
		CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, 0, (uint64_t *)at + 501), 0);
		unmap_page(at);
	}
}

/* As a migration: copies what is dirty, in rounds, and the last time while the peer is paused. */
static void migrate(void)
{
	uintptr_t held = window + 2 * PAGE_SIZE;
	grant_handle_t handle;
	unsigned int pages[LIVE_ROUNDS + 1], differ = 0;

	CHECK_RET(map_grant(peer, REF + 1, GNTMAP_host_map, held, &handle), GNTST_okay);
	theirs->round = WRITE;
	memset(map, 0xff, sizeof(map));
	copy_dirty();
	for (unsigned int i = 0; i < LIVE_ROUNDS; i++) {
		write_others(i);
		(*(uint64_t *)held)++;
		delay_ns(2 * NS_PER_MS);
		pages[i] = take(0);
		copy_dirty();
	}
	CHECK_RET(domctl(XEN_DOMCTL_pausedomain, peer), 0);
	pages[LIVE_ROUNDS] = take(XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL);
	copy_dirty();
	printf("dirty pages by round: %u %u %u %u, at last %u\n", pages[0], pages[1], pages[2],
	       pages[3], pages[4]);
	for (uint64_t f = 0; f < FRAMES; f++) {
		if (!is_ram(f))
			continue;
		if (memcmp(copy[f], (void *)window, PAGE_SIZE) && ++differ < 5)
			printf("page %lx differs\n", f);
		unmap_page(window);
	}
	CHECK(!differ, "%u pages differ from their copies", differ);
	CHECK_RET(unmap_grant(held, handle), GNTST_okay);
	CHECK_RET(domctl(XEN_DOMCTL_unpausedomain, peer), 0);
}

/* Arguments that Xen refuses, too. */
static void arguments(void)
{
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE, 0, 0, NULL), -XEN_EINVAL);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_TEST, 0, 0, NULL), -XEN_EINVAL);
	CHECK_RET(log_op(99, 0, 0, NULL), -XEN_EINVAL);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL), 0);
	CHECK_RET(domctl(XEN_DOMCTL_shadow_op, DOMID_SELF), -XEN_EINVAL);
	CHECK_RET(domctl(XEN_DOMCTL_shadow_op, 0x7000), -XEN_ESRCH);
}

static void log_peer(bool faults)
{
	uint64_t whole;

	bad_pointers_init();
	copy = page_alloc(FRAMES);
	window = hole_alloc(4);
	view = window + 3 * PAGE_SIZE;
	CHECK_RET(map_foreign(peer, (uintptr_t)&shared >> PAGE_SHIFT, view), 0);
	theirs = (void *)view;
	CHECK(WAIT_FOR(theirs->started == CPUS, 20 * NS_PER_S), "the peer does not start");
	arguments();
	whole = counter(MARGAY_STAT_WHOLE, "p2m", "2M");
	CHECK(whole, "the peer has no large pages");
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL), 0);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL), -XEN_EINVAL);
	CHECK_RET(counter(MARGAY_STAT_WHOLE, "p2m", "2M"), 0);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 4, FRAMES, map), -XEN_EINVAL);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, FRAMES, (void *)bad_pointers[0]),
		  -XEN_EFAULT);
	take(0);
	exact_rounds(faults);
	/* What could not be copied out is not lost. */
	run_round(ROUNDS + 1);
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, FRAMES, (void *)bad_pointers[0]),
		  -XEN_EFAULT);
	CHECK(take(0) > 2000, "pages are lost");
	migrate();
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL), 0);
	/* On CPUs that execute no code in large pages, the pages of code were not whole before. */
	CHECK(counter(MARGAY_STAT_WHOLE, "p2m", "2M") >= whole, "mappings are not merged");
	CHECK_RET(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, FRAMES, map), -XEN_EINVAL);
	theirs->round = STOP;
	CHECK(WAIT_FOR(theirs->finished == CPUS, 20 * NS_PER_S), "the peer does not end");
	unmap_page(view);
	pass();
}

int main(void)
{
	peer = (domid_t)cmdline_number("peer", 0);
	if (cmdline_number("log", 0))
		log_peer(cmdline_number("faults", 0));
	be_logged();
	return 0;
}
