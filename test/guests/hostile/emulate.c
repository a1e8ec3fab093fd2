/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: instructions that the hypervisor emulates end as on the CPU: RIP keeps to the width of
 * the code, string I/O has the access rights of the running code, and RF is cleared by an emulated
 * instruction and set in a fault that restarts one. Most of it runs in ring 3, which must not be
 * able to end its guest.
 */
#include "guest.h"

#define CODE		0xfffff000ul	/* code of ring 3: the last page of 32-bit code */
#define KERNEL		0xffffe000ul	/* inaccessible to ring 3 */
#define DATA		0xffffd000ul	/* writable by ring 3 */
#define READ_ONLY	0xffffc000ul
#define KERNEL_RO	0xffffb000ul
#define ABSENT		0xffffa000ul
#define HOLE		0xffff9000ul	/* with no memory behind it */
#define TOP		0x7ffffffff000ul
#define NOT_CANONICAL	0x800000000000ul

#define USER		(PTE_P | PTE_RW | PTE_US)
#define CR4_SMAP	(1ul << 21)
#define RFLAGS_AC	(1ul << 18)
#define RFLAGS_RF	(1ul << 16)
#define DR7_RESET	0x400ul
#define DR6_RESET	0xffff0ff0ul

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_I = 16 };

static uint8_t code[PAGE_SIZE] PAGE_ALIGNED, data[PAGE_SIZE] PAGE_ALIGNED;
static const struct fault_point *fault;

static void put_code(unsigned int at, const char *bytes, unsigned int n)
{
	memcpy(code + at, bytes, n);
}

static int run(uint16_t cs, uint64_t rip, uint64_t flags, uint64_t di)
{
	struct user_start s = { .rip = rip, .cs = cs, .rflags = 2 | flags, .rsp = DATA + 0x800,
				.rcx = 1, .rdx = 0x80, .rsi = di, .rdi = di };

	return FAULT_OF(user_enter(&s));
}

static void expect(const char *what, int got, int vector, uint64_t error)
{
	CHECK(got == vector, "%s: vector %d, wanted %d (error %lx, RIP %lx)", what, got, vector,
	      fault->error, fault->rip);
	CHECK(vector != X86_PF || fault->error == error, "%s: error code %lx, wanted %lx", what,
	      fault->error, error);
}

/* Checks the reported address too, and that the memory there is unchanged. */
static void expect_pf(const char *what, int got, uint64_t error, uint64_t where)
{
	expect(what, got, X86_PF, error);
	CHECK(fault->cr2 == where, "%s: CR2 %lx, wanted %lx", what, fault->cr2, where);
	for (unsigned int i = 0; i < PAGE_SIZE; i++)
		CHECK(data[i] == 0x5a, "%s: written at %x", what, i);
}

static void check_rip(void)
{
	int got;

	/* CPUID at the end of 32-bit code: execution continues at 0, inaccessible to ring 3. */
	put_code(0xffe, "\x0f\xa2", 2);
	got = run(USER_CODE32, CODE + 0xffe, 0, 0);
	expect("CPUID at the end of 32-bit code", got, X86_PF, PF_P | PF_U | PF_I);
	CHECK(fault->rip == 0, "CPUID at the end of 32-bit code: RIP %lx", fault->rip);
	put_code(0xffe, "\xe4\x80", 2);
	got = run(USER_CODE32, CODE + 0xffe, RFLAGS_IOPL3, 0);
	expect("IN at the end of 32-bit code", got, X86_PF, PF_P | PF_U | PF_I);
	CHECK(fault->rip == 0, "IN at the end of 32-bit code: RIP %lx", fault->rip);
	/* A hypercall from there, which is refused. */
	put_code(0xffd, cpuid(0, 0).b == 0x756e6547 ? "\x0f\x01\xc1" : "\x0f\x01\xd9", 3);
	got = run(USER_CODE32, CODE + 0xffd, 0, 0);
	expect("hypercall at the end of 32-bit code", got, X86_PF, PF_P | PF_U | PF_I);
	CHECK(fault->rip == 0, "hypercall at the end of 32-bit code: RIP %lx", fault->rip);
	/* The end of the lower half: some fault, but not the end of the guest. */
	got = run(USER_CODE64, TOP + 0xffd, 0, 0);
	CHECK(got == X86_GP || got == X86_PF, "hypercall at the lower half's end: vector %d", got);
	put_code(0xffe, "\x0f\xa2", 2);
	got = run(USER_CODE64, TOP + 0xffe, 0, 0);
	CHECK(got == X86_GP || got == X86_PF, "CPUID at the lower half's end: vector %d", got);
}

