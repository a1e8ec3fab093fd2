/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the guest's own page tables: 4K, 2M and 1G pages, NX, WP, accessed and dirty bits. */
#include "guest.h"

#define WINDOW	0x600000000000ul	/* a linear range of our own: PML4 slot 192 */
#define RET	0xc3

extern uint64_t page_tables[512];
static uint64_t pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static uint8_t page[PAGE_SIZE] PAGE_ALIGNED;

static void set_up(void)
{
	page_tables[192] = (uintptr_t)pdpt | PTE_P | PTE_RW;
	pdpt[0] = (uintptr_t)pd | PTE_P | PTE_RW;
	pd[0] = (uintptr_t)pt | PTE_P | PTE_RW;
}

static void set_pte(uint64_t flags)
{
	pt[1] = (uintptr_t)page | flags;
	invlpg((void *)(WINDOW + PAGE_SIZE));
}

static void fault(const char *what, int vector, uint64_t error)
{
	CHECK(vector == X86_PF, "%s: vector %d", what, vector);
	CHECK(this_cpu()->fault.error == error, "%s: error code %lx, wanted %lx", what,
	      this_cpu()->fault.error, error);
	CHECK((this_cpu()->fault.cr2 & ~0xffful) == WINDOW + PAGE_SIZE, "%s: CR2 %lx", what,
	      this_cpu()->fault.cr2);
}

static void check_rights(void)
{
	volatile uint8_t *p = (volatile uint8_t *)(WINDOW + PAGE_SIZE);
	unsigned int bits = cpuid(0x80000008, 0).a & 0xff;

	page[0] = RET;
	set_pte(PTE_P | PTE_RW);
	CHECK(*p == RET, "4K page reads %x", *p);
	CHECK((READ_ONCE(pt[1]) & (PTE_A | PTE_D)) == PTE_A, "PTE %lx after a read", pt[1]);
	p[1] = 0x42;
	CHECK(READ_ONCE(page[1]) == 0x42, "4K page lost a write");
	CHECK((READ_ONCE(pt[1]) & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "PTE %lx after a write",
	      pt[1]);
	((void (*)(void))p)();

	set_pte(PTE_P | PTE_RW | PTE_NX);
	fault("execute with NX", FAULT_OF(((void (*)(void))p)()), 0x11);
	set_pte(PTE_P);
	fault("write with WP", FAULT_OF(p[1] = 1), 3);
	CHECK(page[1] == 0x42, "written in spite of the fault");
	write_cr0(read_cr0() & ~CR0_WP);
	CHECK(FAULT_OF(p[1] = 0x43) < 0, "write without WP");
	CHECK(READ_ONCE(page[1]) == 0x43, "write without WP lost");
	write_cr0(read_cr0() | CR0_WP);
	invlpg((void *)(uintptr_t)p);
	fault("write with WP again", FAULT_OF(p[1] = 1), 3);
	set_pte(0);
	fault("absent", FAULT_OF((void)*p), 0);
	if (bits < 52) {
		set_pte(PTE_P | PTE_RW | 1ull << 51);
		/* QEMU 7.2 omits bit 0 (present). */
		CHECK(FAULT_OF((void)*p) == X86_PF && this_cpu()->fault.error & 8,
		      "reserved bit: vector %d, error code %lx", this_cpu()->fault.vector,
		      this_cpu()->fault.error);
	}
	set_pte(PTE_P | PTE_RW);
}

static void check_large(void)
{
	uint64_t *two_m = (uint64_t *)(WINDOW + 0x200000),
		 *one_g = (uint64_t *)(WINDOW + (1ul << 30));
	uintptr_t base = (uintptr_t)page & ~0x1ffffful;
	volatile uint8_t *p;

	pd[1] = base | PTE_P | PTE_RW | PTE_PS;
	p = (volatile uint8_t *)two_m + ((uintptr_t)page - base);
	CHECK(*p == RET, "2M page reads %x", *p);
	p[2] = 0x77;
	CHECK(READ_ONCE(page[2]) == 0x77, "2M page lost a write");
	CHECK((READ_ONCE(pd[1]) & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "PDE %lx", pd[1]);
	if (!(cpuid(0x80000001, 0).d & 1u << 26)) {
		printf("no 1G pages offered\n");
		return;
	}
	pdpt[1] = PTE_P | PTE_RW | PTE_PS;
	p = (volatile uint8_t *)one_g + (uintptr_t)page;
	CHECK(*p == RET && p[2] == 0x77, "1G page reads %x, %x", *p, p[2]);
	p[3] = 0x99;
	CHECK(READ_ONCE(page[3]) == 0x99, "1G page lost a write");
}

/* Changes many mappings in place, so that stale translations show. */
static void check_remap(void)
{
	static uint8_t other[PAGE_SIZE] PAGE_ALIGNED;
	volatile uint8_t *p = (volatile uint8_t *)(WINDOW + PAGE_SIZE);

	page[9] = 1;
	other[9] = 2;
	for (int i = 0; i < 1000; i++) {
		pt[1] = (i & 1 ? (uintptr_t)other : (uintptr_t)page) | PTE_P | PTE_RW;
		if (i & 2)
			invlpg((void *)(uintptr_t)p);
		else
			write_cr3(read_cr3());
		CHECK(p[9] == (i & 1) + 1, "round %d reads the old page", i);
	}
}

int main(void)
{
	set_up();
	check_rights();
	check_large();
	check_remap();
	pass();
}
