/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables, exceptions and the vectors that Margay uses on the host. SDM 3A 6, 3A 3. */
#pragma once

#include <margay/percpu.h>

/* The frame that traps.asm pushes, in its order. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* Vectors Margay uses on the host. */
enum {
	VEC_NMI = 2,
	VEC_DF = 8,
	VEC_MC = 18,
	VEC_UART = 0xf0,
	VEC_TIMER = 0xf1,
	VEC_KICK = 0xf2,
	VEC_SPURIOUS = 0xff,
};

/* The operand of LGDT and LIDT. */
struct table_ptr {
	u16 limit;
	u64 base;
} __packed;

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

void idt_init(void);
void idt_use_stacks(void);
void idt_load(void);
void gdt_init_cpu(struct cpu *c);
void gdt_load(struct cpu *c);
u64 gdt_base(const struct cpu *c);
u64 gdt_tss_base(const struct cpu *c);
u64 idt_base(void);
void __noreturn stack_switch(void *top, void (*fn)(void *arg), void *arg);
void trap_dump_frame(const struct trap_frame *f);
void trap_backtrace(u64 rip, u64 rsp, u64 rbp);
/* Handles an interrupt that the CPU has acknowledged already. */
void trap_interrupt(u8 vector);
bool trap_in_policy(struct cpu *c, struct trap_frame *f);
bool policy_nmi(struct cpu *c, struct trap_frame *f);
void nmi_unasked(struct cpu *c);
void idle_nmi(struct trap_frame *f);	/* an NMI ends an idle CPU's sleep, wherever it comes */
void policy_nmi_init(void);
const char *exception_name(u64 vector);
