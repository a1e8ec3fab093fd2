/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of dirty pages, from the hypercall's operation to the nested tables. A model of a CPU writes
 * pages: it sets a leaf's dirty bit when it loads a translation, and no more until the flush. With
 * dirty bits and with write protection.
 * unit-sources: hypercall/domctl_shadow.c arch/x86/guest/dirty_log.c arch/x86/guest/p2m.c arch/x86/mm/page_table.c
 * unit-sources: common/on_demand.c common/boot/memmap.c arch/x86/mm/mtrr.c test/unit/arena.c
 */
#include "arena.h"

#include <margay/arch.h>
#include <margay/domain_parts.h>
#include <margay/guest_copy.h>
#include <margay/pci.h>
#include <margay/quiesce.h>
#include <margay/policy_registry.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/page_table.h>
#include <x86/paging.h>

#include "../../hypercall/domctl.h"

#define PAGES 2048U	/* of the guest: [BASE, BASE + PAGES) */
#define BASE 512U
#define MAP_PAGES 4096U /* of the tools' bitmap */
#define MAP_VA 0x100000UL

static struct cpu cpu[2];
struct cpu *host_cpu = &cpu[0];
static struct vcpu guest_vcpu;
static struct domain d = { .vcpus = { &guest_vcpu } }, other = { .id = 2 }, control = { .id = 3 };
static struct vcpu tools = { .domain = &control };
struct domain *domain_slots[POLICY_MAX_DOMAINS];
struct x86_features x86;
static bool has_device, no_copies;
static u64 period;

static u8 bitmap[MAP_PAGES / 8];
static bool tlb[MAP_PAGES];	/* loaded for writes */
/* Written before the operation: a report is due, or may come again; and written meanwhile. */
static enum { NOT_WRITTEN, MAY_COME, DUE } owed[MAP_PAGES];
static bool late[MAP_PAGES], in_op;
static unsigned faults, busy_percent;

static void request_flush(struct vcpu *v) { (void)v; }

static const struct hvm_ops ops = {
	.request_flush = request_flush,
	.leaf = {
		[P2M_RAM] = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W,
		[P2M_SHARED] = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W,
		[P2M_GRANT_RW] = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W,
		[P2M_FOREIGN] = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W,
	},
};
const struct hvm_ops *hvm = &ops;

void domain_put(struct domain *dom) { dom->refs--; }
bool pci_owns_some(const struct domain *dom) { return dom == &d && has_device; }
u64 quiesce_start(void) { return ++period; }
bool quiesce_over(u64 p) { return p == period && arena_random() % 2; }

void arch_cpu_kick(struct cpu *c)
{
	assert_ptr_equal(c, &cpu[1]);
}

/* The guest's CPU leaves, and loses all translations. */
void cpu_relax(void)
{
	if (guest_vcpu.pending & VCPU_WORK_FLUSH)
		memset(tlb, 0, sizeof(tlb));
	guest_vcpu.pending = 0;
}

int copy_to_guest(gvaddr_t to, const void *from, size_t n)
{
	if (no_copies)
		return -EFAULT;
	assert_true(to >= MAP_VA && to + n <= MAP_VA + sizeof(bitmap));
	memcpy(bitmap + (to - MAP_VA), from, n);
	return 0;
}

/* The guest's CPU writes to its page. */
static void cpu_write(gfn_t gfn)
{
	unsigned level;
	u64 *at, e = pt_walk(&d.p2m.pt, gfn, &level, &at);

	if (!(e & PTE_P))
		return;
	if (!tlb[gfn] && x86.nested_dirty == PTE_W && !(e & PTE_W)) {
		faults++;
		assert_true(p2m_mark_dirty(&d, gfn));
	} else if (!tlb[gfn]) {
		*at |= x86.nested_dirty;
	}
	tlb[gfn] = true;
	if (in_op)
		late[gfn] = true;
	else
		owed[gfn] = DUE;
}

static gfn_t any(void)
{
	return BASE + arena_random() % PAGES;
}

/* A paused domain's last vCPU leaves its CPU late. */
static bool has_left;

int domain_stopped(struct domain *dom)
{
	has_left |= arena_random() % 3 == 0;
	if (dom->pauses && !has_left)
		cpu_write(any());
	return !dom->pauses ? -EINVAL : has_left ? 0 : -ERESTART;
}

stime_t now(void)
{
	return 5;
}

/* What a policy says, and what it was told. */
static enum migrate_how migrate_says;
static struct migrate_round round_seen;

