/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: CR0 and CR4 read back as written, by each instruction and register, also for bits that
 * the hypervisor owns (CR0.CD, CR0.NW, CR4.MCE). Invalid values raise #GP.
 */
#include "guest.h"

#define CR0_MP		(1ul << 1)
#define CR0_EM		(1ul << 2)
#define CR0_NE		(1ul << 5)
#define CR0_NW		(1ul << 29)
#define CR0_CD		(1ul << 30)
#define CR0_PG		(1ul << 31)
#define CR4_TSD		(1ul << 2)
#define CR4_MCE		(1ul << 6)
#define CR4_PGE		(1ul << 7)
#define CR4_LA57	(1ul << 12)
#define CPUID7_C_LA57	(1u << 16)
#define CPUID1_D_MCE	(1u << 7)
#define CPUID1_D_MCA	(1u << 14)
#define WINDOW		0x600000000000ul	/* PML4 slot 192 */
#define PTE_G		(1ull << 8)

extern uint64_t page_tables[512];
static uint64_t pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static uint32_t pages[2][1024] PAGE_ALIGNED;

static uint32_t smsw(void)
{
	uint64_t v;

	asm volatile("smsw %0" : "=r"(v));
	return (uint32_t)v;
}

static void check_cr0(uint64_t want, const char *what)
{
	uint64_t r15;

	CHECK(read_cr0() == want, "%s: CR0 reads %lx, not %lx", what, read_cr0(), want);
	asm volatile("mov %%cr0, %%r15; mov %%r15, %0" : "=r"(r15) :: "r15");
	CHECK(r15 == want, "%s: CR0 reads %lx through R15, not %lx", what, r15, want);
	CHECK(smsw() == (uint32_t)want, "%s: SMSW reads %x, not %lx", what, smsw(), want);
}

static void write_msw(uint16_t v)
{
	asm volatile("lmsw %0" :: "r"(v));
}

/* Checks the same writes with and without the bits that the hypervisor owns. */
static void check_writes(uint64_t cr0)
{
	write_cr0(cr0);
	check_cr0(cr0, "MOV");
	/* For a debugger: here the real CR0 has CD and NW clear, and the real CR4 has MCE set. */
	xen_version(XENVER_version, NULL);
	asm volatile("mov %0, %%r8; mov %%r8, %%cr0" :: "r"(cr0 | CR0_TS) : "r8");
	check_cr0(cr0 | CR0_TS, "MOV from R8");
	asm volatile("clts");
	check_cr0(cr0, "CLTS");
	write_msw((uint16_t)(cr0 ^ CR0_MP));
	check_cr0(cr0 ^ CR0_MP, "LMSW");
	write_msw((uint16_t)(cr0 | CR0_EM));
	check_cr0(cr0 | CR0_EM, "LMSW of EM");
	write_msw((uint16_t)(cr0 & ~1ul));
	check_cr0(cr0, "LMSW clears no PE");
	write_cr0(cr0 ^ CR0_WP);
	check_cr0(cr0 ^ CR0_WP, "WP");
	write_cr0(cr0);
	check_cr0(cr0, "MOV again");
}

/* Leaves out bits 63:32 of CR0: QEMU 7.2 ignores them. */
static void check_refused(uint64_t cr0)
{
	const uint64_t bad[] = { cr0 | CR0_NW, cr0 & ~CR0_PG, cr0 & ~1ul };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(FAULT_OF(write_cr0(bad[i])) == X86_GP, "CR0 takes %lx", bad[i]);
		CHECK(!this_cpu()->fault.error, "error code %lx", this_cpu()->fault.error);
		check_cr0(cr0, "after #GP");
	}
}

static void check_cr4(void)
{
	struct cpuid_regs r = cpuid(1, 0);
	uint64_t cr4 = read_cr4(), v;
	const uint64_t bad[] = { cr4 | 1ul << 15, cr4 | 1ul << 31, cr4 | 1ul << 32,
				 cr4 | CR4_LA57, cr4 & ~CR4_PAE };

	CHECK(!(cpuid(7, 0).c & CPUID7_C_LA57), "5-level paging is offered");
	CHECK(!(cr4 & CR4_MCE), "CR4 starts with MCE: %lx", cr4);
	write_cr4(cr4 ^ CR4_TSD);
	CHECK(read_cr4() == (cr4 ^ CR4_TSD), "CR4 reads %lx, not %lx", read_cr4(), cr4 ^ CR4_TSD);
	asm volatile("mov %1, %%r9; mov %%r9, %%cr4; mov %%cr4, %%r10; mov %%r10, %0"
		     : "=r"(v) : "r"(cr4) : "r9", "r10");
	CHECK(v == cr4, "CR4 reads %lx through R10, not %lx", v, cr4);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(FAULT_OF(write_cr4(bad[i])) == X86_GP, "CR4 takes %lx", bad[i]);
		CHECK(read_cr4() == cr4, "CR4 reads %lx after #GP", read_cr4());
	}
	if (r.d & CPUID1_D_MCE) {
		write_cr4(cr4 | CR4_MCE);
		CHECK(read_cr4() == (cr4 | CR4_MCE), "CR4 reads %lx with MCE", read_cr4());
		write_cr4(cr4);
	} else {
		CHECK(FAULT_OF(write_cr4(cr4 | CR4_MCE)) == X86_GP, "CR4 takes MCE");
	}
}

/* Checks that a change of CR4.PGE also flushes global translations. */
static void check_global(void)
{
	volatile uint32_t *p = (volatile uint32_t *)WINDOW;
	uint64_t cr4 = read_cr4();

	page_tables[192] = (uintptr_t)pdpt | PTE_P | PTE_RW;
	pdpt[0] = (uintptr_t)pd | PTE_P | PTE_RW;
	pd[0] = (uintptr_t)pt | PTE_P | PTE_RW;
	pages[0][0] = 1;
	pages[1][0] = 2;
	write_cr4(cr4 | CR4_PGE);
	for (unsigned int i = 0; i < 20; i++) {
		WRITE_ONCE(pt[0], (uintptr_t)pages[i % 2] | PTE_P | PTE_RW | PTE_G);
		write_cr4(cr4 ^ CR4_PGE);
		write_cr4(cr4);
		CHECK(*p == i % 2 + 1, "a global translation of page %u stays", *p - 1);
	}
}

int main(void)
{
	uint64_t cr0 = read_cr0();

	check_cr0(cr0, "at first");
	check_writes(cr0);
	check_refused(cr0);
	check_writes(cr0 | CR0_CD);
	check_writes(cr0 | CR0_CD | CR0_NW);
	write_cr0(cr0);
	check_cr0(cr0, "CD cleared");
	check_cr4();
	check_global();
	pass();
}
