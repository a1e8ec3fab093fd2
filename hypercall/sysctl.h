/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations of sysctl. Private to hypercall/sysctl*.c. */
#pragma once

#include "hypercall_priv.h"

/*
 * An operation: 0, an error, or HCALL_RESTART with its position, not 0, in *at. *op is copied back
 * after 0 and -ENOBUFS.
 */
typedef long sysctl_fn(struct xen_sysctl *op, u32 *at);

/* Of Xen's schedulers, its default one: tools offer weights and caps for it. */
#define SYSCTL_SCHEDULER XEN_SCHEDULER_CREDIT2

sysctl_fn sysctl_cputopoinfo, sysctl_numainfo, sysctl_pcitopoinfo, sysctl_cpupool_op,
	sysctl_scheduler_op;
