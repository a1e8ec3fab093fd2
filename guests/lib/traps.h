/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and exceptions: the IDT, per-vector handlers, and faults that a test expects. */
#ifndef GUEST_TRAPS_H
#define GUEST_TRAPS_H

#include "cpu.h"

/* The stack layout that trap_common in traps.asm creates. */
struct trap_regs {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* Loads the IDT on the calling vCPU. */
void traps_init(void);

/*
 * Sets a handler. It gets the vector in regs->vector and may change the registers. NULL removes it.
 */
void set_trap_handler(uint8_t vector, void (*handler)(struct trap_regs *regs));

/*
 * Runs a statement that may fault. The value is the fault's vector, or -1 if there was none;
 * this_cpu()->fault then holds error code, CR2 and RIP. Local variables that the statement assigned
 * are lost if it faults.
 */
#define FAULT_OF(...) ({							\
	struct fault_point *fp_ = &this_cpu()->fault;				\
	fp_->vector = -1;							\
	fp_->armed = true;							\
	if (!fault_save(fp_)) {							\
		__VA_ARGS__;							\
	}									\
	barrier();								\
	fp_->armed = false;							\
	fp_->vector; })

int fault_save(struct fault_point *fp) __attribute__((returns_twice));

/* Accesses an MSR. Returns the vector of the fault, or -1 on success. */
int rdmsr_safe(uint32_t msr, uint64_t *val);
int wrmsr_safe(uint32_t msr, uint64_t val);

#endif
