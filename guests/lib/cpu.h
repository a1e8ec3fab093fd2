/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU knows about itself. It lies at the bottom of the vCPU's stack, so that no segment
 * base is needed to find it and scenarios may play with FS and GS.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "hypercall.h"

#define MAX_CPUS	1024
#define STACK_SIZE	16384ul		/* as in start.asm */

/* Where an expected fault goes, and what it was. Offsets of regs[] are known to traps.asm. */
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
	void (*task)(void);		/* what an AP runs */
};

extern uint8_t boot_stack[STACK_SIZE];

static inline struct cpu *this_cpu(void)
{
	uintptr_t sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu *)(sp & ~(STACK_SIZE - 1));
}

#endif
