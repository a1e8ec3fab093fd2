/* SPDX-License-Identifier: BSD-2-Clause */
/* Grant table v1: the table mapped into the guest, granting, mapping. */
#ifndef GUEST_GRANTS_H
#define GUEST_GRANTS_H

#include "hypercall.h"

#define FIRST_GRANT	8u		/* after the reserved references */

extern struct grant_entry_v1 *grant_table;	/* its first frame */

/* Map the first frame of the table. */
void grants_init(void);

/* This domain's number, which grants to oneself need; by CPUID. */
domid_t own_domid(void);

/* Grant the page of p; flags is 0 or GTF_readonly. */
void grant(grant_ref_t ref, domid_t to, const void *p, uint16_t flags);
void ungrant(grant_ref_t ref);

/* GNTMAP_* flags; the GNTST_* result. */
int map_grant(domid_t dom, grant_ref_t ref, uint32_t flags, uintptr_t where,
	      grant_handle_t *handle);
int unmap_grant(uintptr_t where, grant_handle_t handle);

/* Which of GTF_reading and GTF_writing the hypervisor has set. */
uint16_t grant_in_use(grant_ref_t ref);

#endif
