/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: GNTTABOP_copy between own and granted frames: offsets, limits and refusals. */
#include "guest.h"

#define SRC_REF		8u
#define DST_REF		9u
#define RO_REF		10u

static domid_t self;
static uint8_t src[PAGE_SIZE] PAGE_ALIGNED, dst[PAGE_SIZE] PAGE_ALIGNED;

static struct gnttab_copy between(unsigned int flags, unsigned int from, unsigned int to,
				  unsigned int len)
{
	struct gnttab_copy c = { .len = (uint16_t)len, .flags = (uint16_t)flags };

	c.source.offset = (uint16_t)from;
	c.dest.offset = (uint16_t)to;
	c.source.domid = c.dest.domid = DOMID_SELF;
	if (flags & GNTCOPY_source_gref) {
		c.source.u.ref = SRC_REF;
		c.source.domid = self;
	} else {
		c.source.u.gmfn = (uintptr_t)src >> PAGE_SHIFT;
	}
	if (flags & GNTCOPY_dest_gref) {
		c.dest.u.ref = DST_REF;
		c.dest.domid = self;
	} else {
		c.dest.u.gmfn = (uintptr_t)dst >> PAGE_SHIFT;
	}
	return c;
}

static int copy(struct gnttab_copy c)
{
	CHECK_RET(grant_table_op(GNTTABOP_copy, &c, 1), 0);
	return c.status;
}

static void prepare(void)
{
	for (unsigned int i = 0; i < PAGE_SIZE; i++)
		src[i] = (uint8_t)(i * 7 + 3);
	memset(dst, 0xee, PAGE_SIZE);
}

static void check_copied(unsigned int from, unsigned int to, unsigned int len)
{
	for (unsigned int i = 0; i < PAGE_SIZE; i++) {
		uint8_t want = i >= to && i < to + len ? src[from + i - to] : 0xee;

		CHECK(READ_ONCE(dst[i]) == want, "byte %u is %x, wanted %x (%u bytes, %u to %u)", i,
		      dst[i], want, len, from, to);
	}
}

static void check_good(void)
{
	static const unsigned int ranges[][3] = {
		{ 0, 0, PAGE_SIZE }, { 1, 3, 100 }, { 4095, 0, 1 }, { 0, 4095, 1 },
		{ 2048, 1024, 2048 }, { 17, 4000, 96 }, { 5, 5, 0 },
	};

	for (unsigned int flags = 0; flags < 4; flags++)
		for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++) {
			const unsigned int *r = ranges[i];

			prepare();
			CHECK_RET(copy(between(flags, r[0], r[1], r[2])), GNTST_okay);
			check_copied(r[0], r[1], r[2]);
		}
	CHECK(!grant_in_use(SRC_REF), "source flags %x", grant_table[SRC_REF].flags);
	CHECK(!grant_in_use(DST_REF), "destination flags %x", grant_table[DST_REF].flags);
}

static void check_bad(void)
{
	struct gnttab_copy c;
	int status;

	prepare();
	CHECK_RET(copy(between(3, 1, 0, PAGE_SIZE)), GNTST_bad_copy_arg);
	CHECK_RET(copy(between(3, 0, 1, PAGE_SIZE)), GNTST_bad_copy_arg);
	CHECK_RET(copy(between(0, PAGE_SIZE, 0, 1)), GNTST_bad_copy_arg);
	CHECK_RET(copy(between(0, 0xffff, 0, 0xffff)), GNTST_bad_copy_arg);
	c = between(3, 0, 0, 64);
	c.source.u.ref = ~0u;
	CHECK_RET(copy(c), GNTST_bad_gntref);
	c = between(3, 0, 0, 64);
	c.dest.u.ref = RO_REF;
	CHECK_RET(copy(c), GNTST_general_error);
	c = between(3, 0, 0, 64);
	c.source.u.ref = 77;					/* never granted */
	CHECK_RET(copy(c), GNTST_general_error);
	c = between(3, 0, 0, 64);
	c.source.domid = 0x7123;
	CHECK_RET(copy(c), GNTST_bad_domain);
	c = between(0, 0, 0, 64);
	c.dest.domid = 0x7123;					/* another domain's frame */
	status = copy(c);
	CHECK(status == GNTST_permission_denied || status == GNTST_bad_domain,
	      "a frame of somebody else: %d", status);
	c = between(0, 0, 0, 64);
	c.dest.u.gmfn = 0x7f0000000;
	CHECK(copy(c) < 0, "copied to a frame that is not there");
	check_copied(0, 0, 0);

	/* A read-only grant is a valid source. */
	c = between(GNTCOPY_source_gref, 0, 0, 64);
	c.source.u.ref = RO_REF;
	CHECK_RET(copy(c), GNTST_okay);
	check_copied(0, 0, 64);
}

/* Checks that each entry of a batch has its own result. */
static void check_batch(void)
{
	struct gnttab_copy batch[3];

	prepare();
	batch[0] = between(3, 0, 0, 16);
	batch[1] = between(3, 0, 16, PAGE_SIZE);
	batch[2] = between(3, 16, 16, 16);
	CHECK_RET(grant_table_op(GNTTABOP_copy, batch, 3), 0);
	CHECK(batch[0].status == GNTST_okay && batch[1].status == GNTST_bad_copy_arg &&
		      batch[2].status == GNTST_okay,
	      "batch: %d, %d, %d", batch[0].status, batch[1].status, batch[2].status);
	check_copied(0, 0, 32);
}

int main(void)
{
	self = own_domid();
	grants_init();
	grant(SRC_REF, self, src, 0);
	grant(DST_REF, self, dst, 0);
	grant(RO_REF, self, src, GTF_readonly);
	check_good();
	check_bad();
	check_batch();
	CHECK_RET(grant_table_op(GNTTABOP_copy, (void *)0x7f0000000000, 1), -XEN_EFAULT);
	pass();
}
