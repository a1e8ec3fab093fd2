/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers, as table.def names them. Private to hypercall/. */
#ifndef HYPERCALL_PRIV_H
#define HYPERCALL_PRIV_H

#include <margay/hypercall.h>

#define HYPERCALL(nr, name, handler, who) hcall_fn handler;
#include "table.def"
#undef HYPERCALL

/* For operations that a domain may do on itself only: 0, or hcall_domain()'s error, or -EPERM. */
int hcall_own_domain(struct vcpu *v, domid_t id);

/* Address in a guest handle; handles are plain pointers in the 64-bit ABI. */
#define handle_va(h) ((gvaddr_t)(h).p)

#endif
