/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: debug registers, single step, and a code breakpoint. Data breakpoints, general detect
 * and INT1 are left out: neither QEMU 7.2 nor Bochs 2.7 supports them inside a guest.
 */
#include "guest.h"

#define DR6_RESET	0xffff0ff0ul
#define DR6_B0		1ul
#define DR6_BS		(1ul << 14)
#define DR7_RESET	0x400ul
#define CR4_DE		8ul
#define RFLAGS_RF	(1ul << 16)

static unsigned int hits;
static uint64_t dr6, rip;
extern uint8_t bp_here[];

static void on_debug(struct trap_regs *regs)
{
	hits++;
	dr6 = read_dr6();
	rip = regs->rip;
	if (dr6 & DR6_B0)
		regs->rflags |= RFLAGS_RF;
	if (hits >= 5)
		regs->rflags &= ~RFLAGS_TF;
	write_dr6(DR6_RESET);
}

static void check_registers(void)
{
	CHECK(read_dr7() == DR7_RESET, "DR7 starts as %lx", read_dr7());
	write_dr0(0x123456789abcdef0);
	write_dr1(0xfedcba9876543210);
	write_dr2(0x1111111111111111);
	write_dr3(0x2222222222222222);
	CHECK(read_dr0() == 0x123456789abcdef0 && read_dr1() == 0xfedcba9876543210 &&
		      read_dr2() == 0x1111111111111111 && read_dr3() == 0x2222222222222222,
	      "DR0 %lx DR1 %lx DR2 %lx DR3 %lx", read_dr0(), read_dr1(), read_dr2(), read_dr3());
	write_dr6(DR6_RESET);
	CHECK((read_dr6() & 0xefff) == (DR6_RESET & 0xefff), "DR6 %lx", read_dr6());
	CHECK(FAULT_OF(write_dr7(1ul << 40)) == X86_GP, "DR7 takes bit 40");
	write_cr4(read_cr4() | CR4_DE);
	CHECK(FAULT_OF(asm volatile("mov %%dr4, %%rax" ::: "rax")) == X86_UD,
	      "DR4 with CR4.DE set");
	write_cr4(read_cr4() & ~CR4_DE);
}

static void check_step(void)
{
	hits = 0;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop; nop; nop; nop; nop; nop"
		     ::: "memory", "cc");
	CHECK(hits == 5, "%u single steps, wanted 5", hits);
	CHECK(dr6 & DR6_BS, "DR6 %lx for a single step", dr6);
	/* Single-step over instructions that cause exits. */
	hits = 0;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; cpuid; nop; cpuid; nop; nop; nop"
		     :: "a"(0), "c"(0) : "rbx", "rdx", "memory", "cc");
	CHECK(hits == 5, "%u single steps over CPUID, wanted 5", hits);
}

static void check_breakpoints(void)
{
	hits = 0;
	write_dr0((uintptr_t)bp_here);
	write_dr7(DR7_RESET | 2);
	asm volatile("nop\n.global bp_here\nbp_here: nop\n" ::: "memory");
	CHECK(hits == 1 && (dr6 & DR6_B0), "%u hits of a code breakpoint, DR6 %lx", hits, dr6);
	CHECK(rip == (uintptr_t)bp_here, "breakpoint at %lx, RIP %lx", (uintptr_t)bp_here, rip);

	write_dr7(DR7_RESET);
}

int main(void)
{
	check_registers();
	set_trap_handler(X86_DB, on_debug);
	check_step();
	check_breakpoints();
	pass();
}