#define INSB	"\x6c\x0f\x0b"		/* insb; ud2 */
#define OUTSB	"\x6e\x0f\x0b"

static void check_user_strings(const char *mode, uint16_t cs)
{
	printf("string I/O in %s code\n", mode);
	put_code(0, INSB, 3);
	put_code(0x10, OUTSB, 3);
	expect("INS to its own page", run(cs, CODE, RFLAGS_IOPL3, DATA + 5), X86_UD, 0);
	CHECK(data[5] != 0x5a, "INS to its own page wrote nothing");
	data[5] = 0x5a;
	expect_pf("INS to the kernel's page", run(cs, CODE, RFLAGS_IOPL3, KERNEL + 5),
		  PF_P | PF_W | PF_U, KERNEL + 5);
	expect_pf("INS to a read-only page", run(cs, CODE, RFLAGS_IOPL3, READ_ONLY + 6),
		  PF_P | PF_W | PF_U, READ_ONLY + 6);
	expect_pf("INS to no page", run(cs, CODE, RFLAGS_IOPL3, ABSENT + 7), PF_W | PF_U,
		  ABSENT + 7);
	expect("OUTS from its own page", run(cs, CODE + 0x10, RFLAGS_IOPL3, DATA), X86_UD, 0);
	expect("OUTS from a read-only page", run(cs, CODE + 0x10, RFLAGS_IOPL3, READ_ONLY), X86_UD,
	       0);
	expect_pf("OUTS from the kernel's page", run(cs, CODE + 0x10, RFLAGS_IOPL3, KERNEL + 5),
		  PF_P | PF_U, KERNEL + 5);
	expect_pf("OUTS from no page", run(cs, CODE + 0x10, RFLAGS_IOPL3, ABSENT + 7), PF_U,
		  ABSENT + 7);
	/* Across the end of a page: the fault reports the first byte that is not writable. */
	put_code(0, "\x6d\x0f\x0b", 3);
	expect_pf("INS across the end of its page", run(cs, CODE, RFLAGS_IOPL3, DATA + 0xffe),
		  PF_P | PF_W | PF_U, KERNEL);
}

static int ins(uint64_t di)
{
	return FAULT_OF({
		uint64_t p = di;

		asm volatile("insb" : "+D"(p) : "d"(0x80) : "memory");
	});
}

static void check_kernel_strings(void)
{
	expect("INS by the kernel", ins(DATA), -1, 0);
	data[0] = 0x5a;
	expect_pf("INS to a read-only page", ins(KERNEL_RO), PF_P | PF_W, KERNEL_RO);
	write_cr0(read_cr0() & ~CR0_WP);
	expect("INS to a read-only page without WP", ins(KERNEL_RO), -1, 0);
	write_cr0(read_cr0() | CR0_WP);
	CHECK(data[0] != 0x5a, "INS without WP wrote nothing");
	data[0] = 0x5a;
	expect("INS to a non-canonical address", ins(NOT_CANONICAL), X86_GP, 0);
	expect("OUTS from a non-canonical address", FAULT_OF({
		       uint64_t p = NOT_CANONICAL;

		asm volatile("outsb" : "+S"(p) : "d"(0x80));
	}), X86_GP, 0);
	if (!(cpuid(7, 0).b >> 20 & 1)) {
		printf("no SMAP\n");
		return;
	}
	write_cr4(read_cr4() | CR4_SMAP);
	expect_pf("INS to ring 3's page with SMAP", ins(DATA), PF_P | PF_W, DATA);
	expect("INS to the kernel's page with SMAP", ins(KERNEL), -1, 0);
	data[0] = 0x5a;
	asm volatile("stac");
	expect("INS to ring 3's page with AC", ins(DATA), -1, 0);
	asm volatile("clac");
	write_cr4(read_cr4() & ~CR4_SMAP);
	data[0] = 0x5a;
}

