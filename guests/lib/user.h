/* SPDX-License-Identifier: BSD-2-Clause */
/* Ring 3: page mappings of its own, and an entry to code that ends by a fault. */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "traps.h"

#define USER_CODE32	0x23
#define USER_CODE64	0x33
#define RFLAGS_IOPL3	0x3000ul

struct user_start {
	uint64_t rip, cs, rflags, rsp, rax, rcx, rdx, rsi, rdi;
};

/* Loads a TSS on the calling vCPU. Only one vCPU may enter ring 3. */
void user_init(void);

/* Maps one 4 KiB page. va must lie in a hole of the map of 2 MiB pages, since none is split. */
void map_page(uint64_t va, uint64_t pa, uint64_t flags);

/* Enters ring 3. Returns by a fault, so use it in FAULT_OF(). */
void user_enter(const struct user_start *s);

#endif
