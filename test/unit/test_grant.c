/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants: mapping, copying, the in-use flags of shared entries, and references to pages.
 * unit-sources: common/evtchn.c common/evtchn_fifo.c common/evtchn_bind.c common/grant.c common/grant_map.c test/unit/mock_guest.c
 */
#include "mock_guest.h"

#include <margay/domain_parts.h>

#define A mock_dom[1]
#define B mock_dom[2]
#define C mock_dom[3]
#define GPA(gfn) ((u64)(gfn) << PAGE_SHIFT)
#define IN_USE (GTF_reading | GTF_writing)

static struct grant_entry_v1 *entry(struct domain *d, grant_ref_t ref)
{
	mfn_t mfn;

	assert_int_equal(grant_frame(d, ref / GRANT_PER_FRAME, &mfn), 0);
	return (struct grant_entry_v1 *)mfn_to_virt(mfn) + ref % GRANT_PER_FRAME;
}

/* Grants d's page at gfn to `to`; allocates the page if needed. */
static mfn_t grant(struct domain *d, grant_ref_t ref, struct domain *to, gfn_t gfn, u16 flags)
{
	struct grant_entry_v1 *e = entry(d, ref);
	struct p2m_entry p = p2m_lookup(d, gfn);

	e->frame = (u32)gfn;
	e->domid = to->id;
	e->flags = GTF_permit_access | flags;
	return p.type == P2M_NONE ? mock_ram(d, gfn) : p.mfn;
}

static int map(struct domain *d, struct domain *rd, grant_ref_t ref, gfn_t gfn, u32 flags,
	       u32 *handle)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = GPA(gfn), .flags = GNTMAP_host_map | flags, .ref = ref, .dom = rd->id,
		.handle = 0xdead,
	};

	grant_map(d, &op, 1);
	if (handle)
		*handle = op.handle;
	if (op.status != GNTST_okay)
		assert_int_equal(op.handle, 0xdead);
	return op.status;
}

static int unmap(struct domain *d, u32 handle, gfn_t gfn)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = GPA(gfn), .handle = handle };

	grant_unmap(d, &op);
	return op.status;
}

static void test_map(void **state)
{
	mfn_t mfn = grant(A, 8, B, 16, 0);
	u32 ro, rw, rw2;

	(void)state;
	assert_int_equal(map(B, A, 8, 100, GNTMAP_readonly, &ro), GNTST_okay);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(p2m_lookup(B, 100).type, P2M_GRANT_RO);
	assert_int_equal(p2m_lookup(B, 100).mfn, mfn);
	assert_int_equal(mock_page_refs(mfn), 1);
	assert_int_equal(map(B, A, 8, 101, 0, &rw), GNTST_okay);
	assert_int_equal(map(B, A, 8, 102, 0, &rw2), GNTST_okay);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(p2m_lookup(B, 101).type, P2M_GRANT_RW);
	assert_int_equal(A->refs, 4);

	assert_int_equal(unmap(B, rw, 101), GNTST_okay);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(p2m_lookup(B, 101).type, P2M_NONE);
	assert_int_equal(unmap(B, rw, 101), GNTST_bad_handle);
	assert_int_equal(unmap(B, rw2, 102), GNTST_okay);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access | GTF_reading);
	/* Address 0: the call changes no mapping. */
	assert_int_equal(unmap(B, ro, 0), GNTST_okay);
	assert_int_equal(p2m_lookup(B, 100).type, P2M_GRANT_RO);
	assert_int_equal(unmap(B, ro, 101), GNTST_general_error);
	assert_int_equal(unmap(C, ro, 100), GNTST_bad_handle);
	assert_int_equal(unmap(B, ro, 100), GNTST_okay);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);
	assert_int_equal(mock_page_refs(mfn), 0);
	assert_int_equal(A->refs, 1);
	assert_int_equal(unmap(B, ~0U, 100), GNTST_bad_handle);
}

