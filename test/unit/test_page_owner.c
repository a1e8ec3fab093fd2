/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner table: allocation by page, run and chunk, splitting and merging, references, nodes and
 * scrubbing; and random operations against a model with one owner and one count per page.
 * unit-sources: common/boot/memmap.c test/unit/arena.c
 */
#include "arena.h"

#define PAGES (ARENA_SIZE / PAGE_SIZE)
#define DOMAINS 3

static struct domain dom[DOMAINS];

static void reset_domains(void)
{
	for (unsigned i = 0; i < DOMAINS; i++)
		dom[i] = (struct domain){ .id = (domid_t)(i + 1), .max_pages = 4096,
					  .node = (u8)(i == 2 ? NODE_ANY : i) };
}

static u64 free_now(void)
{
	struct mem_stats st;

	mem_stats(&st);
	return st.free_pages;
}

static void test_init(void **state)
{
	struct mem_stats st;

	(void)state;
	mem_stats(&st);
	assert_int_equal(page_owner(0), OWNER_NONE);		   /* below 1 MiB */
	assert_int_equal(page_owner(ARENA_IMAGE >> 12), OWNER_MARGAY);
	assert_int_equal(page_owner((ARENA_IMAGE + 0x22000) >> 12), OWNER_MARGAY);
	assert_int_equal(page_owner((20UL << 20) >> 12), OWNER_NONE); /* reserved early */
	assert_int_equal(page_owner(((20UL << 20) >> 12) + 2), OWNER_NONE);
	assert_int_equal(page_owner(((20UL << 20) >> 12) + 4), OWNER_FREE);
	assert_int_equal(page_owner((16UL << 20) >> 12), OWNER_NONE); /* a hole */
	assert_int_equal(page_owner(((16UL << 20) - 0x5000) >> 12), OWNER_NONE);
	assert_int_equal(page_owner(ARENA_SIZE >> 12), OWNER_NONE);
	assert_int_equal(page_owner(~0UL >> 12), OWNER_NONE);
	assert_int_equal(node_free_pages(0) + node_free_pages(1), st.free_pages);
	assert_int_equal(node_free_pages(1), (ARENA_SIZE - ARENA_NODE1) >> 12);
	/* The free memory is the map's less the reserved: 1 MiB, the image, three pages. */
	assert_true(st.free_pages + st.margay_pages <= st.total_pages);
}

/* All memory is dirty when the table gets it, and zeroed when it is allocated. */
static void test_zeroed(void **state)
{
	static mfn_t chunk[PAGES / CHUNK_PAGES];
	static void *page[PAGES];
	unsigned n = 0, p = 0;

	(void)state;
	reset_domains();
	dom[0].max_pages = PAGES;
	while (!dom_alloc(&dom[0], 9, &chunk[n])) {
		assert_true(arena_is_zero(mfn_to_virt(chunk[n]), CHUNK_SIZE));
		memset(mfn_to_virt(chunk[n]), 0x5a, CHUNK_SIZE);
		assert_int_equal(page_owner(chunk[n] + 511), 1);
		n++;
	}
	assert_int_equal(dom[0].tot_pages, n * CHUNK_PAGES);
	assert_true(n >= 24);
	while ((page[p] = alloc_page())) {
		assert_true(arena_is_zero(page[p], PAGE_SIZE));
		memset(page[p++], 0x5a, PAGE_SIZE);
	}
	assert_int_equal(free_now(), 0);
	while (n--)
		dom_free(&dom[0], chunk[n], 9);
	while (p--)
		free_page(page[p]);
	assert_int_equal(dom[0].tot_pages, 0);
	arena_check();
}

