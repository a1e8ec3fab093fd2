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

/*
 * Copy a bitmap of CPUs or nodes. The tools' maps may be shorter or longer; missing bits are 0. Write
 * bits 0 to n - 1. 0 or -EFAULT.
 */
long bitmap_from_tools(const struct xenctl_bitmap *from, struct cpu_set *to);
long bitmap_to_tools(const struct xenctl_bitmap *to, const struct cpu_set *from, unsigned n);
