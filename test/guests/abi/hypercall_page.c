/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the hypercall page and instruction: unknown numbers, preserved registers, a second
 * page.
 */
#include "guest.h"

static uint8_t second_page[4096] PAGE_ALIGNED;
static bool intel;

static long raw(uint64_t nr, uint64_t a, uint64_t b)
{
	long ret;

	if (intel)
		asm volatile("vmcall" : "=a"(ret), "+D"(a), "+S"(b) : "0"(nr) : "memory");
	else
		asm volatile("vmmcall" : "=a"(ret), "+D"(a), "+S"(b) : "0"(nr) : "memory");
	return ret;
}

/* Checks that all registers but RAX are preserved. */
static void check_registers(void)
{
	uint64_t regs[8];
	long ret;

	asm volatile("push %%rbp\n\t"
		     "mov $0x1111, %%ebx; mov $0x2222, %%ebp; mov $0x3333, %%r9d;"
		     "mov $0x4444, %%r12d; mov $0x5555, %%r13d; mov $0x6666, %%r14d;"
		     "mov $0x7777, %%r15d; mov $0x8888, %%ecx\n\t"
		     "push %[out]\n\t"
		     "call *%[entry]\n\t"
		     "pop %%rsi\n\t"
		     "mov %%rbx, (%%rsi); mov %%rbp, 8(%%rsi); mov %%r9, 16(%%rsi);"
		     "mov %%r12, 24(%%rsi); mov %%r13, 32(%%rsi); mov %%r14, 40(%%rsi);"
		     "mov %%r15, 48(%%rsi); mov %%rcx, 56(%%rsi)\n\t"
		     "pop %%rbp"
		     : "=a"(ret)
		     : [entry] "a"(hypercall_page + __HYPERVISOR_xen_version * 32), "D"(0ul),
		       [out] "S"(regs)
		     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "memory", "cc");
	for (unsigned int i = 0; i < 8; i++)
		CHECK(regs[i] == (i + 1) * 0x1111, "register %u is %lx after a hypercall", i,
		      regs[i]);
}

int main(void)
{
	static const unsigned int unknown[] = { 11, 43, 47, 50, 51, 52, 53, 54, 60, 63 };
	long version = xen_version(XENVER_version, NULL);

	intel = cpuid(0, 0).b == 0x756e6547;
	for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++)
		CHECK(hypercall1(unknown[i], 0) == -XEN_ENOSYS, "hypercall %u is known",
		      unknown[i]);
	CHECK(raw(__HYPERVISOR_xen_version, XENVER_version, 0) == version, "raw xen_version");
	CHECK_RET(raw(64, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(127, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(0x7fffffff, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(0x80000000, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(0xffffffff, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(~0ul, 0, 0), -XEN_ENOSYS);
	CHECK_RET(raw(1ul << 32 | __HYPERVISOR_xen_version, 0, 0), -XEN_ENOSYS);
	check_registers();

	wrmsr(cpuid(xen_leaf + 2, 0).b, (uintptr_t)second_page);
	CHECK(!memcmp(second_page, hypercall_page, PAGE_SIZE), "the two hypercall pages differ");
	memset(hypercall_page, 0xf4, PAGE_SIZE);
	memcpy(hypercall_page, second_page, PAGE_SIZE);
	CHECK(xen_version(XENVER_version, NULL) == version, "a copied hypercall page fails");
	pass();
}
