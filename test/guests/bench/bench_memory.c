/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cost of page operations: ballooning, and grants mapped, unmapped and copied, with 1 and 64
 * pages per hypercall, and ballooning of 2 MiB at once. The guest grants to itself. Xen moves a page that its own domain maps, so
 * each round grants new pages.
 */
#include "guest.h"

#include "bench.h"

#define MOST	64u
#define ROUNDS	40u		/* of 64 pages; twice as many of one page */
#define REF	FIRST_GRANT
#define LARGE_ORDER 9u		/* 2 MiB */

static domid_t self;
static uintptr_t window;
static xen_pfn_t list[MOST];
static struct gnttab_map_grant_ref maps[MOST];
static struct gnttab_unmap_grant_ref unmaps[MOST];
static struct gnttab_copy copies[MOST];
static uint8_t target[MOST * PAGE_SIZE] PAGE_ALIGNED;

/* Marks one of two rows that are measured in turns. */
static void mark(bool first)
{
	if (first)
		bench_mark();
	else
		bench_mark_second();
}

static uint64_t timed_reservation(unsigned int op, unsigned int n, unsigned int order)
{
	struct xen_memory_reservation r = { .nr_extents = n,
					    .extent_order = order,
					    .domid = DOMID_SELF };
	uint64_t start;
	long done;

	set_xen_guest_handle(r.extent_start, list);
	mark(op == XENMEM_decrease_reservation);
	start = rdtsc();
	done = memory_op(op, &r);
	start = rdtsc() - start;
	mark(op == XENMEM_decrease_reservation);
	CHECK_RET(done, n);
	return start;
}

static void balloon(unsigned int n, unsigned int order, const char *release, const char *populate)
{
	uintptr_t size = PAGE_SIZE << order;
	uintptr_t pages = ((uintptr_t)page_alloc((n + 1) << order) + size - 1) & -size;
	struct bench_sum out = BENCH_SUM, in = BENCH_SUM;

	/* The first round may allocate tables and is not counted. */
	for (unsigned int round = 0; round <= ROUNDS; round++) {
		uint64_t gone, back;

		/* Both calls may write to the list. */
		for (unsigned int i = 0; i < n; i++)
			list[i] = (pages >> PAGE_SHIFT) + (i << order);
		gone = timed_reservation(XENMEM_decrease_reservation, n, order);
		for (unsigned int i = 0; i < n; i++)
			list[i] = (pages >> PAGE_SHIFT) + (i << order);
		back = timed_reservation(XENMEM_populate_physmap, n, order);
		if (!round)
			continue;
		bench_add(&out, gone);
		bench_add(&in, back);
	}
	bench_report(release, &out);
	bench_report(populate, &in);
}

static uint64_t timed_grants(unsigned int op, void *arg, unsigned int n)
{
	uint64_t start;
	long ret;

	mark(op != GNTTABOP_unmap_grant_ref);
	start = rdtsc();
	ret = grant_table_op(op, arg, n);
	start = rdtsc() - start;
	mark(op != GNTTABOP_unmap_grant_ref);
	CHECK_RET(ret, 0);
	return start;
}

static uint64_t map_all(unsigned int n)
{
	uint8_t *pages = page_alloc(n);
	uint64_t cost;

	for (unsigned int i = 0; i < n; i++) {
		pages[i * PAGE_SIZE] = (uint8_t)(i + 1);
		grant(REF + i, self, pages + i * PAGE_SIZE, 0);
		maps[i] = (struct gnttab_map_grant_ref){
			.host_addr = window + i * PAGE_SIZE, .flags = GNTMAP_host_map,
			.ref = REF + i, .dom = self,
		};
	}
	cost = timed_grants(GNTTABOP_map_grant_ref, maps, n);
	for (unsigned int i = 0; i < n; i++) {
		CHECK_RET(maps[i].status, GNTST_okay);
		CHECK(*(volatile uint8_t *)(window + i * PAGE_SIZE) == (uint8_t)(i + 1),
		      "mapping %u shows another page", i);
		unmaps[i] = (struct gnttab_unmap_grant_ref){
			.host_addr = window + i * PAGE_SIZE, .handle = maps[i].handle,
		};
	}
	return cost;
}

static uint64_t unmap_all(unsigned int n)
{
	uint64_t cost = timed_grants(GNTTABOP_unmap_grant_ref, unmaps, n);

	for (unsigned int i = 0; i < n; i++) {
		CHECK_RET(unmaps[i].status, GNTST_okay);
		ungrant(REF + i);
	}
	return cost;
}

static void mapping(unsigned int n, unsigned int rounds, const char *map, const char *unmap)
{
	struct bench_sum in = BENCH_SUM, out = BENCH_SUM;

	for (unsigned int round = 0; round <= rounds; round++) {
		uint64_t there = map_all(n), back = unmap_all(n);

		if (!round)
			continue;
		bench_add(&in, there);
		bench_add(&out, back);
	}
	bench_report(map, &in);
	bench_report(unmap, &out);
}

/* Copies whole pages from a granted page to an own one. */
static void copying(unsigned int n, const char *name)
{
	uint8_t *pages = page_alloc(n);
	struct bench_sum b = BENCH_SUM;

	for (unsigned int i = 0; i < n; i++) {
		memset(pages + i * PAGE_SIZE, (int)i + 1, PAGE_SIZE);
		grant(REF + i, self, pages + i * PAGE_SIZE, GTF_readonly);
	}
	for (unsigned int round = 0; round <= ROUNDS; round++) {
		uint64_t cost;

		for (unsigned int i = 0; i < n; i++) {
			copies[i] = (struct gnttab_copy){
				.source = { .u.ref = REF + i, .domid = self },
				.dest = { .domid = DOMID_SELF },
				.len = PAGE_SIZE, .flags = GNTCOPY_source_gref,
			};
			copies[i].dest.u.gmfn = ((uintptr_t)target >> PAGE_SHIFT) + i;
		}
		cost = timed_grants(GNTTABOP_copy, copies, n);
		for (unsigned int i = 0; i < n; i++)
			CHECK_RET(copies[i].status, GNTST_okay);
		if (round)
			bench_add(&b, cost);
	}
	for (unsigned int i = 0; i < n; i++) {
		CHECK(target[(i + 1) * PAGE_SIZE - 1] == (uint8_t)(i + 1), "page %u is not copied",
		      i);
		ungrant(REF + i);
	}
	bench_report(name, &b);
}

int main(void)
{
	self = own_domid();
	grants_init();
	window = hole_alloc(MOST);
	bench_calibrate();
	balloon(1, 0, "release_1", "populate_1");
	balloon(MOST, 0, "release_64", "populate_64");
	mapping(1, 2 * ROUNDS, "grant_map_1", "grant_unmap_1");
	mapping(MOST, ROUNDS, "grant_map_64", "grant_unmap_64");
	copying(1, "grant_copy_1");
	copying(MOST, "grant_copy_64");
	balloon(1, LARGE_ORDER, "release_2m", "populate_2m");
	pass();
}
