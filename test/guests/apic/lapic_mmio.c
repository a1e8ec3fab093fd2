/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: access to the LAPIC page by every encoding of MOV that a compiler may choose: registers
 * with and without REX, immediates, displacements, scaled indices, absolute addresses.
 */
#include "guest.h"

#define APIC	0xfee00000ul
#define TPR	(APIC + LAPIC_TPR)

static void want(const char *what, uint32_t got, uint32_t wanted)
{
	CHECK(got == wanted, "%s: %x, wanted %x", what, got, wanted);
}

static uint32_t tpr(void)
{
	return *(volatile uint32_t *)TPR;
}

#define STORE_REG(reg, val) do {								\
	asm volatile("mov %0, %%" reg "d; mov %%" reg "d, (%1)"					\
		     :: "i"(val), "a"(TPR) : reg, "memory");					\
	want("store from " reg, tpr(), val);							\
} while (0)

#define LOAD_REG(reg, val) do {									\
	uint64_t out_;										\
	*(volatile uint32_t *)TPR = (val);							\
	asm volatile("mov $-1, %%" reg "; mov (%1), %%" reg "d; mov %%" reg ", %0"		\
		     : "=c"(out_) : "a"(TPR) : reg, "memory");					\
	CHECK(out_ == (val), "load to " reg ": %lx, wanted %x", out_, val);			\
} while (0)

static void check_registers(void)
{
	uint64_t out;

	STORE_REG("r8", 0x10);
	STORE_REG("r9", 0x20);
	STORE_REG("r10", 0x30);
	STORE_REG("r11", 0x40);
	STORE_REG("r12", 0x50);
	STORE_REG("r13", 0x60);
	STORE_REG("r14", 0x70);
	STORE_REG("r15", 0x80);
	LOAD_REG("r8", 0x10);
	LOAD_REG("r11", 0x20);
	LOAD_REG("r12", 0x30);
	LOAD_REG("r15", 0x40);
	asm volatile("mov $0x50, %%ebx; mov %%ebx, (%%rdi)" :: "D"(TPR) : "rbx", "memory");
	want("store from ebx", tpr(), 0x50);
	asm volatile("mov $0x60, %%esi; mov %%esi, (%%rdi)" :: "D"(TPR) : "rsi", "memory");
	want("store from esi", tpr(), 0x60);
	asm volatile("push %%rbp; mov $0x70, %%ebp; mov %%ebp, (%%rdi); pop %%rbp"
		     :: "D"(TPR) : "memory");
	want("store from ebp", tpr(), 0x70);
	/* A 32-bit load clears the upper half. */
	asm volatile("mov $-1, %%rdx; mov (%1), %%edx; mov %%rdx, %0"
		     : "=r"(out) : "D"(TPR) : "rdx", "memory");
	CHECK(out == 0x70, "load to edx left %lx", out);
}

static void check_addresses(void)
{
	uint32_t out;

	asm volatile("movl $0x10, 0x80(%0)" :: "r"(APIC) : "memory");
	want("immediate, disp32", tpr(), 0x10);
	asm volatile("movl $0x20, 0x40(%0)" :: "r"(APIC + 0x40) : "memory");
	want("immediate, disp8", tpr(), 0x20);
	asm volatile("movl $0x30, -0x80(%0)" :: "r"(APIC + 0x100) : "memory");
	want("immediate, negative disp", tpr(), 0x30);
	asm volatile("movl $0x40, (%0, %1, 4)" :: "r"(APIC), "r"(0x20ul) : "memory");
	want("base and index", tpr(), 0x40);
	asm volatile("movl $0x50, 0x40(%0, %1, 8)" :: "r"(APIC), "r"(8ul) : "memory");
	want("base, index and disp8", tpr(), 0x50);
	asm volatile("movl $0x60, -0x7ffffff0(, %0, 2)" :: "r"((TPR + 0x7ffffff0) / 2) : "memory");
	want("index without base", tpr(), 0x60);
	asm volatile("mov %0, %%r13; movl $0x70, (%%r13)" :: "r"(TPR) : "r13", "memory");
	want("base r13", tpr(), 0x70);
	asm volatile("mov %0, %%r12; movl $0x80, (%%r12)" :: "r"(TPR) : "r12", "memory");
	want("base r12", tpr(), 0x80);
	asm volatile("movabs %%eax, 0xfee00080" :: "a"(0x90) : "memory");
	want("store to an absolute address", tpr(), 0x90);
	asm volatile("movabs 0xfee00080, %%eax" : "=a"(out) :: "memory");
	want("load from an absolute address", out, 0x90);
	asm volatile(".byte 0x67; movl $0xa0, (%0)" :: "r"(TPR | 1ul << 40) : "memory");
	want("32-bit address", tpr(), 0xa0);
	asm volatile("mov %1, %%r14; mov $0x20, %%r15d; mov (%%r14, %%r15, 4), %0"
		     : "=a"(out) : "r"(APIC) : "r14", "r15", "memory");
	want("load by r14 and r15", out, 0xa0);
	asm volatile("ds movl $0xb0, (%0)" :: "r"(TPR) : "memory");
	want("segment prefix", tpr(), 0xb0);
	asm volatile("push %%rbp; mov %0, %%rbp; movl $0xc0, 0(%%rbp); pop %%rbp"
		     :: "r"(TPR) : "memory");
	want("base rbp", tpr(), 0xc0);
}

/* RIP-relative: code close enough to the page runs from a copy below 4 GiB. */
static void check_far_code(void)
{
	static const uint8_t store[] = { 0xc7, 0x05, 0, 0, 0, 0, 0xd0, 0, 0, 0, 0xc3 };
	uint8_t *code = (uint8_t *)hole_alloc(1);
	domid_t self = DOMID_SELF;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	xen_pfn_t gfn = (uintptr_t)code >> PAGE_SHIFT, old;
	int32_t distance;

	/* Only if the hole is within 2 GiB of the LAPIC and a page can be moved there. */
	if (TPR - (uintptr_t)code > 0x7fffffff)
		return;
	old = (uintptr_t)page_alloc(1) >> PAGE_SHIFT;
	set_xen_guest_handle(r.extent_start, &old);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &r), 1);
	set_xen_guest_handle(r.extent_start, &gfn);
	CHECK_RET(memory_op(XENMEM_populate_physmap, &r), 1);
	CHECK(memory_op(XENMEM_current_reservation, &self) > 0, "no memory left");
	memcpy(code, store, sizeof(store));
	distance = (int32_t)(TPR - ((uintptr_t)code + 10));
	memcpy(code + 2, &distance, 4);
	((void (*)(void))code)();
	want("RIP-relative", tpr(), 0xd0);
}

int main(void)
{
	CHECK((rdmsr(MSR_APIC_BASE) & 0xffffff000) == APIC, "APIC base %lx", rdmsr(MSR_APIC_BASE));
	CHECK(!lapic_is_x2apic(), "in x2APIC mode");
	check_registers();
	check_addresses();
	check_far_code();
	lapic_write(LAPIC_TPR, 0);
	pass();
}
