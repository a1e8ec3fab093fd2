/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical-to-machine map over the real owner table: mapping, splitting, lookup, released
 * pages, flushes, and a tear-down without leaks.
 * unit-sources: common/on_demand.c arch/x86/guest/p2m.c arch/x86/guest/dirty_log.c arch/x86/mm/page_table.c common/boot/memmap.c arch/x86/mm/mtrr.c test/unit/arena.c
 */
#include "arena.h"

#include <margay/arch.h>
#include <margay/domain_parts.h>
#include <margay/vcpu.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/mtrr.h>
#include <x86/page_table.h>
#include <x86/paging.h>

static struct cpu cpu[2];
struct cpu *host_cpu = &cpu[0];
static struct vcpu vcpu[2];
static struct domain d = { .vcpus = { &vcpu[0], &vcpu[1] } };
static struct domain other;
static unsigned kicks;

static unsigned flushes;
struct domain *domain_slots[POLICY_MAX_DOMAINS];

/* The last reference of a foreign mapping. */
void domain_put(struct domain *dom)
{
	assert_ptr_equal(dom, &other);
	other.refs--;
}

static void request_flush(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu[0]);
	flushes++;
}

#define LEAF (PTE_P | PTE_U)
static const struct hvm_ops ops = {
	.request_flush = request_flush,
	.leaf = {
		[P2M_RAM] = LEAF | PTE_W,
		[P2M_SHARED] = LEAF | PTE_W | PTE_NX,
		[P2M_SHARED_RO] = LEAF | PTE_NX,
		[P2M_GRANT_RW] = LEAF | PTE_W | PTE_NX,
		[P2M_GRANT_RO] = LEAF | PTE_NX,
		[P2M_FOREIGN] = LEAF | PTE_W | PTE_NX,
		[P2M_MMIO] = LEAF | PTE_W | PTE_NX | PTE_PCD,
	},
};
const struct hvm_ops *hvm = &ops;
struct x86_features x86;

void arch_cpu_kick(struct cpu *c)
{
	assert_ptr_equal(c, &cpu[1]);
	kicks++;
}

/* The other CPU leaves the guest or ends its copy. */
void cpu_relax(void)
{
	vcpu[1].in_guest = vcpu[1].copying_guest_memory = false;
}

static int setup(void **state)
{
	(void)state;
	d = (struct domain){
		.id = 1, .max_pages = 8192, .nr_vcpus = 2,
	};
	other = (struct domain){ .id = 2, .max_pages = 8192 };
	for (unsigned i = 0; i < 2; i++)
		vcpu[i] = (struct vcpu){ .domain = &d, .cpu = &cpu[i] };
	cpu[0].current = &vcpu[0];
	kicks = flushes = 0;
	arena_mark();
	assert_int_equal(p2m_part.create(&d), 0);
	return 0;
}

