/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains without a machine: what event channels and grants need of the rest of the hypervisor, with
 * pages, references and wake-ups that a test can count.
 */
#ifndef TEST_UNIT_MOCK_GUEST_H
#define TEST_UNIT_MOCK_GUEST_H

#include "host.h"

#include <margay/evtchn.h>
#include <margay/grant.h>

#define MOCK_DOMAINS 3
#define MOCK_VCPUS 3
#define MOCK_GFNS 16384
#define MOCK_PAGES 4096

/* By id. Domain 1 is the first; cur is whose hypercall it is. */
extern struct domain *mock_dom[MOCK_DOMAINS + 1];
extern unsigned mock_wakes[MOCK_DOMAINS + 1][MOCK_VCPUS];
extern unsigned mock_posts[MOCK_DOMAINS + 1][MOCK_VCPUS];
extern int mock_vector; /* last one set in a vLAPIC, -1 */
/* Allocations that succeed until they fail; -1: no limit. */
extern int mock_alloc_left;

/* Domains with event channels and grant tables; and their end, which checks that nothing leaked. */
int mock_setup(void **state);
int mock_teardown(void **state);
/* One domain's end; called by mock_teardown() for those that still live. */
void mock_destroy(struct domain *d);

void mock_clear_events(void);

/* A page of RAM at gfn; its mfn. */
mfn_t mock_ram(struct domain *d, gfn_t gfn);
/* A page of d's that is nowhere mapped. */
mfn_t mock_page(struct domain *d);
unsigned mock_page_refs(mfn_t mfn);
u16 page_owner(mfn_t mfn);
unsigned mock_pages_in_use(void);

#endif
