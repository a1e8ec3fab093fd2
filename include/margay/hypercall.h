/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls. hypercalls.def declares each once. A handler finds the arguments in the guest's
 * registers RDI, RSI and RDX. Its result goes to RAX. It modifies the registers only for a restart.
 */
#pragma once

#include <margay/guest_copy.h>
#include <margay/trace.h>

typedef long hcall_fn(struct vcpu *v, struct regs *h);

/* Who may call. HCALL_NOBODY: there is no handler. */
enum { HCALL_NOBODY, HCALL_ANY, HCALL_CONTROL };

extern const struct hcall_entry {
	hcall_fn *fn;
	u8 who;
	u16 row;	/* index of its first counter in v->hypercalls */
} hcall_table[NR_HYPERCALLS];

/*
 * A handler returns this to have the hypercall executed again (after a visit to the scheduler),
 * with the arguments that it leaves in *h. The guest does not notice.
 */
#define HCALL_RESTART (-ERESTART)

/* Returns whether a long operation should return HCALL_RESTART now. Called without locks. */
bool hcall_preempt(void);

/* Refuses hypercalls that v may not make. Returns 0 if v may make it. */
long hcall_refused(struct vcpu *v, const struct hcall_entry *e, u64 nr);
/* Counts an unsupported operation and returns -ENOSYS. */
long hcall_unsupported(struct vcpu *v, const char *what, u64 op);

/*
 * Returns a hypercall's result, or HCALL_RESTART to execute it again with RAX and RIP unchanged.
 * Only 64-bit kernels call it: back-ends return HCALL_NOT_KERNEL to user and real mode.
 * Inline, since hypercalls are the most frequent exit: one call reaches the handler.
 */
#define HCALL_NOT_KERNEL (-EPERM)

static inline long hypercall(struct vcpu *v, u64 nr, struct regs *h)
{
	const struct hcall_entry *e;
	long refusal;

	if (unlikely(nr >= NR_HYPERCALLS))
		return hcall_unsupported(v, "hypercall", nr);
	e = &hcall_table[mask_nospec(nr, NR_HYPERCALLS)];
	__asm__("" : "+r"(e));	/* keeps gcc from recomputing e for each field */
	v->hypercalls[e->row + min(h->rdi, HCALL_SUBOPS - 1)]++;
	if (unlikely(e->who != HCALL_ANY)) {
		refusal = hcall_refused(v, e, nr);
		if (refusal)
			return refusal;
	}
	hold_at(hypercall_name((unsigned)nr));
	return e->fn(v, h);
}

/* The same for protected-mode code that is not 64-bit: arguments in EBX, ECX and EDX. compat.c */
long hypercall_32(struct vcpu *v, u32 nr, struct regs *h);

int hcall_domain_of(struct vcpu *v, domid_t id, struct domain **d);

/*
 * Returns the domain that a guest names, with a reference: DOMID_SELF, its own id, or another id if
 * the caller is privileged. 0, -ESRCH or -EPERM.
 */
static inline int hcall_domain(struct vcpu *v, domid_t id, struct domain **d)
{
	if (id != DOMID_SELF)
		return hcall_domain_of(v, id, d);
	*d = v->domain;
	domain_hold(*d);
	return 0;
}