static void test_map_refused(void **state)
{
	struct gnttab_map_grant_ref op = { .ref = 8, .dom = 1, .host_addr = GPA(100) };
	mfn_t mfn = grant(A, 8, B, 16, GTF_readonly);
	u32 h;

	(void)state;
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_bad_gntref);
	op.flags = GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly;
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_general_error);
	op.flags = GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly;
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_general_error);
	op.flags = GNTMAP_host_map;
	op.dom = 77;
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_bad_domain);
	op.dom = DOMID_SELF;
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_bad_domain);

	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_general_error); /* read-only grant */
	assert_int_equal(map(C, A, 8, 100, GNTMAP_readonly, &h), GNTST_general_error);
	assert_int_equal(map(B, A, 9, 100, 0, &h), GNTST_general_error); /* nothing granted */
	assert_int_equal(map(B, A, GRANT_PER_FRAME, 100, 0, &h), GNTST_bad_gntref);
	assert_int_equal(map(B, A, ~0U, 100, 0, &h), GNTST_bad_gntref);
	assert_int_equal(map(B, A, 8, MOCK_GFNS, GNTMAP_readonly, &h), GNTST_general_error);
	entry(A, 8)->flags = GTF_accept_transfer;
	assert_int_equal(map(B, A, 8, 100, GNTMAP_readonly, &h), GNTST_general_error);
	entry(A, 8)->flags = GTF_transitive;
	assert_int_equal(map(B, A, 8, 100, GNTMAP_readonly, &h), GNTST_general_error);
	entry(A, 8)->flags = GTF_permit_access;
	entry(A, 8)->frame = 17; /* no page there */
	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_bad_page);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);
	mock_alloc_left = 0;
	entry(A, 8)->frame = 16;
	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_general_error);
	mock_alloc_left = -1;
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);
	assert_int_equal(mock_page_refs(mfn), 0);
	assert_int_equal(A->refs, 1);
	assert_int_equal(p2m_lookup(B, 100).type, P2M_NONE);

	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_okay);
	/* B uses the entry: C cannot map it, even if the entry now names C. */
	entry(A, 8)->domid = 3;
	assert_int_equal(map(C, A, 8, 100, GNTMAP_readonly, NULL), GNTST_general_error);
	/* A grant mapping does not replace another. */
	grant(A, 10, B, 18, 0);
	assert_int_equal(map(B, A, 10, 100, 0, NULL), GNTST_general_error);
	assert_int_equal(entry(A, 10)->flags, GTF_permit_access);
	/* Pages mapped by grant cannot be granted again, nor can Margay's pages. */
	grant(B, 8, C, 100, 0);
	assert_int_equal(map(C, B, 8, 100, 0, NULL), GNTST_bad_page);
	assert_int_equal(unmap(B, h, 100), GNTST_okay);
	assert_int_equal(mock_page_refs(mfn), 0);
}

static void test_replaces_ram(void **state)
{
	unsigned before;
	u32 h;

	(void)state;
	grant(A, 8, B, 16, 0);
	entry(B, 0);
	before = mock_pages_in_use();
	mock_ram(B, 100);
	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_okay);
	assert_int_equal(mock_pages_in_use(), before + 2); /* for the handles and for the pins */
	/* Nothing but its handle ends the mapping. */
	assert_int_equal(p2m_map(B, 100, 1, 0, P2M_RAM), -EINVAL);
	assert_int_equal(map(B, A, 8, 100, 0, NULL), GNTST_general_error);
	assert_int_equal(unmap(B, h, 101), GNTST_general_error);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(unmap(B, h, 100), GNTST_okay);
	assert_int_equal(p2m_lookup(B, 100).type, P2M_NONE);
}

static void test_granter_gives_up_page(void **state)
{
	mfn_t mfn = grant(A, 8, B, 16, 0);
	unsigned before = mock_pages_in_use();
	u32 h;

	(void)state;
	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_okay);
	entry(A, 8)->flags = 0;
	p2m_unmap(A, 16, ~0U);
	before = mock_pages_in_use();
	assert_int_equal(page_owner(mfn), 1); /* B still maps it */
	assert_int_equal(unmap(B, h, 100), GNTST_okay);
	assert_int_equal(mock_pages_in_use(), before - 1);
	assert_int_equal(entry(A, 8)->flags, 0);
	/* Nobody can map the grant again. */
	assert_int_equal(map(B, A, 8, 100, 0, NULL), GNTST_general_error);
}

/* To a log of dirty pages, a page has been written when a use for writing ends. */
static void test_logged(void **state)
{
	struct gnttab_copy copy = { .source = { .u.ref = 8, .domid = 1 },
				    .flags = GNTCOPY_source_gref,
				    .dest = { .u.gmfn = 17, .domid = DOMID_SELF },
				    .len = 8 };
	u32 ro, rw;

	(void)state;
	grant(A, 8, B, 16, 0);
	assert_int_equal(map(B, A, 8, 99, 0, &rw), GNTST_okay);
	assert_int_equal(unmap(B, rw, 99), GNTST_okay);
	assert_int_equal(A->p2m.log.dirty, 0);
	A->p2m.log.on = true;
	assert_int_equal(map(B, A, 8, 100, GNTMAP_readonly, &ro), GNTST_okay);
	assert_int_equal(map(B, A, 8, 101, 0, &rw), GNTST_okay);
	assert_int_equal(unmap(B, ro, 100), GNTST_okay);
	assert_int_equal(A->p2m.log.dirty, 0);
	assert_int_equal(unmap(B, rw, 101), GNTST_okay);
	assert_int_equal(A->p2m.log.dirty, 1);
	/* B copies to its own page, and then back. */
	B->p2m.log.on = true;
	mock_ram(B, 17);
	grant_copy(B, &copy);
	assert_int_equal(copy.status, GNTST_okay);
	assert_int_equal(A->p2m.log.dirty, 1);
	assert_int_equal(B->p2m.log.dirty, 1);
	copy.flags = GNTCOPY_dest_gref;
	copy.dest = copy.source;
	copy.source = (struct gnttab_copy_ptr){ .u.gmfn = 17, .domid = DOMID_SELF };
	grant_copy(B, &copy);
	assert_int_equal(copy.status, GNTST_okay);
	assert_int_equal(A->p2m.log.dirty, 2);
	assert_int_equal(B->p2m.log.dirty, 1);
}

