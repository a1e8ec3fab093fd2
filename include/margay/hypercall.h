/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls. hypercall/table.def declares each once. A handler gets the arguments in the registers that the
 * guest has them in, RDI, RSI and RDX, and returns what goes into RAX. It writes to them only for a restart.
 */
#ifndef MARGAY_HYPERCALL_H
#define MARGAY_HYPERCALL_H

#include <margay/guest_copy.h>

#define NR_HYPERCALLS 64U

typedef long hcall_fn(struct vcpu *v, struct regs *h);

/* Who may call; nobody what has no handler. */
enum { HCALL_NOBODY, HCALL_ANY, HCALL_CONTROL };

extern const struct hcall_entry {
	hcall_fn *fn;
	u8 who;
	u16 row;	/* where in v->hypercalls its counters begin */
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
	return e->fn(v, h);
}

/* By number, for the console; NULL for those not served. */
extern const char *const hypercall_names[NR_HYPERCALLS];

/*
 * v->hypercalls has a row for each that is served and one for all others, in which the first argument, mostly an
 * operation's number, chooses; the last is for all larger ones.
 */
const u64 *hypercall_counts(const struct vcpu *v, unsigned nr);

/*
 * The domain that a guest names, with a reference: DOMID_SELF, its own id, or another one if the caller
 * is privileged. 0, -ESRCH or -EPERM.
 */
int hcall_domain(struct vcpu *v, domid_t id, struct domain **d);

/* A vCPU's timers (VIRQ_TIMER, poll) and a domain's watchdogs: made ready at creation, stopped at death. */
void vcpu_timers_init(struct vcpu *v);
void vcpu_timers_stop(struct vcpu *v);
void domain_watchdog_init(struct domain *d);
void domain_watchdog_stop(struct domain *d);

/*
 * Puts the pages that v's guest registered: vcpu_info, runstate, time. v does not run any more, and nothing
 * can send it events: timers are stopped, evtchn_teardown() is done.
 */
void hcall_vcpu_cleanup(struct vcpu *v);

/*
 * Writes v->runstate to the area its guest registered, if any. The scheduler calls it at each switch to
 * or from v, on the CPU that v enters or leaves. Any locks.
 */
void runstate_update(struct vcpu *v);

/* d->shutdown_code before anyone has set one; SCHEDOP_shutdown_code's wins over domain_shutdown()'s. */
#define SHUTDOWN_CODE_NONE 0xffU

/* An entry of the memory map that XENMEM_memory_map reports, laid out as the BIOS call INT 15h E820h has it. */
struct e820_entry {
	u64 addr, size;
	u32 type;
} __packed;

/* Architecture: up to max entries of d's memory map; returns how many. */
unsigned arch_memory_map(struct domain *d, struct e820_entry *map, unsigned max);

#endif
