/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the guest changes its page tables at every level, CR3, and the page behind an address.
 * It does not tell the hypervisor, which must still find the next hypercall's argument.
 */
#include "guest.h"

#define WINDOW	0x600000000000ul	/* a linear range of the guest's own: PML4 slot 192 */
#define ROUNDS	200

extern uint64_t page_tables[512];
static uint64_t pml4[512] PAGE_ALIGNED, pdpt[2][512] PAGE_ALIGNED, pd[2][512] PAGE_ALIGNED,
	pt[2][512] PAGE_ALIGNED;
static struct xen_feature_info *const arg = (void *)(WINDOW + PAGE_SIZE + 64);
static uint8_t *page[2];

/* The call reads the index and writes the structure. Index 0 is valid, others are not. */
static long call(void)
{
	return xen_version(XENVER_get_features, arg);
}

static void expect(const char *what, int round, long ret, long wanted)
{
	CHECK(ret == wanted, "%s, round %d: returned %ld, wanted %ld", what, round, ret, wanted);
}

static uint64_t entry(const void *p)
{
	return (uintptr_t)p | PTE_P | PTE_RW;
}

/* Path i ends at page i. */
static void set_up(void)
{
	for (int i = 0; i < 2; i++) {
		page[i] = page_alloc(1);
		((struct xen_feature_info *)(page[i] + 64))->submap_idx = i ? 1000 : 0;
		pt[i][1] = entry(page[i]);
		pd[i][0] = entry(pt[i]);
		pdpt[i][0] = entry(pd[i]);
	}
	page_tables[192] = entry(pdpt[0]);
}

/* Switches one entry of path 0 to the other path and back. */
static void turn(const char *what, uint64_t *e, const void *first, const void *second)
{
	for (int i = 0; i < ROUNDS; i++) {
		WRITE_ONCE(*e, entry(i & 1 ? second : first));
		write_cr3(read_cr3());
		expect(what, i, call(), i & 1 ? -XEN_EINVAL : 0);
	}
	*e = entry(first);
}

static void turn_cr3(void)
{
	for (int i = 0; i < 512; i++)
		pml4[i] = page_tables[i];
	pml4[192] = entry(pdpt[1]);
	for (int i = 0; i < ROUNDS; i++) {
		write_cr3((uintptr_t)(i & 1 ? pml4 : page_tables));
		expect("CR3", i, call(), i & 1 ? -XEN_EINVAL : 0);
	}
	write_cr3((uintptr_t)page_tables);
}

static void set_rights(uint64_t flags)
{
	WRITE_ONCE(pt[0][1], (uintptr_t)page[0] | flags);
	invlpg(arg);
}

static void rights(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		set_rights(PTE_P | PTE_RW);
		expect("writable", i, call(), 0);
		CHECK((READ_ONCE(pt[0][1]) & (PTE_A | PTE_D)) == (PTE_A | PTE_D),
		      "accessed and dirty: PTE %lx", pt[0][1]);
		set_rights(PTE_P);
		expect("read-only", i, call(), -XEN_EFAULT);
		set_rights(0);
		expect("absent", i, call(), -XEN_EFAULT);
	}
	set_rights(PTE_P | PTE_RW);
}

static long reservation(unsigned int op, xen_pfn_t gfn)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &gfn);
	return memory_op(op, &r);
}

/*
 * Releases the page and populates it again: first nothing is behind the address, then a new page.
 */
static void behind(void)
{
	xen_pfn_t gfn = (uintptr_t)page[1] / PAGE_SIZE;

	set_rights(PTE_P | PTE_RW);
	WRITE_ONCE(pt[0][1], entry(page[1]));
	invlpg(arg);
	for (int i = 0; i < 20; i++) {
		arg->submap_idx = 1000;
		expect("before", i, call(), -XEN_EINVAL);
		CHECK_RET(reservation(XENMEM_decrease_reservation, gfn), 1);
		expect("no page", i, call(), -XEN_EFAULT);
		CHECK_RET(reservation(XENMEM_populate_physmap, gfn), 1);
		arg->submap_idx = 0;
		expect("new page", i, call(), 0);
	}
}

int main(void)
{
	memory_map_init();
	set_up();
	expect("first", 0, call(), 0);
	turn("page table", &pt[0][1], page[0], page[1]);
	turn("page directory", &pd[0][0], pt[0], pt[1]);
	turn("page directory pointers", &pdpt[0][0], pd[0], pd[1]);
	turn("PML4", &page_tables[192], pdpt[0], pdpt[1]);
	turn_cr3();
	rights();
	behind();
	pass();
}