static void test_deaths(void **state)
{
	u32 h, i;

	(void)state;
	for (i = 0; i < 100; i++) {
		grant(A, 8 + i, B, 16 + i, 0);
		assert_int_equal(map(B, A, 8 + i, 100 + i, 0, &h), GNTST_okay);
	}
	assert_int_equal(grant_part.destroy(B), -ERESTART);
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);
	assert_int_equal(entry(A, 107)->flags, GTF_permit_access | IN_USE);
	mock_destroy(B);
	assert_null(mock_dom[2]);
	assert_int_equal(entry(A, 107)->flags, GTF_permit_access);
	assert_int_equal(A->refs, 1);

	/* The granter is destroyed first: its pages and table last until they are unmapped. */
	grant(A, 200, C, 300, 0);
	assert_int_equal(map(C, A, 200, 50, 0, &h), GNTST_okay);
	assert_int_equal(grant_part.destroy(A), 0);
	assert_int_equal(map(C, A, 200, 51, 0, NULL), GNTST_bad_domain);
	mock_destroy(A);
	assert_non_null(mock_dom[1]);
	memset(mfn_to_virt(p2m_lookup(C, 50).mfn), 1, PAGE_SIZE);
	assert_int_equal(map(C, A, 200, 51, 0, NULL), GNTST_bad_domain);
	assert_int_equal(unmap(C, h, 50), GNTST_okay);
	assert_null(mock_dom[1]);
}

static void test_limits(void **state)
{
	struct gnttab_map_grant_ref op = { .flags = GNTMAP_host_map, .ref = 8, .dom = 1 };
	u32 i, n = 0;

	(void)state;
	for (i = 0; i < 70; i++)
		grant(A, 8 + i, B, 16 + i, 0);
	for (i = 0; i < 128; i++)
		assert_int_equal(map(B, A, 8, 100 + i, 0, NULL), GNTST_okay);
	assert_int_equal(map(B, A, 8, 100 + i, 0, NULL), GNTST_general_error);
	for (n = 128; n < MOCK_GFNS - 100; n++) {
		op.ref = 8 + n / 128;
		op.host_addr = GPA(100 + n);
		grant_map(B, &op, 1);
		if (op.status != GNTST_okay)
			break;
	}
	assert_int_equal(op.status, GNTST_no_device_space);
	assert_int_equal(n, 8192);
	assert_int_equal(unmap(B, 4711, 100 + 4711), GNTST_okay);
	grant_map(B, &op, 1);
	assert_int_equal(op.status, GNTST_okay);
	assert_int_equal(op.handle, 4711);
}

static void test_frames(void **state)
{
	mfn_t mfn;

	(void)state;
	assert_int_equal(grant_nr_frames(A), 1);
	assert_true(*grant_frame_gfn(A, 0) == INVALID_GFN);
	assert_int_equal(grant_frame(A, GRANT_MAX_FRAMES, &mfn), -EINVAL);
	mock_alloc_left = 2;
	assert_int_equal(grant_frame(A, 3, &mfn), -ENOMEM);
	mock_alloc_left = -1;
	assert_int_equal(grant_nr_frames(A), 3);
	assert_int_equal(grant_frame(A, GRANT_MAX_FRAMES - 1, &mfn), 0);
	assert_int_equal(grant_nr_frames(A), GRANT_MAX_FRAMES);
	grant(A, GRANT_MAX_FRAMES * GRANT_PER_FRAME - 1, B, 16, 0);
	assert_int_equal(map(B, A, GRANT_MAX_FRAMES * GRANT_PER_FRAME - 1, 16, 0, NULL),
			 GNTST_okay);
}

static int copy(struct domain *d, struct gnttab_copy op)
{
	op.status = 99;
	grant_copy(d, &op);
	return op.status;
}

