/* SPDX-License-Identifier: BSD-2-Clause */
/* Grant tables, version 1: maps the table into the guest, grants pages and maps grants. */
#ifndef GUEST_GRANTS_H
#define GUEST_GRANTS_H

#include "hypercall.h"

#define FIRST_GRANT	8u		/* after the reserved references */

extern struct grant_entry_v1 *grant_table;	/* its first frame */

/* Maps the first frame of the table. */
void grants_init(void);

/* Returns this domain's id by CPUID; grants to oneself need it. */
domid_t own_domid(void);

/* Grants the page of p; flags is 0 or GTF_readonly. */
void grant(grant_ref_t ref, domid_t to, const void *p, uint16_t flags);
void ungrant(grant_ref_t ref);

/* Maps a grant. Takes GNTMAP_* flags and returns a GNTST_* result. */
int map_grant(domid_t dom, grant_ref_t ref, uint32_t flags, uintptr_t where,
	      grant_handle_t *handle);
int unmap_grant(uintptr_t where, grant_handle_t handle);

/* Returns which of GTF_reading and GTF_writing the hypervisor has set. */
uint16_t grant_in_use(grant_ref_t ref);

#endif
