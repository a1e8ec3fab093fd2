/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: random grant operations with absurd references, frames, handles and counts, on table
 * entries that change meanwhile. None may reach memory that was not granted.
 */
#include "guest.h"

#define ROUNDS	20000u

static domid_t self;

static uint64_t odd_frame(void)
{
	static const uint64_t odd[] = {
		0xfee00,     0xfffff,       0x100000, 0x7ffffffff,
		0xfffffffff, 0x10000000000, ~0ul,     1ul << 51,
	};

	return odd[random_u64() % ARRAY_SIZE(odd)];
}

static uint32_t odd_ref(void)
{
	static const uint32_t odd[] = { 0, 511, 512, 0xffff, 0x10000, 0x7fffffff, ~0u };

	return random_u64() & 1 ? (uint32_t)(random_u64() % 64) : odd[random_u64() % 7];
}

static domid_t odd_domid(void)
{
	static const uint16_t odd[] = { 0x7ff0, 0x7ff1, 0x7ff2, 0x7ff4, 0xffff, 0x7123 };

	return random_u64() & 1 ? self : odd[random_u64() % ARRAY_SIZE(odd)];
}

/* Fills the table with garbage, but without entries for own frames, which would be valid. */
static void shuffle_table(void)
{
	for (unsigned int i = FIRST_GRANT; i < 64; i++) {
		grant_table[i].domid = odd_domid();
		grant_table[i].frame = (uint32_t)odd_frame() ?: ~0u;
		grant_table[i].flags = (uint16_t)(random_u64() & 0xe7);
	}
}

static void one(uintptr_t where)
{
	struct gnttab_map_grant_ref m = {
		.host_addr = random_u64() & 1 ? where : random_u64(), .ref = odd_ref(),
		.flags = (uint32_t)random_u64() & 0x1f, .dom = odd_domid(),
	};
	struct gnttab_unmap_grant_ref u = {
		.host_addr = where, .handle = (grant_handle_t)odd_ref(),
	};
	struct gnttab_copy c = {
		.source = { .domid = odd_domid(), .offset = (uint16_t)random_u64() },
		.dest = { .domid = odd_domid(), .offset = (uint16_t)random_u64() },
		.len = (uint16_t)random_u64(), .flags = (uint16_t)(random_u64() & 7),
	};

	c.source.u.gmfn = odd_frame();
	c.dest.u.gmfn = odd_frame();
	if (c.flags & GNTCOPY_source_gref)
		c.source.u.ref = odd_ref();
	if (c.flags & GNTCOPY_dest_gref)
		c.dest.u.ref = odd_ref();
	grant_table_op(GNTTABOP_map_grant_ref, &m, 1);
	CHECK(m.status != GNTST_okay, "mapped reference %u of domain %x: frame %x", m.ref, m.dom,
	      m.ref < 64 ? grant_table[m.ref].frame : 0);
	grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1);
	CHECK(u.status != GNTST_okay, "unmapped handle %u", u.handle);
	grant_table_op(GNTTABOP_copy, &c, 1);
	CHECK(c.status != GNTST_okay, "copied with flags %x, frames %lx and %lx", c.flags,
	      (uint64_t)c.source.u.gmfn, (uint64_t)c.dest.u.gmfn);
}

static void check_rest(void)
{
	struct gnttab_transfer t = { .mfn = odd_frame(), .domid = 0x7123, .ref = 8 };
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = ~0u };
	static uint64_t frames[16];

	CHECK(grant_table_op(GNTTABOP_transfer, &t, 1) || t.status, "a page was transferred");
	set_xen_guest_handle(s.frame_list, frames);
	CHECK(grant_table_op(GNTTABOP_setup_table, &s, 1) || s.status, "%u frames set up",
	      s.nr_frames);
	s.dom = 0x7123;
	s.nr_frames = 1;
	CHECK(grant_table_op(GNTTABOP_setup_table, &s, 1) || s.status,
	      "set up somebody else's table");
	/* Counts far past the array: an error, or each entry fails. */
	grant_table_op(GNTTABOP_copy, page_alloc(1), 100000);
	grant_table_op(GNTTABOP_unmap_grant_ref, (void *)bad_pointers[0], ~0u);
}

int main(void)
{
	uintptr_t where;

	self = own_domid();
	canary_init(64);
	bad_pointers_init();
	grants_init();
	where = hole_alloc(1);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (i % 64 == 0)
			shuffle_table();
		one(where);
	}
	memset((void *)(grant_table + FIRST_GRANT), 0, 56 * sizeof(*grant_table));
	canary_check("random grants");
	check_rest();
	pass();
}
