/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-vCPU data. It lies at the bottom of the vCPU's stack, so that finding it needs no segment
 * base and scenarios may use FS and GS.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "hypercall.h"

#define MAX_CPUS	1024
#define STACK_SIZE	16384ul		/* as in start.asm */

/* An expected fault: where to resume, and what it was. traps.asm knows the offsets in regs[]. */
struct fault_point {
	uint64_t regs[9];
	bool armed;
	int vector;
	uint64_t error, cr2, rip;
};

struct cpu {
	unsigned int id;		/* vCPU number */
	uint32_t apic_id;
	struct vcpu_info *info;
	struct fault_point fault;
	void (*task)(void);		/* for an AP to run */
};

extern uint8_t boot_stack[STACK_SIZE];

static inline struct cpu *this_cpu(void)
{
	uintptr_t sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu *)(sp & ~(STACK_SIZE - 1));
}

#endif
