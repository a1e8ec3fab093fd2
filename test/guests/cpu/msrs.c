/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the MSRs that a guest owns keep written values and refuse what the manual forbids. */
#include "guest.h"

#define MSR_DE_CFG	0xc0011029
#define NONCANONICAL	0x8000000000000000ul
#define PAT_RESET	0x0007040600070406ul

extern uint8_t syscall_target[], syscall_return[];

/* Tests a register that accepts any canonical address. */
static void check_address(uint32_t msr)
{
	static const uint64_t values[] = {
		0, 0x123456789abc, 0xffff800012345678, 0x7fffffffffff,
	};
	uint64_t old = rdmsr(msr);

	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
		CHECK(wrmsr_safe(msr, values[i]) < 0, "MSR %x: #GP for %lx", msr, values[i]);
		CHECK(rdmsr(msr) == values[i], "MSR %x reads %lx, not %lx", msr, rdmsr(msr),
		      values[i]);
	}
	/* If the hypervisor leaves the MSR to hardware, an emulated CPU may not check. */
	if (wrmsr_safe(msr, NONCANONICAL) == X86_GP)
		CHECK(rdmsr(msr) == values[ARRAY_SIZE(values) - 1], "MSR %x after #GP: %lx", msr,
		      rdmsr(msr));
	wrmsr(msr, old);
}

static void check_sysenter(void)
{
	static const uint32_t msrs[] = { MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };

	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
		wrmsr(msrs[i], 0x1230 + i);
		CHECK(rdmsr(msrs[i]) == 0x1230 + i, "MSR %x reads %lx", msrs[i], rdmsr(msrs[i]));
	}
}