static void test_runs(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3, 5, 16, 100, 256, 510, 511, 512 };
	u8 *run[ARRAY_SIZE(sizes)];

	(void)state;
	assert_null(alloc_pages(0, NODE_ANY));
	assert_null(alloc_pages(513, NODE_ANY));
	assert_null(alloc_pages(~0U, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		run[i] = alloc_pages(sizes[i], NODE_ANY);
		assert_non_null(run[i]);
		assert_int_equal((uintptr_t)virt_to_phys(run[i]) % PAGE_SIZE, 0);
		assert_true(arena_is_zero(run[i], sizes[i] * PAGE_SIZE));
		/* A run of pages lies within one chunk, so that it is contiguous with any map. */
		assert_int_equal(virt_to_mfn(run[i]) / CHUNK_PAGES,
				 (virt_to_mfn(run[i]) + sizes[i] - 1) / CHUNK_PAGES);
		memset(run[i], (int)i + 1, sizes[i] * PAGE_SIZE);
		for (unsigned p = 0; p < sizes[i]; p++)
			assert_int_equal(page_owner(virt_to_mfn(run[i]) + p), OWNER_MARGAY);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t b = 0; b < sizes[i] * PAGE_SIZE; b += 512)
			assert_int_equal(run[i][b], i + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		free_pages(run[i], sizes[i]);
	arena_check();
}

static void test_nodes(void **state)
{
	static void *page[PAGES];
	unsigned n = 0;
	mfn_t mfn;

	(void)state;
	reset_domains();
	for (unsigned node = 0; node < 2; node++) {
		void *p = alloc_pages(7, node), *c = alloc_pages(512, node);

		assert_int_equal(virt_to_phys(p) >= ARENA_NODE1, node);
		assert_int_equal(virt_to_phys(c) >= ARENA_NODE1, node);
		assert_int_equal(dom_alloc(&dom[node], 0, &mfn), 0);
		assert_int_equal(mfn << PAGE_SHIFT >= ARENA_NODE1, node);
		dom_free(&dom[node], mfn, 0);
		while (dom_alloc_on(&dom[0], node, 9, &mfn) == -EAGAIN)
			;
		assert_int_equal(mfn << PAGE_SHIFT >= ARENA_NODE1, node);
		assert_int_equal(page_node(mfn), node);
		dom_free(&dom[0], mfn, 9);
		free_pages(p, 7);
		free_pages(c, 512);
	}
	/* A node without free memory takes pages from the other. */
	while (node_free_pages(1))
		page[n++] = alloc_pages(1, 1);
	page[n] = alloc_pages(1, 1);
	assert_non_null(page[n]);
	assert_true(virt_to_phys(page[n]) < ARENA_NODE1);
	assert_int_equal(dom_alloc_on(&dom[1], 1, 9, &mfn), -ENOMEM);
	assert_int_equal(dom[1].tot_pages, 0);
	assert_int_equal(dom_alloc(&dom[1], 9, &mfn), 0);
	assert_true(mfn << PAGE_SHIFT < ARENA_NODE1);
	dom_free(&dom[1], mfn, 9);
	do
		free_page(page[n]);
	while (n--);
	arena_check();
}

static void test_limit(void **state)
{
	mfn_t mfn[3], none;

	(void)state;
	reset_domains();
	dom[0].max_pages = 513;
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn[0]), 0);
	assert_int_equal(dom_alloc(&dom[0], 9, &none), -E2BIG);
	assert_int_equal(dom_alloc(&dom[0], 0, &mfn[1]), 0);
	assert_int_equal(dom_alloc(&dom[0], 0, &none), -E2BIG);
	assert_int_equal(dom_alloc_on(&dom[0], 0, 0, &none), -E2BIG);
	assert_int_equal(dom[0].tot_pages, 513);
	dom_free(&dom[0], mfn[1], 0);
	assert_int_equal(dom_alloc(&dom[0], 0, &mfn[1]), 0);
	dom_free(&dom[0], mfn[1], 0);
	dom_free(&dom[0], mfn[0], 9);
	assert_int_equal(dom[0].tot_pages, 0);
	arena_check();
}

/* A failed call changes nothing, also when only one page is left. */
static void test_exhaustion(void **state)
{
	void *last;
	mfn_t mfn;

	(void)state;
	reset_domains();
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn), 0);
	arena_take_all_but(0);
	assert_null(alloc_page());
	assert_null(alloc_pages(3, 1));
	assert_int_equal(dom_alloc(&dom[1], 0, &(mfn_t){ 0 }), -ENOMEM);
	assert_int_equal(dom_alloc(&dom[1], 9, &(mfn_t){ 0 }), -ENOMEM);
	assert_int_equal(dom[1].tot_pages, 0);
	/* A reference to a page of a whole chunk needs a page for the split. */
	assert_int_equal(page_get(&dom[0], mfn + 5), -ENOMEM);
	/* Freeing a page of a whole chunk needs none: the page itself holds the split. */
	dom_free(&dom[0], mfn + 5, 0);
	assert_null(alloc_page());
	dom_free(&dom[0], mfn + 6, 0);
	last = alloc_page();
	assert_ptr_equal(last, mfn_to_virt(mfn + 6));
	assert_int_equal(page_get(&dom[0], mfn + 7), 0);
	page_put(&dom[0], mfn + 7);
	free_page(last);
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		if (i != 5 && i != 6)
			dom_free(&dom[0], mfn + i, 0);
	assert_int_equal(dom[0].tot_pages, 0);
	assert_int_equal(free_now(), CHUNK_PAGES);
	arena_give();
	arena_check();
}