enum migrate_how policy_migrate(const struct migrate_round *r)
{
	round_seen = *r;
	return migrate_says;
}

/* The guest runs meanwhile. */
bool hcall_preempt(void)
{
	for (unsigned i = arena_random() % 4; i && busy_percent && !(d.pauses && has_left); i--)
		cpu_write(any());
	return arena_random() % 100 < busy_percent;
}

static long call(u32 op, u32 mode, u64 pages, gvaddr_t map, struct xen_domctl_shadow_op *out)
{
	struct xen_domctl x = { .u.shadow_op = { .op = op, .mode = mode, .pages = pages } };
	long rc;

	x.u.shadow_op.dirty_bitmap.p = (void *)map;
	in_op = true;
	do
		rc = domctl_shadow_op(&tools, &d, &x);
	while (rc == -ERESTART);
	in_op = false;
	if (out)
		*out = x.u.shadow_op;
	return rc;
}

static bool reported(gfn_t gfn)
{
	return bitmap[gfn / 8] >> gfn % 8 & 1;
}

/* All that is due is reported, and nothing that was not written. Returns the number. */
static u64 check(u32 op, u32 mode)
{
	struct xen_domctl_shadow_op s;
	u64 n = 0;

	memset(bitmap, 0xff, sizeof(bitmap));
	assert_int_equal(call(op, mode, MAP_PAGES, MAP_VA, &s), 0);
	for (gfn_t g = 0; g < MAP_PAGES; g++) {
		assert_true(owed[g] < DUE || reported(g));
		assert_true(owed[g] || late[g] || !reported(g));
		if (op == XEN_DOMCTL_SHADOW_OP_CLEAN)
			owed[g] = !late[g] ? NOT_WRITTEN : reported(g) ? MAY_COME : DUE;
		else if (late[g])
			owed[g] = DUE;
		late[g] = false;
		n += reported(g);
	}
	assert_int_equal(s.stats.dirty_count, n);
	assert_int_equal(s.pages, MAP_PAGES);
	return n;
}

static long enable(void)
{
	long rc = call(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, 0, NULL);

	/* What was written meanwhile will be sent in the first round. */
	for (gfn_t g = 0; !rc && g < MAP_PAGES; g++) {
		owed[g] = late[g] ? MAY_COME : NOT_WRITTEN;
		late[g] = false;
	}
	return rc;
}

static long off(void)
{
	return call(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, 0, NULL);
}

static int setup(void **state)
{
	mfn_t mfn;

	d = (struct domain){ .id = 1, .max_pages = 8192, .nr_vcpus = 1 };
	guest_vcpu = (struct vcpu){ .domain = &d, .cpu = &cpu[1], .in_guest = true };
	cpu[0].current = &tools;
	x86 = (struct x86_features){ .nested_page1g = true,
				     .nested_dirty = *state ? *(u64 *)*state : PTE_D };
	has_device = no_copies = false;
	busy_percent = 0;
	memset(tlb, 0, sizeof(tlb));
	memset(owed, 0, sizeof(owed));
	memset(late, 0, sizeof(late));
	faults = 0;
	arena_mark();
	assert_int_equal(p2m_part.create(&d), 0);
	for (gfn_t g = BASE; g < BASE + PAGES; g += CHUNK_PAGES) {
		assert_int_equal(dom_alloc(&d, 9, &mfn), 0);
		assert_int_equal(p2m_map(&d, g, mfn, 9, P2M_RAM), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (p2m_part.destroy(&d) == -ERESTART)
		;
	assert_int_equal(d.meta_pages, 0);
	arena_check();
	return 0;
}

#define CLEAN XEN_DOMCTL_SHADOW_OP_CLEAN
#define PEEK XEN_DOMCTL_SHADOW_OP_PEEK
#define FINAL XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL

/* Exactly the pages that were written come, until they are taken, and mappings are merged at the end. */
static void test_rounds(void **state)
{
	u64 tables = d.p2m.table_pages;

	(void)state;
	assert_int_equal(enable(), 0);
	assert_int_equal(d.p2m.entries[1], 0);
	assert_int_equal(check(CLEAN, 0), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 50; i++)
			cpu_write(any());
		if (round % 3 == 0)
			assert_true(check(PEEK, 0) > 0);
		assert_true(check(CLEAN, round % 2 ? FINAL : 0) > 0);
		assert_int_equal(check(CLEAN, 0), 0);
	}
	assert_int_equal(!!faults, x86.nested_dirty == PTE_W);
	assert_int_equal(off(), 0);
	assert_int_equal(d.p2m.entries[0], 0);
	assert_int_equal(d.p2m.entries[1], PAGES / CHUNK_PAGES);
	assert_int_equal(d.p2m.table_pages, tables);
	/* And again. */
	assert_int_equal(enable(), 0);
	cpu_write(BASE);
	assert_int_equal(check(CLEAN, 0), 1);
	assert_int_equal(off(), 0);
}

/* The same while the guest writes between the steps of each operation. */
static void test_steps(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		busy_percent = 10 + arena_random() % 80;
		assert_int_equal(enable(), 0);
		for (unsigned round = arena_random() % 20; round; round--) {
			check(round % 5 ? CLEAN : PEEK, 0);
			for (unsigned n = arena_random() % 100; n; n--)
				cpu_write(any());
		}
		/* The last look: nothing is left. */
		d.pauses = 1;
		has_left = false;
		check(CLEAN, FINAL);
		for (gfn_t g = 0; g < MAP_PAGES; g++)
			assert_true(owed[g] < DUE);
		d.pauses = 0;
		assert_int_equal(off(), 0);
		assert_int_equal(d.p2m.entries[1], PAGES / CHUNK_PAGES);
	}
}

