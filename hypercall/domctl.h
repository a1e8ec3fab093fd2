/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations of domctl. Private to hypercall/. */
#pragma once

#include "hypercall_priv.h"

#include <xen/domctl.h>

/*
 * An operation on d, for the caller v. It changes *op where the tools get the structure back. Returns
 * 0, an error, or -ERESTART to be called again.
 */
typedef long domctl_fn(struct vcpu *v, struct domain *d, struct xen_domctl *op);

#define DOMCTL(name, flags) domctl_fn domctl_##name;
#include "domctl.def"

/* Reads a bitmap of CPUs or nodes, of which missing bits are clear. 0 or -EFAULT. */
long bitmap_from_guest(const struct xenctl_bitmap *from, struct cpu_set *to);