static void check_efer(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	CHECK((efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "EFER %lx", efer);
	CHECK(wrmsr_safe(MSR_EFER, efer ^ EFER_SCE) < 0, "EFER.SCE");
	CHECK(rdmsr(MSR_EFER) == (efer ^ EFER_SCE), "EFER reads %lx", rdmsr(MSR_EFER));
	CHECK(wrmsr_safe(MSR_EFER, efer | 1ull << 63) == X86_GP, "EFER takes bit 63");
	CHECK(wrmsr_safe(MSR_EFER, efer | 1ull << 9) == X86_GP, "EFER takes bit 9");
	CHECK(wrmsr_safe(MSR_EFER, efer & ~(uint64_t)EFER_LME) == X86_GP,
	      "long mode could be left with paging on");
	wrmsr(MSR_EFER, efer | EFER_SCE | EFER_NXE);
}

static void check_pat(void)
{
	uint64_t pat = rdmsr(MSR_PAT);

	/* The reset value, or Xen's own PAT for its initial domain. */
	CHECK(pat == PAT_RESET || (start_info->flags & SIF_INITDOMAIN), "PAT starts as %lx", pat);
	CHECK(wrmsr_safe(MSR_PAT, 0x0007010600070106) < 0, "PAT refuses write-combining");
	CHECK(rdmsr(MSR_PAT) == 0x0007010600070106, "PAT reads %lx", rdmsr(MSR_PAT));
	/* As above: refused, unless hardware handles it and does not check. */
	if (wrmsr_safe(MSR_PAT, 0x0007010600070102) == X86_GP)
		CHECK(rdmsr(MSR_PAT) == 0x0007010600070106, "PAT %lx after #GP", rdmsr(MSR_PAT));
	wrmsr(MSR_PAT, pat);
}

/* A guest with a PCI bus sees MTRRs: all is write-back, and nothing can be set. */
static void check_mtrr(void)
{
	uint64_t cap = 0, def = 0;
	bool offered = cpuid(1, 0).d >> 12 & 1;

	CHECK((rdmsr_safe(MSR_MTRR_CAP, &cap) < 0) == offered, "MTRR_CAP");
	CHECK((rdmsr_safe(MSR_MTRR_DEF, &def) < 0) == offered, "MTRR_DEF");
	if (!offered) {
		CHECK(wrmsr_safe(MSR_MTRR_DEF, 0xc06) == X86_GP, "MTRR_DEF can be written");
		return;
	}
	CHECK((def & 0x8ff) == 0x806, "MTRR_DEF %lx", def);
	CHECK(wrmsr_safe(MSR_MTRR_DEF, def) < 0, "MTRR_DEF cannot be written");
	CHECK((cap & 0xff) || wrmsr_safe(0x200, 0) == X86_GP, "a variable MTRR");
}

/* Checks SYSCALL: it goes to LSTAR, masks flags, and saves RIP and RFLAGS in RCX and R11. */
static void check_syscall(void)
{
	uint64_t rcx, r11, cs, flags;

	wrmsr(MSR_STAR, 0x10ull << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_target);
	wrmsr(MSR_SFMASK, 0x1);					/* carry */
	asm volatile("stc; syscall\n"
		     ".global syscall_return\nsyscall_return: ud2\n"
		     ".global syscall_target\nsyscall_target: pushfq; pop %3; mov %%cs, %2"
		     : "=c"(rcx), "=&r"(r11), "=&r"(cs), "=&r"(flags) :: "r11", "memory");
	asm volatile("mov %%r11, %0" : "=r"(r11));
	CHECK(rcx == (uintptr_t)syscall_return, "RCX %lx after SYSCALL, wanted %p", rcx,
	      (void *)syscall_return);
	CHECK((cs & 0xffff) == 0x10, "CS %lx after SYSCALL", cs);
	CHECK(!(flags & 1), "flags %lx not masked by SFMASK", flags);
	/* STAR also provides SS, as CS + 8. */
	asm volatile("mov %0, %%ss" :: "r"(0x18));
}

static void check_swapgs(void)
{
	uint64_t gs = rdmsr(MSR_GS_BASE);

	wrmsr(MSR_KERNEL_GS_BASE, 0xffff800000001000);
	asm volatile("swapgs" ::: "memory");
	CHECK(rdmsr(MSR_GS_BASE) == 0xffff800000001000, "GS base %lx after SWAPGS",
	      rdmsr(MSR_GS_BASE));
	CHECK(rdmsr(MSR_KERNEL_GS_BASE) == gs, "kernel GS base %lx", rdmsr(MSR_KERNEL_GS_BASE));
	asm volatile("swapgs" ::: "memory");
	CHECK(rdmsr(MSR_GS_BASE) == gs, "GS base %lx after two SWAPGS", rdmsr(MSR_GS_BASE));
}

/* No CPUID bit hides the K7's four counters. DE_CFG shows the hardware's value; QEMU's is fixed. */
static void check_amd(void)
{
	uint64_t v;

	for (uint32_t msr = 0xc0010000; msr < 0xc0010008; msr++) {
		CHECK(rdmsr_safe(msr, &v) < 0 && !v, "MSR %x faults, or reads %lx", msr, v);
		CHECK(wrmsr_safe(msr, 0) < 0, "MSR %x refuses 0", msr);
	}
	if (*cmdline())		/* lfence=0 */
		CHECK(!(rdmsr(MSR_DE_CFG) & 2), "DE_CFG says that LFENCE serializes");
}

int main(void)
{
	/* Among them performance counters: a guest without CPUs of its own has none. */
	static const uint32_t unknown[] = { 0x5, 0x12345678, 0xc0002fff, 0x40000fff, 0xdeadbeef,
					    0x38f, 0x4c1 };
	uint64_t v, tsc = rdmsr(MSR_TSC);
	int fault;

	check_address(MSR_LSTAR);
	check_address(MSR_CSTAR);
	check_address(MSR_FS_BASE);
	check_address(MSR_GS_BASE);
	check_address(MSR_KERNEL_GS_BASE);
	check_sysenter();
	wrmsr(MSR_STAR, 0x0013001000000000);
	CHECK(rdmsr(MSR_STAR) == 0x0013001000000000, "STAR reads %lx", rdmsr(MSR_STAR));
	wrmsr(MSR_SFMASK, 0x47700);
	CHECK(rdmsr(MSR_SFMASK) == 0x47700, "SFMASK reads %lx", rdmsr(MSR_SFMASK));
	check_efer();
	check_pat();
	check_mtrr();
	check_syscall();
	check_swapgs();
	CHECK(rdmsr(MSR_TSC) > tsc, "the TSC stands still");
	if (cpu_is_amd())
		check_amd();
	CHECK(!(cpuid(10, 0).a & 0xff), "CPUID shows performance counters");
	/* Xen leaves it to the CPU, and TCG has none. */
	fault = FAULT_OF(asm volatile("rdpmc" :: "c"(0) : "eax", "edx"));
	CHECK(fault == X86_GP || fault == X86_UD, "RDPMC works: %d", fault);
	for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++) {
		CHECK(rdmsr_safe(unknown[i], &v) == X86_GP, "MSR %x can be read", unknown[i]);
		CHECK(wrmsr_safe(unknown[i], 0) == X86_GP, "MSR %x can be written", unknown[i]);
		CHECK(this_cpu()->fault.error == 0, "#GP with error code %lx",
		      this_cpu()->fault.error);
	}
	pass();
}