static int teardown(void **state)
{
	unsigned steps = 0;

	(void)state;
	while (p2m_part.destroy(&d) == -ERESTART)
		assert_true(++steps < 10000);
	assert_int_equal(p2m_part.destroy(&d), 0);
	assert_int_equal(d.tot_pages, 0);
	assert_int_equal(d.p2m.table_pages, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(d.p2m.entries[i], 0);
	arena_check();
	return 0;
}

static mfn_t ram(unsigned order)
{
	mfn_t mfn;

	assert_int_equal(dom_alloc(&d, order, &mfn), 0);
	return mfn;
}

static void assert_entry(gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned order)
{
	struct p2m_entry e = p2m_lookup(&d, gfn);

	if (e.mfn != mfn || e.type != type || (type && e.order != order))
		fail_msg("gfn %lx: mfn %lx type %d order %d", (unsigned long)gfn,
			 (unsigned long)e.mfn, e.type, e.order);
}

static void assert_nothing(gfn_t gfn)
{
	assert_entry(gfn, INVALID_MFN, P2M_NONE, 0);
}

/* Walks the tables like the CPU and returns whether EPT allows execution. */
static bool executable(gfn_t gfn)
{
	u64 *t = d.p2m.pt.root, e = 0;

	for (int l = 3; l >= 0; l--) {
		e = t[gfn >> 9 * l & 511];
		if (!(e & PTE_P) || !l || (e & PTE_PS))
			break;
		t = phys_to_virt(e & PTE_ADDR);
	}
	return e & PTE_U;
}

/* Where executable large pages are dangerous, executed code is mapped by small pages. */
static void test_itlb_multihit(void **state)
{
	mfn_t chunk = ram(9), page = ram(0);

	(void)state;
	x86.itlb_multihit = true;
	assert_int_equal(p2m_map(&d, 1024, chunk, 9, P2M_RAM), 0);
	assert_int_equal(p2m_map(&d, 1, page, 0, P2M_RAM), 0);
	assert_false(executable(1024));
	assert_true(executable(1));
	assert_int_equal(p2m_split_code(&d, 1024 + 5), 0);
	for (gfn_t i = 0; i < 512; i++) {
		assert_true(executable(1024 + i));
		assert_entry(1024 + i, chunk + i, P2M_RAM, 0);
	}
	/* Another CPU has already split it. */
	assert_int_equal(p2m_split_code(&d, 1024 + 5), 0);
	assert_int_equal(d.p2m.entries[0], 513);
	assert_int_equal(d.p2m.entries[1], 0);
	x86.itlb_multihit = false;
}

static void test_basics(void **state)
{
	mfn_t a = ram(0), chunk = ram(9);
	struct p2m_entry e;

	(void)state;
	assert_nothing(0);
	assert_nothing(1UL << 36);
	assert_nothing(~0UL);
	assert_int_equal(p2m_map(&d, 1UL << 36, a, 0, P2M_RAM), -EINVAL);
	assert_int_equal(p2m_map(&d, ~0UL, a, 0, P2M_RAM), -EINVAL);
	assert_int_equal(p2m_map(&d, 1, chunk, 9, P2M_RAM), -EINVAL);
	assert_int_equal(p2m_map(&d, 512, a | 1, 9, P2M_RAM), -EINVAL);
	assert_int_equal(p2m_map(&d, 0, 0, 27, P2M_RAM), -EINVAL);
	assert_int_equal(p2m_map(&d, 0, 0, 5, P2M_RAM), -EINVAL);

	assert_int_equal(p2m_map(&d, (1UL << 36) - 1, a, 0, P2M_RAM), 0);
	assert_int_equal(d.max_gfn, (1UL << 36) - 1);
	assert_entry((1UL << 36) - 1, a, P2M_RAM, 0);
	assert_int_equal(p2m_map(&d, 1024, chunk, 9, P2M_RAM), 0);
	assert_entry(1024, chunk, P2M_RAM, 9);
	assert_entry(1024 + 511, chunk + 511, P2M_RAM, 9);
	assert_nothing(1023);
	assert_nothing(1536);
	assert_int_equal(d.p2m.entries[0], 1);
	assert_int_equal(d.p2m.entries[1], 1);
	assert_int_equal(kicks, 0);

	/* Unmap a page in the middle: the mapping is split and the page is freed. */
	assert_int_equal(p2m_unmap(&d, 1024 + 7, ~0U), 0);
	assert_int_equal(p2m_unmap(&d, 1024 + 7, ~0U), -ENOENT);
	assert_nothing(1024 + 7);
	assert_entry(1024 + 6, chunk + 6, P2M_RAM, 0);
	assert_entry(1024 + 511, chunk + 511, P2M_RAM, 0);
	assert_int_equal(d.p2m.entries[1], 0);
	assert_int_equal(d.p2m.entries[0], 512);
	assert_int_equal(d.tot_pages, 512);
	assert_true(page_owner(chunk + 7) >= OWNER_NONE);
	/* A chunk cannot replace single pages. */
	assert_int_equal(p2m_map(&d, 1024, chunk, 9, P2M_RAM), -EBUSY);

	/* Taken, not freed. */
	assert_int_equal(p2m_detach(&d, 1024 + 8, ~0U, &e), 0);
	assert_int_equal(e.mfn, chunk + 8);
	assert_int_equal(e.type, P2M_RAM);
	assert_int_equal(page_owner(chunk + 8), 1);
	assert_int_equal(p2m_map(&d, 77, e.mfn, 0, P2M_RAM), 0);
	assert_int_equal(p2m_detach(&d, 1024 + 8, ~0U, &e), -ENOENT);
	assert_int_equal(p2m_unmap(&d, ~0UL, ~0U), -ENOENT);
}

static void test_replace(void **state)
{
	mfn_t a = ram(0), b = ram(0), chunk = ram(9), shared = virt_to_mfn(alloc_page());

	(void)state;
	assert_int_equal(p2m_map(&d, 5, a, 0, P2M_RAM), 0);
	assert_int_equal(p2m_map(&d, 5, b, 0, P2M_RAM), 0);
	assert_int_equal(d.p2m.entries[0], 1);
	assert_int_equal(d.tot_pages, 513);
	assert_int_equal(page_owner(a), OWNER_FREE);
	/* The map never frees Margay's own page. */
	assert_int_equal(p2m_map(&d, 5, shared, 0, P2M_SHARED), 0);
	assert_int_equal(d.tot_pages, 512);
	assert_entry(5, shared, P2M_SHARED, 0);
	assert_int_equal(p2m_map(&d, 512, chunk, 9, P2M_RAM), 0);
	assert_int_equal(p2m_map(&d, 600, shared, 0, P2M_SHARED), 0);
	assert_int_equal(d.tot_pages, 511);
	assert_int_equal(p2m_unmap(&d, 5, ~0U), 0);
	assert_int_equal(p2m_unmap(&d, 600, ~0U), 0);
	assert_int_equal(page_owner(shared), OWNER_MARGAY);
	free_page(mfn_to_virt(shared));
}

static void test_grants(void **state)
{
	mfn_t page, got;

	(void)state;
	assert_int_equal(dom_alloc(&other, 0, &page), 0);
	assert_int_equal(page_get(&other, page), 0);
	assert_int_equal(p2m_map(&d, 9, page, 0, P2M_GRANT_RO), 0);
	assert_entry(9, page, P2M_GRANT_RO, 0);
	/* RAM does not replace it, and no number is beside the last one by accident. */
	got = ram(0);
	assert_int_equal(p2m_map(&d, 9, got, 0, P2M_RAM), -EINVAL);
	dom_free(&d, got, 0);
	for (unsigned bit = 36; bit < 64; bit++)
		assert_int_equal(p2m_map_over(&d, 9 | 1UL << bit, page, P2M_GRANT_RO, ~0U),
				 -EINVAL);
	/* A guest cannot pass on pages of other domains. */
	assert_int_equal(p2m_get_page(&d, 9, &got), -EINVAL);
	/* Its owner frees it. It stays charged until the user of the grant drops its reference. */
	dom_free(&other, page, 0);
	assert_int_equal(p2m_unmap(&d, 9, ~0U), 0);
	assert_int_equal(page_owner(page), 2);
	assert_int_equal(other.tot_pages, 1);
	page_put(&other, page);
	assert_int_equal(page_owner(page), OWNER_FREE);
	assert_int_equal(other.tot_pages, 0);

	assert_int_equal(p2m_map(&d, 10, ram(9), 0, P2M_RAM), 0);
	assert_int_equal(p2m_get_page(&d, 11, &got), -EINVAL);
	assert_int_equal(p2m_get_page(&d, 1UL << 50, &got), -EINVAL);
	assert_int_equal(p2m_get_page(&d, 10, &got), 0);
	/* The reference keeps it after the unmapping. */
	assert_int_equal(p2m_unmap(&d, 10, ~0U), 0);
	assert_int_equal(page_owner(got), 1);
	assert_int_equal(d.tot_pages, 512);
	page_put(&d, got);
	assert_int_equal(d.tot_pages, 511);
	assert_true(page_owner(got) >= OWNER_NONE);
	for (unsigned i = 1; i < 512; i++)
		dom_free(&d, got + i, 0);
}

/* Maps a gigabyte outside of the arena's RAM, to check the sizes. */
static void test_sizes(void **state)
{
	const mfn_t device = 4UL << 18;

	(void)state;
	assert_int_equal(p2m_map(&d, 1UL << 18, device, 18, P2M_MMIO), 0);
	assert_entry((1UL << 18) + 0x2fedc, device + 0x2fedc, P2M_MMIO, 18);
	assert_int_equal(d.p2m.entries[2], 1);
	assert_int_equal(p2m_unmap(&d, (1UL << 18) + 0x12345, ~0U), 0);
	assert_nothing((1UL << 18) + 0x12345);
	assert_entry((1UL << 18) + 0x12344, device + 0x12344, P2M_MMIO, 0);
	assert_entry((1UL << 18) + 0x3ffff, device + 0x3ffff, P2M_MMIO, 9);
	assert_int_equal(d.p2m.entries[2], 0);
	assert_int_equal(d.p2m.entries[1], 511);
	assert_int_equal(d.p2m.entries[0], 511);
	assert_int_equal(p2m_map(&d, 3UL << 18, device, 18, P2M_MMIO), 0);
}

/* A leaf has the back-end's bits for its type, the address and the type, and nothing else. */
static void test_rights(void **state)
{
	mfn_t page = ram(0);

	(void)state;
	for (enum p2m_type type = P2M_RAM; type < NR_P2M_TYPES; type++) {
		struct p2m_entry gone;
		const u64 *t = d.p2m.pt.root;

		/* RAM comes last: the domain then frees it. */
		enum p2m_type now = type + 1 < NR_P2M_TYPES ? type + 1 : P2M_RAM;

		assert_int_equal(p2m_map(&d, 0, page, 0, now), 0);
		for (unsigned l = 3; l; l--)
			t = phys_to_virt(t[0] & PTE_ADDR);
		assert_int_equal(t[0] & ~(7UL << 52), page << PAGE_SHIFT | ops.leaf[now]);
		if (now != P2M_RAM)
			assert_int_equal(p2m_detach(&d, 0, ~0U, &gone), 0);
	}
}

static void test_flush(void **state)
{
	(void)state;
	assert_int_equal(p2m_map(&d, 0, ram(0), 0, P2M_RAM), 0);
	assert_int_equal(vcpu[1].pending, 0);
	vcpu[1].in_guest = true;
	assert_int_equal(p2m_unmap(&d, 0, ~0U), 0);
	assert_int_equal(kicks, 1);
	assert_false(vcpu[1].in_guest); /* p2m waited for it */
	assert_int_equal(flushes, 1);
	assert_true(vcpu[1].pending & VCPU_WORK_FLUSH);
	/* p2m waits for a copy on another CPU, without a kick. */
	assert_int_equal(p2m_map(&d, 0, ram(0), 0, P2M_RAM), 0);
	vcpu[1].copying_guest_memory = true;
	assert_int_equal(p2m_unmap(&d, 0, ~0U), 0);
	assert_false(vcpu[1].copying_guest_memory);
	assert_int_equal(kicks, 1);
}

/* A second map that only a listener maintains equals the first at each flush. */
static struct mirror {
	struct p2m_listener l;
	u8 type[4096];
	unsigned flushes;
	gfn_t prepared;
	bool running, refuses;
} mirror;

static int mirror_prepare(struct p2m_listener *l, struct domain *dom, gfn_t gfn, unsigned order)
{
	struct mirror *m = container_of(l, struct mirror, l);

	assert_int_equal(order % 9, 0);
	assert_ptr_equal(dom, &d);
	m->prepared = gfn;
	return m->refuses ? -ENOMEM : 0;
}

static void mirror_changed(struct p2m_listener *l, struct domain *dom, gfn_t gfn, unsigned order,
			   mfn_t mfn, enum p2m_type before, enum p2m_type after)
{
	struct mirror *m = container_of(l, struct mirror, l);

	assert_ptr_equal(dom, &d);
	assert_true(after == P2M_NONE || mfn == p2m_lookup(dom, gfn).mfn);
	assert_true(!m->running || m->prepared == gfn);
	for (gfn_t g = gfn; g < gfn + (1UL << order); g++) {
		assert_int_equal(m->type[g], before);
		m->type[g] = (u8)after;
	}
}

/* Unmapped pages are not free yet. */
static void mirror_flush(struct p2m_listener *l, struct domain *dom)
{
	struct mirror *m = container_of(l, struct mirror, l);

	m->flushes++;
	for (gfn_t g = 0; g < ARRAY_SIZE(m->type); g++)
		assert_int_equal(m->type[g], p2m_lookup(dom, g).type);
}

static void test_listener(void **state)
{
	mfn_t chunk = ram(9), page = ram(0), own;
	struct p2m_entry e;

	(void)state;
	memset(&mirror, 0, sizeof(mirror));
	mirror.l.changed = mirror_changed;
	mirror.l.prepare = mirror_prepare;
	mirror.running = true;
	mirror.l.flush = mirror_flush;
	list_add(&mirror.l.link, &d.p2m.listeners);
	assert_int_equal(p2m_map(&d, 1024, chunk, 9, P2M_RAM), 0);
	assert_int_equal(p2m_map(&d, 3, page, 0, P2M_RAM), 0);
	assert_int_equal(mirror.flushes, 0);
	assert_int_equal(p2m_detach(&d, 3, ~0U, &e), 0);
	assert_int_equal(p2m_map(&d, 4, e.mfn, 0, P2M_RAM), 0);
	own = virt_to_mfn(alloc_page());
	assert_int_equal(p2m_map(&d, 4, own, 0, P2M_SHARED), 0);
	assert_int_equal(p2m_unmap(&d, 1024 + 7, ~0U), 0);
	assert_int_equal(mirror.flushes, 3);
	assert_int_equal(p2m_unmap_pages(&d, 1024 + 8, 20, ~0U), 20);
	assert_int_equal(mirror.flushes, 4);
	assert_int_equal(p2m_unmap_pages(&d, 1024 + 5, 20, ~0U), 2);
	assert_int_equal(p2m_unmap_pages(&d, 1024 + 28, ~0U, ~0U), P2M_BATCH);
	assert_int_equal(p2m_map(&d, 2048, ram(9), 9, P2M_RAM), 0);
	arena_windows = 0;
	assert_int_equal(p2m_unmap_pages(&d, 2048, CHUNK_PAGES, ~0U), CHUNK_PAGES);
	assert_int_equal(arena_windows, 0); /* it is scrubbed later */
	assert_int_equal(mirror.flushes, 7);
	assert_int_equal(p2m_unmap_pages(&d, 2048, CHUNK_PAGES, ~0U), 0);
	/* A refused change is none. */
	mirror.refuses = true;
	page = ram(0);
	assert_int_equal(p2m_map(&d, 3000, page, 0, P2M_RAM), -ENOMEM);
	assert_int_equal(p2m_lookup(&d, 3000).type, P2M_NONE);
	dom_free(&d, page, 0);
	/* The tear-down reports all the rest to it. */
	mirror.running = false;
	while (p2m_part.destroy(&d) == -ERESTART)
		;
	for (unsigned i = 0; i < ARRAY_SIZE(mirror.type); i++)
		assert_int_equal(mirror.type[i], P2M_NONE);
	free_page(mfn_to_virt(own));
}

/* Without memory for a table nothing changes. A guest cannot use up all memory for tables. */
static void test_no_memory(void **state)
{
	mfn_t chunk = ram(9), page = ram(0);
	u64 before, n = 0;

	(void)state;
	assert_int_equal(p2m_map(&d, 512, chunk, 9, P2M_RAM), 0);
	arena_take_all_but(0);
	assert_int_equal(p2m_unmap(&d, 513, ~0U), -ENOMEM);
	assert_int_equal(p2m_map(&d, 1UL << 30, page, 0, P2M_RAM), -ENOMEM);
	assert_entry(513, chunk + 1, P2M_RAM, 9);
	assert_int_equal(d.p2m.entries[1], 1);
	arena_give();
	assert_int_equal(p2m_map(&d, 0, page, 0, P2M_RAM), 0);
	before = d.p2m.table_pages;

	page = virt_to_mfn(alloc_page());
	while (!p2m_map(&d, (gfn_t)(n + 1) << 18, page, 0, P2M_SHARED))
		assert_true(++n < 10000);
	assert_true(n > 20);
	assert_true(d.p2m.table_pages > before);
	assert_true(d.p2m.table_pages <= META_PAGES + d.max_pages / 128);
	for (u64 i = 0; i < n; i++)
		assert_int_equal(p2m_unmap(&d, (gfn_t)(i + 1) << 18, ~0U), 0);
	free_page(mfn_to_virt(page));
}

/* Each step of a tear-down is bounded. */
static void test_steps(void **state)
{
	unsigned steps = 0;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(p2m_map(&d, 512 * i, ram(9), 9, P2M_RAM), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(p2m_map(&d, 8192 + i, ram(0), 0, P2M_RAM), 0);
	for (;;) {
		u64 before = d.tot_pages;
		int rc = p2m_part.destroy(&d);

		assert_true(before - d.tot_pages <= 1024);
		steps++;
		if (!rc)
			break;
		assert_int_equal(rc, -ERESTART);
	}
	assert_true(steps >= 10 && steps < 100);
}

#define GFNS 4096
static struct {
	mfn_t mfn;
	enum p2m_type type;
} model[GFNS];

static void model_clear(gfn_t gfn)
{
	model[gfn].type = P2M_NONE;
	model[gfn].mfn = INVALID_MFN;
}

static mfn_t lent[8];	/* pages of the other domain */

static void random_map(gfn_t gfn)
{
	unsigned kind = arena_random() % 8;
	mfn_t mfn;
	int rc;

	if (!kind) {
		gfn &= ~511UL;
		if (dom_alloc(&d, 9, &mfn))
			return;
		rc = p2m_map(&d, gfn, mfn, 9, P2M_RAM);
		if (rc) {
			assert_int_equal(rc, -EBUSY);
			dom_free(&d, mfn, 9);
			return;
		}
		for (unsigned i = 0; i < 512; i++) {
			model[gfn + i].mfn = mfn + i;
			model[gfn + i].type = P2M_RAM;
		}
	} else if (kind < 5) {
		if (dom_alloc(&d, 0, &mfn))
			return;
		rc = p2m_map(&d, gfn, mfn, 0, P2M_RAM);
		assert_int_equal(rc, model[gfn].type > P2M_RAM ? -EINVAL : 0);
		if (rc) {
			dom_free(&d, mfn, 0);
			return;
		}
		model[gfn].mfn = mfn;
		model[gfn].type = P2M_RAM;
	} else {
		enum p2m_type type = kind == 5 ? P2M_GRANT_RW :
				     kind == 6 ? P2M_GRANT_RO :
						 P2M_FOREIGN;

		mfn = lent[arena_random() % ARRAY_SIZE(lent)];
		if (type != P2M_FOREIGN) {
			rc = p2m_map_over(&d, gfn, mfn, type, 1U << P2M_RAM);
		} else {
			assert_int_equal(page_get(&other, mfn), 0);
			other.refs++;
			rc = p2m_map_foreign(&d, gfn, mfn, &other, 1U << P2M_RAM);
			if (rc) {
				page_put(&other, mfn);
				other.refs--;
			}
		}
		assert_int_equal(rc, model[gfn].type > P2M_RAM ? -EINVAL : 0);
		if (rc)
			return;
		model[gfn].mfn = mfn;
		model[gfn].type = type;
	}
}

static void test_random(void **state)
{
	unsigned foreign = 0, before;

	(void)state;
	for (gfn_t g = 0; g < GFNS; g++)
		model_clear(g);
	d.max_pages = 4000;
	for (unsigned i = 0; i < ARRAY_SIZE(lent); i++)
		assert_int_equal(dom_alloc(&other, 0, &lent[i]), 0);
	domain_slots[0] = &other;
	for (unsigned n = 0; n < 30000; n++) {
		gfn_t gfn = arena_random() % GFNS, to = arena_random() % GFNS;
		struct p2m_entry e;
		mfn_t mfn;

		switch (arena_random() % 6) {
		case 0:
		case 1:
			random_map(gfn);
			break;
		case 2:
			if (model[gfn].type)
				assert_int_equal(p2m_unmap(&d, gfn, ~(1U << model[gfn].type)),
						 -EINVAL);
			break;
		case 3:
			assert_int_equal(p2m_unmap(&d, gfn, ~0U), model[gfn].type ? 0 : -ENOENT);
			model_clear(gfn);
			break;
		case 4:
			if (model[gfn].type != P2M_RAM || model[to].type)
				break;
			assert_int_equal(p2m_detach(&d, gfn, ~0U, &e), 0);
			assert_int_equal(e.mfn, model[gfn].mfn);
			assert_int_equal(p2m_map(&d, to, e.mfn, 0, P2M_RAM), 0);
			model[to] = model[gfn];
			model_clear(gfn);
			break;
		case 5:
			assert_int_equal(p2m_get_page(&d, gfn, &mfn),
					 model[gfn].type == P2M_RAM ? 0 : -EINVAL);
			if (model[gfn].type == P2M_RAM)
				page_put(&d, mfn);
			break;
		}
		if (n % 2000 == 0)
			for (gfn_t g = 0; g < GFNS; g++) {
				e = p2m_lookup(&d, g);
				assert_int_equal(e.type, model[g].type);
				assert_int_equal(e.mfn, model[g].mfn);
				if (e.type == P2M_RAM)
					assert_int_equal(page_owner(e.mfn), d.id);
			}
	}
	before = other.refs;
	for (gfn_t g = 0; g < GFNS; g++) {
		foreign += model[g].type == P2M_FOREIGN;
		if (model[g].type == P2M_FOREIGN)
			assert_int_equal(p2m_unmap(&d, g, 1U << P2M_FOREIGN), 0);
		assert_int_equal(other.refs, before - foreign);
	}
	assert_int_equal(other.refs, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lent); i++) {
		dom_free(&other, lent[i], 0);
		assert_true(page_owner(lent[i]) >= OWNER_NONE);
	}
}

/* Device memory goes only where nothing is, uncached unless the MTRRs make it write-back. */
static void test_device(void **state)
{
	mfn_t page = ram(0);
	u64 *at;
	unsigned level;

	(void)state;
	mtrrs = (struct mtrrs){ .phys_bits = 40, .def = MTRR_DEF_ON | MEMTYPE_UC,
				.nr_regs = MTRR_FIXED + 2 };
	mtrrs.regs[MTRR_FIXED] = 0x40000000 | MEMTYPE_WB;
	mtrrs.regs[MTRR_FIXED + 1] = ((1UL << 40) - 0x100000) | MTRR_MASK_VALID;
	assert_int_equal(p2m_map(&d, 0x80000, page, 0, P2M_RAM), 0);
	assert_int_equal(p2m_map_device(&d, 0x80000, 9), -EBUSY);
	assert_int_equal(p2m_map_device(&d, 0x80000, 0), -EINVAL);
	assert_int_equal(p2m_map_device(&d, 0x80001, 0), 0);
	assert_int_equal(p2m_map_device(&d, 0x80001, 0), -EINVAL);
	assert_int_equal(p2m_lookup(&d, 0x80001).mfn, 0x80001);
	assert_int_equal(p2m_lookup(&d, 0x80001).type, P2M_MMIO);
	assert_true(pt_walk(&d.p2m.pt, 0x80001, &level, &at) & PTE_PCD);
	/* Half of the 2 MiB is write-back. */
	assert_int_equal(p2m_map_device(&d, 0x40000, 9), -EBUSY);
	assert_int_equal(p2m_map_device(&d, 0x40000, 0), 0);
	assert_int_equal(p2m_lookup(&d, 0x40000).type, P2M_MMIO);
	assert_false(pt_walk(&d.p2m.pt, 0x40000, &level, &at) & PTE_PCD);
	assert_int_equal(p2m_map_device(&d, 0x80200, 9), 0);
	assert_int_equal(p2m_lookup(&d, 0x803ff).mfn, 0x803ff);
	assert_true(pt_walk(&d.p2m.pt, 0x80200, &level, &at) & PTE_PCD);
	mtrrs.nr_regs = 0;
	assert_int_equal(p2m_map_device(&d, 0x90000, 0), 0);
	assert_true(pt_walk(&d.p2m.pt, 0x90000, &level, &at) & PTE_PCD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_basics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_itlb_multihit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grants, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, arena_setup, NULL);
}