/* Pages that Margay, other domains or nobody but a new mapping has written. */
static void test_others(void **state)
{
	mfn_t mfn, page;

	(void)state;
	assert_int_equal(enable(), 0);
	assert_true(p2m_mark_dirty(&d, BASE + 7));
	owed[BASE + 7] = DUE;
	assert_false(p2m_mark_dirty(&d, 3));
	assert_int_equal(check(CLEAN, 0), 1);
	/* A page to which others have a reference is in the last round only. */
	assert_int_equal(p2m_get_page(&d, BASE + 9, &mfn), 0);
	assert_int_equal(check(CLEAN, 0), 0);
	owed[BASE + 9] = DUE;
	assert_int_equal(check(CLEAN, FINAL), 1);
	assert_int_equal(check(CLEAN, 0), 0);
	/* After its release, too; all pages if it has moved. */
	assert_int_equal(page_get(&d, mfn), 0);
	guest_release_page(&d, BASE + 9, mfn);
	owed[BASE + 9] = DUE;
	assert_int_equal(check(CLEAN, 0), 1);
	assert_int_equal(check(CLEAN, 0), 0);
	guest_release_page(&d, BASE + 8, mfn);
	for (gfn_t g = BASE; g < BASE + PAGES; g++)
		owed[g] = DUE;
	assert_int_equal(check(PEEK, 0), PAGES);
	assert_int_equal(check(CLEAN, 0), PAGES);
	assert_int_equal(check(CLEAN, 0), 0);
	/* New pages; other domains' are not this one's. */
	assert_int_equal(dom_alloc(&d, 0, &page), 0);
	assert_int_equal(p2m_map(&d, 3, page, 0, P2M_RAM), 0);
	owed[3] = DUE;
	assert_int_equal(p2m_map(&d, 5, mfn, 0, P2M_GRANT_RW), 0);
	assert_int_equal(check(CLEAN, 0), 1);
	assert_int_equal(p2m_unmap(&d, 5, ~0U), 0);
	/* A new large mapping is dirty, and then logged by pages. */
	assert_int_equal(p2m_unmap_pages(&d, BASE, P2M_BATCH, ~0U), P2M_BATCH);
	assert_int_equal(dom_alloc(&d, 9, &mfn), 0);
	assert_int_equal(p2m_map(&d, 3072, mfn, 9, P2M_RAM), 0);
	for (gfn_t g = 3072; g < 3072 + CHUNK_PAGES; g++)
		owed[g] = DUE;
	assert_int_equal(check(PEEK, 0), CHUNK_PAGES);
	assert_int_equal(check(CLEAN, 0), CHUNK_PAGES);
	cpu_write(3072 + 5);
	assert_int_equal(check(CLEAN, 0), 1);
	assert_int_equal(off(), 0);
	/* Holes remain, and what is whole is merged. */
	assert_int_equal(d.p2m.entries[1], PAGES / CHUNK_PAGES);
	assert_int_equal(p2m_lookup(&d, BASE).type, P2M_NONE);
	assert_int_equal(p2m_lookup(&d, BASE + P2M_BATCH).order, 0);
}

