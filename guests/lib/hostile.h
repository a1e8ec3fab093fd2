/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For scenarios that attack: random numbers that repeat, pointers that are wrong in every way we
 * know, and memory whose contents are watched.
 */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include "types.h"

/* The same sequence on each run, unless the command line says seed=N. */
uint64_t random_u64(void);

/* Addresses no hypercall may take its argument from: all must give -EFAULT. */
extern const uintptr_t *bad_pointers;
extern unsigned int nr_bad_pointers;
void bad_pointers_init(void);

/* Take pages and fill them; later fail if a byte of them has changed. */
void canary_init(unsigned int pages);
void canary_check(const char *after);

#endif
