/* SPDX-License-Identifier: BSD-2-Clause */
/* See traps.h. An unexpected exception ends the guest with a FAIL line and a dump. */
#include "traps.h"
#include "console.h"
#include "test.h"
#include "x86.h"

#define CODE64_SELECTOR	0x10
#define GATE_INTERRUPT	0x8e00
#define STUB_SIZE	16

struct idt_gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, reserved;
};

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const uint8_t trap_stubs[256][STUB_SIZE];
extern const uint8_t fault_resume[];
void trap_entry(struct trap_regs *regs);

static struct idt_gate idt[256];
static void (*handlers[256])(struct trap_regs *regs);

void traps_init(void)
{
	struct table_ptr ptr = { sizeof(idt) - 1, (uintptr_t)idt };

	for (unsigned int i = 0; i < 256; i++) {
		uintptr_t stub = (uintptr_t)trap_stubs[i];

		idt[i] = (struct idt_gate){
			.offset_low = (uint16_t)stub, .selector = CODE64_SELECTOR,
			.flags = GATE_INTERRUPT, .offset_mid = (uint16_t)(stub >> 16),
		};
	}
	asm volatile("lidt %0" :: "m"(ptr));
}

void set_trap_handler(uint8_t vector, void (*handler)(struct trap_regs *regs))
{
	handlers[vector] = handler;
}

static void dump(const struct trap_regs *r)
{
	printf("vector %lu error %lx rip %lx cs %lx rflags %lx rsp %lx cr2 %lx\n", r->vector,
	       r->error, r->rip, r->cs, r->rflags, r->rsp, read_cr2());
	printf("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", r->rax, r->rbx, r->rcx,
	       r->rdx, r->rsi, r->rdi, r->rbp);
	printf("r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\n", r->r8, r->r9,
	       r->r10, r->r11, r->r12, r->r13, r->r14, r->r15);
}

void trap_entry(struct trap_regs *regs)
{
	struct fault_point *fp = &this_cpu()->fault;

	if (handlers[regs->vector]) {
		handlers[regs->vector](regs);
		return;
	}
	if (regs->vector < 32 && regs->vector != X86_NMI && fp->armed) {
		fp->armed = false;
		fp->vector = (int)regs->vector;
		fp->error = regs->error;
		fp->cr2 = read_cr2();
		fp->rip = regs->rip;
		regs->rdi = (uintptr_t)fp;
		regs->rip = (uintptr_t)fault_resume;
		regs->cs = CODE64_SELECTOR;
		regs->ss = 0x18;
		regs->rsp = fp->regs[6];
		regs->rflags &= ~RFLAGS_TF;
		return;
	}
	dump(regs);
	fail("vCPU %u: unexpected %s %lu at %lx, error %lx", this_cpu()->id,
	     regs->vector < 32 ? "exception" : "interrupt", regs->vector, regs->rip, regs->error);
}

int rdmsr_safe(uint32_t msr, uint64_t *val)
{
	return FAULT_OF(*val = rdmsr(msr));
}

int wrmsr_safe(uint32_t msr, uint64_t val)
{
	return FAULT_OF(wrmsr(msr, val));
}