/* The end of a foreign mapping shows whether its domain has written. */
static void test_foreign(void **state)
{
	static struct domain guest = { .id = 9, .max_pages = 8192 };
	mfn_t mfn;

	(void)state;
	domain_slots[0] = &guest;
	assert_int_equal(dom_alloc(&guest, 0, &mfn), 0);
	guest.p2m.log.on = true;
	for (unsigned i = 0; i < 6; i++) {
		guest.refs = 1;
		guest.p2m.log.on = i != 4;
		assert_int_equal(page_get(&guest, mfn), 0);
		assert_int_equal(p2m_map_foreign(&d, 5, mfn, &guest, 0), 0);
		guest.p2m.log.on = true;
		guest.p2m.log.all = false;
		if (i == 1)
			cpu_write(5);
		if (i == 2)
			assert_true(p2m_mark_dirty(&d, 5));
		assert_int_equal(p2m_unmap(&d, 5, ~0U), 0);
		/* One that is older than the log may have written. */
		assert_int_equal(guest.p2m.log.all, i == 1 || i == 2 || i == 4);
		assert_int_equal(guest.refs, 0);
	}
	dom_free(&guest, mfn, 0);
	owed[5] = NOT_WRITTEN;
}

/* The answers are Xen's. */
static void test_answers(void **state)
{
	struct xen_domctl_shadow_op s;

	(void)state;
	assert_int_equal(off(), 0);
	assert_int_equal(call(CLEAN, 0, MAP_PAGES, MAP_VA, NULL), -EINVAL);
	assert_int_equal(call(XEN_DOMCTL_SHADOW_OP_ENABLE, 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(call(1, 0, 0, 0, NULL), -EINVAL);
	has_device = true;
	assert_int_equal(enable(), -EINVAL);
	assert_false(d.p2m.log.on);
	has_device = false;
	assert_int_equal(call(XEN_DOMCTL_SHADOW_OP_ENABLE, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY, 0,
			      MAP_VA, NULL),
			 0);
	assert_int_equal(enable(), -EINVAL);
	assert_int_equal(call(CLEAN, 2, MAP_PAGES, MAP_VA, NULL), -EINVAL);
	assert_int_equal(call(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION, 0, 0, 0, &s), 0);
	assert_int_equal(s.mb, 1);
	/* Parts of the domain, to the page; no map; more than there can be. */
	cpu_write(BASE);
	cpu_write(BASE + 3);
	cpu_write(BASE + 4);
	memset(bitmap, 0, sizeof(bitmap));
	assert_int_equal(call(CLEAN, 0, BASE + 4, MAP_VA, &s), 0);
	assert_int_equal(s.stats.dirty_count, 2);
	assert_int_equal(bitmap[BASE / 8], 1 << 3 | 1);
	assert_int_equal(call(PEEK, 0, 0, 0, &s), 0);
	assert_int_equal(s.stats.dirty_count, 1);
	assert_int_equal(call(CLEAN, 0, ~0UL, 0, &s), 0);
	assert_int_equal(s.pages, GFN_LIMIT);
	assert_int_equal(s.stats.dirty_count, 1);
	/* A failed copy loses nothing. */
	cpu_write(BASE);
	no_copies = true;
	assert_int_equal(call(CLEAN, 0, MAP_PAGES, MAP_VA, &s), -EFAULT);
	no_copies = false;
	for (gfn_t g = BASE; g < BASE + PAGES; g++)
		owed[g] = MAY_COME;
	owed[BASE] = DUE;
	assert_int_equal(check(CLEAN, 0), PAGES);
	d.state = DOM_DYING;
	assert_int_equal(call(CLEAN, 0, MAP_PAGES, MAP_VA, &s), 0);
	d.state = DOM_RUNNING;
	assert_int_equal(domctl_shadow_op(&guest_vcpu, &d, &(struct xen_domctl){ 0 }), -EINVAL);
	/* The tear-down frees the log. */
}

/* One operation at a time; the end of the log ends another caller's, too. */
static void test_unfinished(void **state)
{
	struct xen_domctl x = { .u.shadow_op = { .op = CLEAN, .pages = MAP_PAGES } };
	struct vcpu second = { .domain = &other };

	(void)state;
	assert_int_equal(enable(), 0);
	busy_percent = 100;
	assert_int_equal(domctl_shadow_op(&tools, &d, &x), -ERESTART);
	assert_int_equal(domctl_shadow_op(&second, &d, &x), -EBUSY);
	x.u.shadow_op.dirty_bitmap.p = (void *)MAP_VA;
	assert_int_equal(domctl_shadow_op(&tools, &d, &x), -EBUSY);
	x.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_OFF;
	assert_int_equal(domctl_shadow_op(&second, &d, &x), -ERESTART);
	x.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
	assert_int_equal(domctl_shadow_op(&tools, &d, &x), -EBUSY);
	busy_percent = 50;
	x.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_OFF;
	while (domctl_shadow_op(&second, &d, &x) == -ERESTART)
		;
	assert_int_equal(d.p2m.entries[1], PAGES / CHUNK_PAGES);
	assert_int_equal(enable(), 0);
	/* The domain ends in the middle of the log's end. */
	busy_percent = 100;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(domctl_shadow_op(&second, &d, &x), -ERESTART);
	assert_true(d.p2m.log.nr_tables > 0);
}

/* A policy lets the tools stop the guest, or not: they do if fewer than 50 pages were dirty. */
static void test_policy(void **state)
{
	struct xen_domctl_shadow_op s;

	(void)state;
	assert_int_equal(enable(), 0);
	for (unsigned n = 1; n <= 3; n++) {
		migrate_says = n == 1 ? MIGRATE_AS_XEN : n == 2 ? MIGRATE_GO_ON : MIGRATE_STOP;
		for (gfn_t g = 0; g < 20; g++)
			cpu_write(BASE + g);
		assert_int_equal(call(CLEAN, 0, MAP_PAGES, MAP_VA, &s), 0);
		for (gfn_t g = 0; g < 20; g++)
			assert_true(reported(BASE + g));
		assert_int_equal(s.stats.dirty_count, n == 1 ? round_seen.dirty : n == 2 ? 50 : 1);
		assert_int_equal(round_seen.round, n);
		assert_int_equal(round_seen.domain, d.id);
		assert_true(round_seen.dirty >= 20 && round_seen.pages == d.tot_pages);
	}
	/* Nothing to say on the last round. */
	d.pauses = 1;
	has_left = true;
	assert_int_equal(call(CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, MAP_PAGES, MAP_VA, &s), 0);
	assert_int_equal(round_seen.round, 3);
	migrate_says = MIGRATE_AS_XEN;
}

/* A gigabyte becomes whole again, over more than one grace period. */
static void test_huge(void **state)
{
	const gfn_t huge = 1UL << 18;
	unsigned level;
	u64 *at, before = period;

	(void)state;
	d.max_pages = 1UL << 19;
	assert_int_equal(p2m_map(&d, huge, huge, 18, P2M_RAM), 0);
	assert_int_equal(enable(), 0);
	assert_int_equal(d.p2m.entries[2], 0);
	assert_int_equal(p2m_lookup(&d, huge + 700).order, 0);
	assert_int_equal(p2m_lookup(&d, huge + 700).mfn, huge + 700);
	busy_percent = 5;
	assert_int_equal(off(), 0);
	assert_true(period >= before + 2);
	assert_int_equal(p2m_lookup(&d, huge + 700).order, 18);
	assert_int_equal(p2m_lookup(&d, huge + 700).mfn, huge + 700);
	assert_int_equal(d.p2m.entries[2], 1);
	assert_int_equal(d.p2m.entries[0], 0);
	/* It is no memory of the arena's. */
	pt_walk(&d.p2m.pt, huge, &level, &at);
	*at = 0;
	d.p2m.entries[2] = 0;
}

/* Without memory for tables, the pages of a large mapping are always dirty. */
static void test_no_memory(void **state)
{
	(void)state;
	arena_take_all_but(3);
	assert_int_equal(enable(), 0);
	assert_int_equal(d.p2m.entries[1], PAGES / CHUNK_PAGES - 2);
	for (gfn_t g = BASE + 1024; g < BASE + PAGES; g++)
		owed[g] = DUE;
	cpu_write(BASE + 1);
	assert_int_equal(check(CLEAN, 0), PAGES - 1024 + 1);
	arena_give();
	for (gfn_t g = BASE + 1024; g < BASE + PAGES; g++)
		owed[g] = DUE;
	assert_int_equal(check(CLEAN, 0), PAGES - 1024);
	assert_int_equal(check(CLEAN, 0), 0);
	assert_int_equal(off(), 0);
}

int main(void)
{
	static u64 write_right = PTE_W;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rounds, setup, teardown),
		{ "test_rounds (protected)", test_rounds, setup, teardown, &write_right },
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		{ "test_steps (protected)", test_steps, setup, teardown, &write_right },
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		{ "test_foreign (protected)", test_foreign, setup, teardown, &write_right },
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfinished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_huge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests_name("dirty_log", tests, arena_setup, NULL);
}
