/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arch_6, operation 0: returns the calling vCPU's exits. Only its own CPU counts them, so no lock.
 */
#include <x86/exit.h>

#include "hypercall_priv.h"

#define OP_EXITS 0

long do_arch_6(struct vcpu *v, struct regs *h)
{
	u64 all = 0;

	if (h->rdi != OP_EXITS)
		return hcall_unsupported(v, "arch_6", h->rdi);
	for (unsigned i = 0; i < NR_EXITS; i++)
		all += v->exits[i];
	return (long)all;
}
