/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls. include/margay/hypercalls.def declares each once. A handler gets the arguments in the registers that the
 * guest has them in, RDI, RSI and RDX, and returns what goes into RAX. It writes to them only for a restart.
 */
#ifndef MARGAY_HYPERCALL_H
#define MARGAY_HYPERCALL_H

#include <margay/guest_copy.h>
#include <margay/trace.h>

typedef long hcall_fn(struct vcpu *v, struct regs *h);

/* Who may call; nobody what has no handler. */
enum { HCALL_NOBODY, HCALL_ANY, HCALL_CONTROL };

extern const struct hcall_entry {
	hcall_fn *fn;
	u8 who;
	u16 row;	/* index of its first counter in v->hypercalls */
} hcall_table[NR_HYPERCALLS];

/*
 * Return this from a handler to have the same hypercall executed again (after giving the scheduler a
 * chance), with the arguments as the handler leaves them in *h: the guest sees nothing of it.
 */
#define HCALL_RESTART (-ERESTART)

/* True when a long operation should stop and continue later with HCALL_RESTART. No locks held. */
bool hcall_preempt(void);

/* Answers those that are not for everybody; 0: goes on. */
long hcall_refused(struct vcpu *v, const struct hcall_entry *e, u64 nr);
/* Counts and answers what is not there: -ENOSYS. */
long hcall_unsupported(struct vcpu *v, const char *what, u64 op);

/*
 * A hypercall's result, or HCALL_RESTART when it has to be executed again with RAX and RIP as they are. Only
 * 64-bit kernels may call: a back-end answers others by HCALL_NOT_KERNEL or HCALL_NOT_64BIT. Inline, as it is
 * the most frequent exit: the way to the handler is one call long.
 */
#define HCALL_NOT_KERNEL (-EPERM)
#define HCALL_NOT_64BIT ((u32)-ENOSYS)

static inline long hypercall(struct vcpu *v, u64 nr, struct regs *h)
{
	const struct hcall_entry *e;
	long refusal;

	if (unlikely(nr >= NR_HYPERCALLS))
		return hcall_unsupported(v, "hypercall", nr);
	e = &hcall_table[mask_nospec(nr, NR_HYPERCALLS)];
	__asm__("" : "+r"(e));	/* or the compiler makes it up anew for each of its words */
	v->hypercalls[e->row + min(h->rdi, HCALL_SUBOPS - 1)]++;
	if (unlikely(e->who != HCALL_ANY)) {
		refusal = hcall_refused(v, e, nr);
		if (refusal)
			return refusal;
	}
	hold_at(hypercall_name((unsigned)nr));
	return e->fn(v, h);
}

/*
 * The domain that a guest names, with a reference: DOMID_SELF, its own id, or another one if the caller
 * is privileged. 0, -ESRCH or -EPERM.
 */
int hcall_domain(struct vcpu *v, domid_t id, struct domain **d);

#endif