static void test_references(void **state)
{
	mfn_t mfn, page;
	u8 *p;

	(void)state;
	reset_domains();
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn), 0);
	page = mfn + 100;
	p = mfn_to_virt(page);
	memset(p, 0x77, PAGE_SIZE);
	assert_int_equal(page_get(&dom[1], page), -EINVAL);
	assert_int_equal(page_get(&dom[0], ~0UL), -EINVAL);
	assert_int_equal(page_get(&dom[0], PAGES), -EINVAL);
	assert_int_equal(page_get(&dom[0], page), 0);
	assert_int_equal(page_get(&dom[0], page), 0);
	/* Freed with references: it stays, keeps its owner, and accepts no new reference. */
	dom_free(&dom[0], mfn, 9);
	assert_int_equal(dom[0].tot_pages, 1);
	assert_int_equal(page_owner(page), dom[0].id);
	assert_int_equal(page_owner(page + 1), OWNER_FREE);
	assert_int_equal(page_get(&dom[0], page), -EINVAL);
	assert_int_equal(p[17], 0x77);
	page_put(&dom[0], page);
	assert_int_equal(page_owner(page), dom[0].id);
	assert_int_equal(dom[0].tot_pages, 1);
	page_put(&dom[0], page);
	assert_int_equal(page_owner(page), OWNER_FREE);
	assert_int_equal(dom[0].tot_pages, 0);
	assert_true(arena_is_zero(p, PAGE_SIZE));
	arena_check();

	/* A chunk stays split when its last reference goes, until an idle CPU merges it. */
	struct mem_stats whole, st;
	mfn_t chunk[8];
	u64 at = 0;

	dom[0].max_pages = PAGES;
	for (unsigned i = 0; i < ARRAY_SIZE(chunk); i++)
		assert_int_equal(dom_alloc(&dom[0], 9, &chunk[i]), 0);
	mem_stats(&whole);
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(chunk); i++) {
		mfn = chunk[i % ARRAY_SIZE(chunk)];
		assert_int_equal(page_get(&dom[0], mfn), 0);
		assert_int_equal(page_get(&dom[0], mfn + 511), 0);
		page_put(&dom[0], mfn);
		page_put(&dom[0], mfn + 511);
		mem_stats(&st);
		assert_int_equal(st.split_chunks - whole.split_chunks,
				 min(i + 1, ARRAY_SIZE(chunk)));
		assert_int_equal(st.margay_pages - whole.margay_pages,
				 st.split_chunks - whole.split_chunks);
		assert_int_equal(page_owner(mfn + 1), dom[0].id);
	}
	/* In use again, it is not merged, nor is one used since the last look. */
	pages_idle(this_cpu(), at += 2000000000);
	assert_int_equal(page_get(&dom[0], chunk[0]), 0);
	assert_int_equal(page_get(&dom[0], chunk[1]), 0);
	page_put(&dom[0], chunk[1]);
	pages_idle(this_cpu(), at + 1000000);
	mem_stats(&st);
	assert_int_equal(st.split_chunks - whole.split_chunks, ARRAY_SIZE(chunk));
	pages_idle(this_cpu(), at += 2000000000);
	mem_stats(&st);
	assert_int_equal(st.split_chunks - whole.split_chunks, 2);
	page_put(&dom[0], chunk[0]);
	for (unsigned i = 0; i < 2; i++)
		pages_idle(this_cpu(), at += 2000000000);
	mem_stats(&st);
	assert_int_equal(st.split_chunks, whole.split_chunks);
	assert_int_equal(st.margay_pages, whole.margay_pages);
	for (unsigned i = 0; i < ARRAY_SIZE(chunk); i++)
		dom_free(&dom[0], chunk[i], 9);
	arena_check();
}

