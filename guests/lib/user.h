/* SPDX-License-Identifier: BSD-2-Clause */
/* Ring 3: pages of its own, and a way into code there, which ends by a fault. */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "traps.h"

#define USER_CODE32	0x23
#define USER_CODE64	0x33
#define RFLAGS_IOPL3	0x3000ul

struct user_start {
	uint64_t rip, cs, rflags, rsp, rax, rcx, rdx, rsi, rdi;
};

/* Loads a TSS on the calling vCPU. Only one vCPU goes to ring 3. */
void user_init(void);

/* Maps one 4 KiB page; splits nothing that is in use: va lies where the map of 2 MiB pages has a hole. */
void map_page(uint64_t va, uint64_t pa, uint64_t flags);

/* Enters ring 3. It comes back by a fault: for use in FAULT_OF(). */
void user_enter(const struct user_start *s);

#endif