static unsigned int hits;
static uint64_t handler_flags, handler_rip;

static void on_debug(struct trap_regs *regs)
{
	hits++;
	handler_rip = regs->rip;
	handler_flags = regs->rflags;
	regs->rflags |= RFLAGS_RF;
	write_dr6(DR6_RESET);
}

static void on_gp(struct trap_regs *regs)
{
	handler_flags = regs->rflags;
	regs->rip += 2;			/* RDMSR */
}

/* IRETs with RF to an instruction. A breakpoint on the following one must trigger. */
#define RF_OVER(name, insn, ...) do {							\
	extern uint8_t rf_##name[];							\
											\
	hits = 0;									\
	write_dr0((uintptr_t)rf_##name);						\
	write_dr7(DR7_RESET | 2);							\
	asm volatile("mov %%ss, %%eax; mov %%rsp, %%rdx; push %%rax; push %%rdx; pushfq;"	\
		     "orq $0x10000, (%%rsp); mov %%cs, %%eax; push %%rax;"		\
		     "lea 1f(%%rip), %%rax; push %%rax;"				\
		     "mov $0x10, %%ecx; mov $0, %%edx; mov $1, %%eax; iretq\n"		\
		     "1: " insn "\n"							\
		     ".global rf_" #name "\nrf_" #name ": nop"				\
		     : : __VA_ARGS__ : "rax", "rcx", "rdx", "rbx", "memory", "cc");	\
	write_dr7(DR7_RESET);								\
	CHECK(hits == 1, #name " leaves RF set: %u hits behind it, wanted 1", hits);	\
} while (0)

static void check_rf(void)
{
	uint64_t hole = hole_alloc(1);

	set_trap_handler(X86_DB, on_debug);
	RF_OVER(nop, "nop", "D"(0));
	RF_OVER(cpuid, "cpuid", "D"(0));
	RF_OVER(in, "in $0x80, %%al", "D"(0));
	RF_OVER(rdmsr, "mov $0x1b, %%ecx; rdmsr", "D"(0));
	RF_OVER(wbinvd, "wbinvd", "D"(0));
	RF_OVER(load, "mov (%%rdi), %%eax", "D"(hole));
	RF_OVER(lapic, "mov (%%rdi), %%eax", "D"(0xfee00020ul));
	set_trap_handler(X86_DB, NULL);
}

static void check_rf_of_faults(void)
{
	/*
	 * A fault that the hypervisor raises restarts the instruction, as the CPU's own faults do.
	 */
	set_trap_handler(X86_GP, on_gp);
	asm volatile("rdmsr" :: "c"(0xdeadbeef) : "rax", "rdx");
	CHECK(handler_flags & RFLAGS_RF, "#GP of RDMSR shows flags %lx", handler_flags);
	set_trap_handler(X86_GP, NULL);
}

static void on_int1(struct trap_regs *regs)
{
	hits++;
	handler_rip = regs->rip;
	handler_flags = read_dr6();
	regs->rflags &= ~RFLAGS_TF;
}

/*
 * INT1 is a trap: the handler sees the address after it, and DR6 unchanged. Tested from ring 3,
 * also with a single step pending in the shadow of MOV to SS.
 */
static void check_int1(void)
{
	extern uint8_t behind_int1[];

	set_trap_handler(X86_DB, on_int1);
	write_dr6(DR6_RESET);
	asm volatile(".byte 0xf1\n.global behind_int1\nbehind_int1: nop" ::: "memory");
	CHECK(hits == 1 && handler_rip == (uintptr_t)behind_int1, "INT1: %u traps, RIP %lx", hits,
	      handler_rip);
	CHECK((handler_flags & 0xf) == 0, "INT1: DR6 %lx", handler_flags);
	put_code(0, "\xf1\x0f\x0b", 3);
	hits = 0;
	expect("INT1 in ring 3", run(USER_CODE64, CODE, 0, 0), X86_UD, 0);
	CHECK(hits == 1 && handler_rip == CODE + 1, "INT1 in ring 3: %u traps, RIP %lx", hits,
	      handler_rip);
	expect("INT1 in 32-bit code", run(USER_CODE32, CODE, 0, 0), X86_UD, 0);
	CHECK(hits == 2 && handler_rip == CODE + 1, "INT1 in 32-bit code: RIP %lx", handler_rip);
	/* mov %ss, %eax is 8c d0; mov %eax, %ss: 8e d0; int1; ud2 */
	put_code(0, "\x8c\xd0\x8e\xd0\xf1\x0f\x0b", 7);
	hits = 0;
	put_code(0x20, "\x9c\x81\x0c\x24\x00\x01\x00\x00\x8c\xd0\x9d\x8e\xd0\xf1\x0f\x0b", 16);
	expect("INT1 behind MOV SS", run(USER_CODE64, CODE, 0, 0), X86_UD, 0);
	CHECK(hits == 1, "INT1 behind MOV SS: %u traps", hits);
	hits = 0;
	/* With TF: pushf; orl $0x100, (%rsp); mov %ss, %eax; popf; mov %eax, %ss; int1; ud2 */
	expect("INT1 behind MOV SS with TF", run(USER_CODE64, CODE + 0x20, 0, 0), X86_UD, 0);
	CHECK(hits, "INT1 behind MOV SS with TF: no trap");
	/* The same with CPUID, IN, and an access to a hole instead. */
	for (unsigned int i = 0; i < 3; i++) {
		static const char insn[3][2] = { "\x0f\xa2", "\xe4\x80", "\x8a\x07" };

		put_code(0x2d, insn[i], 2);
		put_code(0x2f, "\x0f\x0b", 2);
		hits = 0;
		expect("exit behind MOV SS with TF",
		       run(USER_CODE64, CODE + 0x20, RFLAGS_IOPL3, HOLE), X86_UD, 0);
		CHECK(hits == 1 && handler_rip == CODE + 0x2f,
		      "exit %u behind MOV SS with TF: %u traps, RIP %lx", i, hits, handler_rip);
	}
}

int main(void)
{
	uint64_t top_page = (uintptr_t)code;

	fault = &this_cpu()->fault;
	user_init();
	memset(data, 0x5a, sizeof(data));
	map_page(CODE, (uintptr_t)code, USER);
	map_page(TOP, top_page, USER);
	map_page(DATA, (uintptr_t)data, USER);
	map_page(KERNEL, (uintptr_t)data, PTE_P | PTE_RW);
	map_page(READ_ONLY, (uintptr_t)data, PTE_P | PTE_US);
	map_page(KERNEL_RO, (uintptr_t)data, PTE_P);
	map_page(ABSENT, 0, 0);
	map_page(HOLE, hole_alloc(1), USER);
	switch (cmdline_number("part", 0)) {
	case 0:
		check_user_strings("64-bit", USER_CODE64);
		check_user_strings("32-bit", USER_CODE32);
		check_kernel_strings();
		break;
	case 1: check_rf(); break;
	case 2: check_rf_of_faults(); break;
	case 3: check_rip(); break;
	case 4: check_int1(); break;
	}
	pass();
}