/* The domain's limit includes the pages that serve it, until they are free. */
static void test_meta(void **state)
{
	static void *page[META_PAGES + 5 + META_PER_VCPU];
	unsigned n = 0;

	(void)state;
	reset_domains();
	dom[1].max_pages = 4 * 128;
	dom[1].max_vcpus = 1;
	while ((page[n] = dom_alloc_meta(&dom[1], 1))) {
		assert_true(arena_is_zero(page[n], PAGE_SIZE));
		assert_true(virt_to_phys(page[n]) >= ARENA_NODE1);
		assert_int_equal(dom[1].meta_pages, ++n);
	}
	assert_int_equal(n, META_PAGES + 4 + META_PER_VCPU);
	for (unsigned i = 0; i < 2; i++)
		dom_free_meta(&dom[1], page[--n], 1);
	assert_null(dom_alloc_meta(&dom[1], 3));
	page[n] = dom_alloc_meta(&dom[1], 2);
	assert_non_null(page[n]);
	assert_int_equal(dom[1].meta_pages, n + 2);
	dom_free_meta(&dom[1], page[n], 2);
	while (n)
		dom_free_meta(&dom[1], page[--n], 1);
	assert_int_equal(dom[1].meta_pages, 0);
	arena_check();
}

/* The memory that boot took from the image's chunk becomes free. */
static void test_give(void **state)
{
	u64 before = free_now();

	(void)state;
	free_pages(phys_to_virt(ARENA_IMAGE + 0x1000), 2);
	assert_int_equal(free_now(), before + 2);
	assert_int_equal(page_owner((ARENA_IMAGE >> PAGE_SHIFT) + 1), OWNER_FREE);
	assert_int_equal(page_owner(ARENA_IMAGE >> PAGE_SHIFT), OWNER_MARGAY);
	arena_mark();
}

static u64 retired_now(void)
{
	struct mem_stats st;

	mem_stats(&st);
	return st.retired_pages;
}

/* Takes all free memory and checks that the pages marked retired do not come back. */
static void check_retired(const mfn_t *mfn, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(page_owner(mfn[i]), OWNER_NONE);
	arena_take_all_but(0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(page_owner(mfn[i]), OWNER_NONE);
	arena_give();
	assert_int_equal(retired_now(), n);
}

/*
 * A page is retired while it is free, in a whole or a split chunk, owned, referenced, or holds the
 * split of its chunk.
 */
static void test_retire(void **state)
{
	u64 before = free_now();
	mfn_t gone[8], mfn, page;
	unsigned n = 0;

	(void)state;
	reset_domains();
	assert_int_equal(page_retire(~0UL >> 12), OWNER_NONE);
	assert_int_equal(page_retire((16UL << 20) >> 12), OWNER_NONE);
	/* Free, in a whole chunk: its first page and another. */
	gone[n++] = (50UL << 20) / PAGE_SIZE;
	assert_int_equal(page_retire(gone[0]), OWNER_FREE);
	gone[n++] = (52UL << 20) / PAGE_SIZE + 77;
	assert_int_equal(page_retire(gone[1]), OWNER_FREE);
	assert_int_equal(page_retire(gone[1]), OWNER_NONE);
	/* Free, in a split chunk: in the middle of a block, next to a retired one, and freed last. */
	for (unsigned i = 0; i < 2; i++) {
		gone[n++] = gone[1] + 100 + i;
		assert_int_equal(page_retire(gone[n - 1]), OWNER_FREE);
	}
	assert_int_equal(dom_alloc(&dom[0], 0, &mfn), 0);
	dom_free(&dom[0], mfn, 0);
	gone[n++] = mfn;
	assert_int_equal(page_retire(mfn), OWNER_FREE);
	check_retired(gone, n);
	/* Owned: it stays usable until it is released. */
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn), 0);
	assert_int_equal(page_retire(mfn + 3), dom[0].id);
	assert_int_equal(page_retire(mfn + 3), dom[0].id);
	gone[n++] = mfn + 3;
	assert_int_equal(retired_now(), n);
	memset(mfn_to_virt(mfn + 3), 0x33, PAGE_SIZE);
	assert_int_equal(page_get(&dom[0], mfn + 3), 0);
	page_put(&dom[0], mfn + 3);
	assert_int_equal(page_owner(mfn + 3), dom[0].id);
	/* Referenced: until the last reference is gone. */
	page = mfn + 4;
	assert_int_equal(page_get(&dom[0], page), 0);
	assert_int_equal(page_get(&dom[0], page), 0);
	assert_int_equal(page_retire(page), dom[0].id);
	gone[n++] = page;
	page_put(&dom[0], page);
	dom_free(&dom[0], mfn, 9);
	assert_int_equal(dom[0].tot_pages, 1);
	assert_int_equal(page_owner(page), dom[0].id);
	assert_int_equal(page_get(&dom[0], page), -EINVAL);
	page_put(&dom[0], page);
	assert_int_equal(dom[0].tot_pages, 0);
	check_retired(gone, n);
	assert_int_equal(((u8 *)mfn_to_virt(gone[5]))[9], 0x33); /* nobody touches it */
	/* The page that holds the split stays Margay's. */
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn), 0);
	dom_free(&dom[0], mfn + 8, 0);
	assert_int_equal(page_retire(mfn + 8), OWNER_MARGAY);
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		if (i != 8)
			dom_free(&dom[0], mfn + i, 0);
	assert_int_equal(page_owner(mfn + 8), OWNER_MARGAY);
	assert_int_equal(retired_now(), n + 1);
	/* Only the retired pages and the splits of their chunks are missing. */
	assert_true(before - free_now() <= n + 5);
	assert_int_equal(node_free_pages(0) + node_free_pages(1), free_now());
	/* No memory for the split. */
	assert_int_equal(dom_alloc(&dom[0], 9, &mfn), 0);
	arena_take_all_but(0);
	assert_int_equal(page_retire(mfn), -ENOMEM);
	arena_give();
	dom_free(&dom[0], mfn, 9);
	arena_mark();
}

