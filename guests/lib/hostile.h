/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helpers for scenarios that attack: reproducible random numbers, every known kind of bad pointer,
 * and memory that is checked for changes.
 */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include "types.h"

/* Returns the same sequence on each run, unless the command line says seed=N. */
uint64_t random_u64(void);

/* Addresses that no hypercall may accept for its argument: all must give -EFAULT. */
extern const uintptr_t *bad_pointers;
extern unsigned int nr_bad_pointers;
void bad_pointers_init(void);

/* canary_init() allocates and fills pages; later checks fail if a byte of them has changed. */
void canary_init(unsigned int pages);
void canary_check(const char *after);

#endif
