/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: exceptions reach the guest with the right vector, error code and CR2. */
#include "guest.h"

#define UNMAPPED	0x7f0000001234ul

struct idt_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void expect(const char *what, int vector, int want, uint64_t error)
{
	CHECK(vector == want, "%s: vector %d, wanted %d", what, vector, want);
	CHECK(this_cpu()->fault.error == error, "%s: error code %lx, wanted %lx", what,
	      this_cpu()->fault.error, error);
}

static void check_simple(void)
{
	expect("division by 0", FAULT_OF(asm volatile("div %0" :: "r"(0), "a"(1), "d"(0))), X86_DE,
	       0);
	expect("UD2", FAULT_OF(asm volatile("ud2")), X86_UD, 0);
	expect("INT3", FAULT_OF(asm volatile("int3")), X86_BP, 0);
	expect("load of a bad selector", FAULT_OF(asm volatile("mov %0, %%ds" :: "r"(0x1234))),
	       X86_GP, 0x1234);
	expect("non-canonical address", FAULT_OF(*(volatile uint8_t *)0x8000000000000000), X86_GP,
	       0);
}

static void check_fpu(void)
{
	uint16_t cw = 0x37f & ~4u;

	write_cr0(read_cr0() | CR0_TS);
	expect("x87 with CR0.TS", FAULT_OF(asm volatile("fnop")), X86_NM, 0);
	expect("SSE with CR0.TS", FAULT_OF(asm volatile("xorps %%xmm0, %%xmm0" ::: "memory")),
	       X86_NM, 0);
	asm volatile("clts");
	asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp" :: "m"(cw));
	expect("x87 division by 0", FAULT_OF(asm volatile("fwait")), X86_MF, 0);
	asm volatile("fninit");
}

static void check_page_faults(void)
{
	volatile uint8_t *p = (volatile uint8_t *)UNMAPPED;

	expect("read", FAULT_OF((void)*p), X86_PF, 0);
	CHECK(this_cpu()->fault.cr2 == UNMAPPED, "CR2 %lx", this_cpu()->fault.cr2);
	expect("write", FAULT_OF(*p = 1), X86_PF, 2);
	expect("execute", FAULT_OF(((void (*)(void))UNMAPPED)()), X86_PF, 0x10);
	CHECK(this_cpu()->fault.cr2 == UNMAPPED && this_cpu()->fault.rip == UNMAPPED,
	      "CR2 %lx, RIP %lx", this_cpu()->fault.cr2, this_cpu()->fault.rip);
}

/* Checks faults whose delivery faults. The IDT entries are broken for a moment. */
static void check_delivery(void)
{
	struct idt_ptr idt;
	uint8_t *volatile gate;

	asm volatile("sidt %0" : "=m"(idt));
	gate = (uint8_t *)idt.base + 0x70 * 16;
	gate[5] &= 0x7f;
	/* The error code is vector * 8; QEMU 7.2 gives vector * 16. */
	CHECK(FAULT_OF(asm volatile("int $0x70")) == X86_NP && this_cpu()->fault.error & 2,
	      "INT to an absent gate: vector %d, error code %lx", this_cpu()->fault.vector,
	      this_cpu()->fault.error);
	gate[5] |= 0x80;
	gate = (uint8_t *)idt.base + X86_PF * 16;
	gate[5] &= 0x7f;
	expect("#PF without its gate", FAULT_OF((void)*(volatile uint8_t *)UNMAPPED), X86_DF, 0);
	gate[5] |= 0x80;
}

static unsigned int interrupts;

static void on_int(struct trap_regs *regs)
{
	(void)regs;
	interrupts++;
}

int main(void)
{
	check_simple();
	check_fpu();
	check_page_faults();
	check_delivery();
	set_trap_handler(0x90, on_int);
	for (int i = 0; i < 100; i++)
		asm volatile("int $0x90" ::: "memory");
	CHECK(interrupts == 100, "%u of 100 software interrupts", interrupts);
	pass();
}