/* The model: the state of each page as its users know it. */

static struct {
	u16 owner;	/* 0: free; a domain id; OWNER_MARGAY */
	u16 refs;
	bool given;
	u8 stamp;
	u16 run;	/* length of the allocation that starts here */
} model[PAGES];
static u64 model_pages, initial_free, initial_split;

static void stamp(mfn_t mfn, unsigned n, u16 owner)
{
	assert_true(arena_is_zero(mfn_to_virt(mfn), n * PAGE_SIZE));
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(model[mfn + i].owner, 0);
		model[mfn + i].owner = owner;
		model[mfn + i].stamp = (u8)(arena_random() | 1);
		/* Enough to distinguish a page from others and from a zeroed one. */
		for (unsigned at = 0; at < PAGE_SIZE; at += 256)
			((u8 *)mfn_to_virt(mfn + i))[at] = model[mfn + i].stamp;
	}
	model_pages += n;
}

static void check_stamp(mfn_t mfn)
{
	const u8 *p = mfn_to_virt(mfn);

	for (unsigned at = 0; at < PAGE_SIZE; at += 256)
		if (p[at] != model[mfn].stamp)
			fail_msg("page %lx: %x where %x was written", (unsigned long)mfn, p[at],
				 model[mfn].stamp);
}

static void forget(mfn_t mfn)
{
	check_stamp(mfn);
	model[mfn].owner = model[mfn].run = 0;
	model[mfn].given = false;
	model_pages--;
}

static void model_dom_free(mfn_t mfn)
{
	if (model[mfn].refs)
		model[mfn].given = true;
	else
		forget(mfn);
}

static mfn_t find(bool (*match)(mfn_t))
{
	mfn_t from = arena_random() % PAGES;

	for (u64 i = 0; i < PAGES; i++)
		if (match((from + i) % PAGES))
			return (from + i) % PAGES;
	return INVALID_MFN;
}

static bool is_run(mfn_t m) { return model[m].run; }
static bool is_domains(mfn_t m) { return model[m].owner - 1U < DOMAINS && !model[m].given; }
static bool is_referenced(mfn_t m) { return model[m].refs; }

static bool whole(mfn_t first)
{
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		if (model[first + i].owner != model[first].owner || model[first + i].given)
			return false;
	return is_domains(first);
}

static void random_alloc(void)
{
	unsigned n = arena_random() % 4 ? 1 + arena_random() % 20 : 1 + arena_random() % 512;
	u8 *p;

	if (n > CHUNK_PAGES / 2)	/* the model would lose the rest of the chunk */
		n = CHUNK_PAGES;
	p = alloc_pages(n, arena_random() % 3);

	if (!p)
		return;
	stamp(virt_to_mfn(p), n, OWNER_MARGAY);
	model[virt_to_mfn(p)].run = (u16)n;
}

