/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains without a machine. Provides what event channels and grants need from the rest of the
 * hypervisor, with pages, references and wake-ups that a test can count.
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

/* Indexed by domain id. Domain 1 is the first; cur is the caller of the hypercall. */
extern struct domain *mock_dom[MOCK_DOMAINS + 1];
extern unsigned mock_wakes[MOCK_DOMAINS + 1][MOCK_VCPUS];
extern unsigned mock_posts[MOCK_DOMAINS + 1][MOCK_VCPUS];
extern int mock_vector; /* last vector set in a vLAPIC, or -1 */
/* Number of allocations that succeed before they fail; -1 means no limit. */
extern int mock_alloc_left;

/*
 * Create domains with event channels and grant tables; destroy them and check that nothing leaked.
 */
int mock_setup(void **state);
int mock_teardown(void **state);
/* Destroys one domain. mock_teardown() calls it for the domains that are left. */
void mock_destroy(struct domain *d);

void mock_clear_events(void);

/* Maps a page of RAM at gfn and returns its mfn. */
mfn_t mock_ram(struct domain *d, gfn_t gfn);
/* Returns a page of d that is not mapped anywhere. */
mfn_t mock_page(struct domain *d);
unsigned mock_page_refs(mfn_t mfn);
unsigned mock_pages_in_use(void);

#endif