static void test_copy(void **state)
{
	mfn_t a = grant(A, 8, B, 16, 0), b = mock_ram(B, 20), r = grant(A, 9, B, 17, GTF_readonly);
	struct gnttab_copy op = {
		.source = { .u.ref = 8, .domid = 1, .offset = 100 },
		.dest = { .u.gmfn = 20, .domid = DOMID_SELF, .offset = 4000 },
		.len = 96, .flags = GNTCOPY_source_gref,
	};
	struct gnttab_copy t;
	char *pa = mfn_to_virt(a), *pb = mfn_to_virt(b);

	(void)state;
	memset(pa, 'a', PAGE_SIZE);
	assert_int_equal(copy(B, op), GNTST_okay);
	assert_int_equal(pb[3999], 0);
	assert_int_equal(pb[4000], 'a');
	assert_int_equal(pb[4095], 'a');
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);

	t = op, t.len = 97;
	assert_int_equal(copy(B, t), GNTST_bad_copy_arg);
	t = op, t.source.offset = 4001;
	assert_int_equal(copy(B, t), GNTST_bad_copy_arg);
	t = op, t.source.offset = t.dest.offset = t.len = 0xffff;
	assert_int_equal(copy(B, t), GNTST_bad_copy_arg);
	t = op, t.dest.offset = 4096, t.len = 0;
	assert_int_equal(copy(B, t), GNTST_okay);
	t = op, t.flags = 0; /* another domain's page, by frame number */
	assert_int_equal(copy(B, t), GNTST_permission_denied);
	t = op, t.source.domid = 99;
	assert_int_equal(copy(B, t), GNTST_bad_domain);
	t = op, t.dest.u.gmfn = 21;
	assert_int_equal(copy(B, t), GNTST_bad_page);
	t = op, t.source.u.ref = 77;
	assert_int_equal(copy(B, t), GNTST_general_error);
	t = op, t.source.u.ref = 100000;
	assert_int_equal(copy(B, t), GNTST_bad_gntref);
	assert_int_equal(copy(C, op), GNTST_general_error);

	/* To a grant: refused if read-only. */
	t = op, t.source = op.dest, t.dest = op.source, t.flags = GNTCOPY_dest_gref;
	memset(pb, 'b', PAGE_SIZE);
	assert_int_equal(copy(B, t), GNTST_okay);
	assert_int_equal(pa[99], 'a');
	assert_int_equal(pa[100], 'b');
	assert_int_equal(pa[195], 'b');
	assert_int_equal(pa[196], 'a');
	t.dest.u.ref = 9;
	assert_int_equal(copy(B, t), GNTST_general_error);
	/* Both by grant, overlapping in one page. */
	t = op, t.flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, t.dest = t.source;
	t.dest.offset = 110;
	pa[100] = '1';
	assert_int_equal(copy(B, t), GNTST_okay);
	assert_int_equal(pa[110], '1');
	assert_int_equal(entry(A, 8)->flags, GTF_permit_access);
	assert_int_equal(entry(A, 9)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(mock_page_refs(a) + mock_page_refs(b) + mock_page_refs(r), 0);
	assert_int_equal(A->refs, 1);
	assert_int_equal(B->refs, 1);
}

static void test_swap(void **state)
{
	u32 h;

	(void)state;
	grant(A, 8, B, 16, 0);
	grant(A, 9, C, 17, GTF_readonly);
	assert_int_equal(grant_swap(A, 8, 100000), GNTST_bad_gntref);
	assert_int_equal(grant_swap(A, 100000, 8), GNTST_bad_gntref);
	assert_int_equal(grant_swap(A, 8, 8), GNTST_okay);
	assert_int_equal(map(B, A, 8, 100, 0, &h), GNTST_okay);
	assert_int_equal(grant_swap(A, 8, 9), GNTST_eagain);
	assert_int_equal(grant_swap(A, 9, 8), GNTST_eagain);
	assert_int_equal(unmap(B, h, 100), GNTST_okay);
	assert_int_equal(grant_swap(A, 8, 9), GNTST_okay);
	assert_int_equal(entry(A, 8)->frame, 17);
	assert_int_equal(entry(A, 8)->domid, 3);
	assert_int_equal(entry(A, 9)->flags, GTF_permit_access);
	assert_int_equal(map(B, A, 9, 100, 0, NULL), GNTST_okay);
}

static void test_self(void **state)
{
	mfn_t mfn = grant(A, 8, A, 16, 0);
	u32 h;

	(void)state;
	assert_int_equal(map(A, A, 8, 100, 0, &h), GNTST_okay);
	assert_int_equal(p2m_lookup(A, 100).mfn, mfn);
	assert_int_equal(unmap(A, h, 100), GNTST_okay);
	assert_int_equal(map(A, A, 8, 100, 0, &h), GNTST_okay); /* the teardown releases it */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, mock_setup, mock_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_map),	   TEST(test_map_refused), TEST(test_replaces_ram),
		TEST(test_deaths), TEST(test_limits),	   TEST(test_granter_gives_up_page),
		TEST(test_frames), TEST(test_copy),	   TEST(test_swap),
		TEST(test_self),   TEST(test_logged),
	};

	return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