static void random_dom_alloc(void)
{
	struct domain *d = &dom[arena_random() % DOMAINS];
	unsigned order = arena_random() % 4 ? 0 : 9;
	u64 before = d->tot_pages;
	mfn_t mfn;
	int rc = dom_alloc(d, order, &mfn);

	assert_int_equal(d->tot_pages, before + (rc ? 0 : 1U << order));
	assert_int_equal(rc == -E2BIG, before + (1U << order) > d->max_pages);
	if (!rc)
		stamp(mfn, 1U << order, d->id);
}

static void random_free(void)
{
	mfn_t mfn = find(is_run);
	unsigned n;

	if (mfn == INVALID_MFN)
		return;
	n = model[mfn].run;
	for (unsigned i = 0; i < n; i++)
		forget(mfn + i);
	free_pages(mfn_to_virt(mfn), n);
}

static void random_dom_free(void)
{
	mfn_t mfn = find(is_domains), first = ALIGN_DOWN(mfn, (mfn_t)CHUNK_PAGES);
	struct domain *d;

	if (mfn == INVALID_MFN)
		return;
	d = &dom[model[mfn].owner - 1];
	if (whole(first) && arena_random() % 2) {
		for (unsigned i = 0; i < CHUNK_PAGES; i++)
			model_dom_free(first + i);
		dom_free(d, first, 9);
		return;
	}
	model_dom_free(mfn);
	dom_free(d, mfn, 0);
}

static void random_get(void)
{
	mfn_t mfn = arena_random() % 4 ? find(is_domains) : arena_random() % PAGES;
	const struct domain *d = &dom[arena_random() % DOMAINS];
	int rc;

	if (mfn == INVALID_MFN)
		return;
	rc = page_get(d, mfn);
	if (model[mfn].owner != d->id || model[mfn].given)
		assert_true(rc == -EINVAL);
	else if (rc)
		assert_int_equal(rc, -ENOMEM);
	else
		model[mfn].refs++;
}

static void random_put(void)
{
	mfn_t mfn = find(is_referenced);
	u16 owner;

	if (mfn == INVALID_MFN)
		return;
	check_stamp(mfn);
	owner = model[mfn].owner;
	if (!--model[mfn].refs && model[mfn].given)
		forget(mfn);
	page_put(&dom[owner - 1], mfn);
}

static void check_model(void)
{
	u64 pages[DOMAINS] = { 0 };
	struct mem_stats st;

	mem_stats(&st);
	for (mfn_t m = 0; m < PAGES; m++) {
		u16 owner = page_owner(m);

		if (model[m].owner)
			assert_int_equal(owner, model[m].owner);
		else
			assert_true(owner >= OWNER_NONE);
		if (model[m].owner - 1U < DOMAINS)
			pages[model[m].owner - 1]++;
	}
	for (unsigned i = 0; i < DOMAINS; i++)
		assert_int_equal(dom[i].tot_pages, pages[i]);
	/* Pages that are neither free nor used hold splits, at most one page each. */
	assert_true(st.free_pages + model_pages <= initial_free);
	assert_true(initial_free - st.free_pages - model_pages <= st.split_chunks - initial_split);
	assert_int_equal(node_free_pages(0) + node_free_pages(1), st.free_pages);
}

static void release_all(void)
{
	mfn_t mfn;

	while ((mfn = find(is_referenced)) != INVALID_MFN)
		random_put();
	while (find(is_run) != INVALID_MFN)
		random_free();
	for (mfn = 0; mfn < PAGES; mfn++)
		if (is_domains(mfn)) {
			struct domain *d = &dom[model[mfn].owner - 1];

			forget(mfn);
			dom_free(d, mfn, 0);
		}
	assert_int_equal(model_pages, 0);
}

static void test_random(void **state)
{
	static void (*const ops[])(void) = { random_alloc, random_free,	 random_dom_alloc,
					     random_dom_alloc, random_dom_free, random_get,
					     random_get,       random_put };
	struct mem_stats st;

	(void)state;
	reset_domains();
	arena_mark();
	mem_stats(&st);
	initial_free = st.free_pages;
	initial_split = st.split_chunks;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 3000; i++) {
			ops[arena_random() % ARRAY_SIZE(ops)]();
			if (i % 250 == 0)
				check_model();
		}
		release_all();
		check_model();
		arena_check();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),	   cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_runs),	   cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_limit),	   cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_references), cmocka_unit_test(test_give),
		cmocka_unit_test(test_meta),	   cmocka_unit_test(test_random),
		cmocka_unit_test(test_retire),
	};

	return cmocka_run_group_tests(tests, arena_setup, NULL);
}
