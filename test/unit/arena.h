/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a machine, for unit tests of the owner table and its users: an arena behind the
 * direct map, with two NUMA nodes and a hole. All of it is dirty at first. Includes
 * common/page_*.c; link with common/boot/memmap.c.
 */
#ifndef TEST_UNIT_ARENA_H
#define TEST_UNIT_ARENA_H

#include "host.h"

#include <margay/domain.h>
#include <margay/page_owner.h>

#define ARENA_SIZE (64UL << 20)
#define ARENA_NODE1 (40UL << 20) /* start of node 1's memory */
#define ARENA_IMAGE (2UL << 20)
#define ARENA_IMAGE_SIZE 0x23000UL

int arena_setup(void **state);
/* Returns OWNER_* or a domain id. */
bool arena_is_zero(const void *p, size_t n);

extern unsigned arena_windows;	/* calls of arch_poll_irqs() */

/* dom_alloc(), repeated while it scrubs. */
int arena_dom_alloc(struct domain *d, unsigned order, mfn_t *mfn);
#ifndef ARENA_ITSELF
#define dom_alloc arena_dom_alloc
#endif

/* Checks that nothing leaked since set-up or the last call: free pages, and merged chunks. */
void arena_mark(void);
void arena_check(void);

/* Takes all free memory but n pages; arena_give() releases it. */
void arena_take_all_but(unsigned n);
void arena_give(void);

u32 arena_random(void);

#endif
