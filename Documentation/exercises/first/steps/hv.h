/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps 3 to 5: the same functions for AMD-V and for VT-x. */
#pragma once

#include <stdbool.h>

#include "lib.h"

bool svm_present(void), vmx_present(void);
bool svm_on(void), vmx_on(void);

/* Step 4. The general registers that the guests here use. */
struct regs {
	u64 rax, rbx, rcx, rdx;
};

enum why {
	WHY_HLT,
	WHY_CPUID,
	WHY_OTHER,
};

void svm_prepare(const u8 *rip), vmx_prepare(const u8 *rip);
enum why svm_enter(struct regs *r), vmx_enter(struct regs *r);
void svm_skip(unsigned len), vmx_skip(void);

extern const u8 guest_hlt[], guest_cpuid[];
extern u8 gdt[], gdt_end[], pml4[], guest_stack[];
