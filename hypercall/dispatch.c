/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch of hypercalls to their handlers, and multicall. The preprocessor generates all tables of
 * hypercalls from hypercalls.def.
 */

#include "hypercall_priv.h"

#include <xen/arch-x86/xen-mca.h>

const struct hcall_entry hcall_table[NR_HYPERCALLS] = {
#define HYPERCALL(nr, name, handler, who) \
	[nr] = { handler, HCALL_##who, HCALL_ROW_##name * HCALL_SUBOPS },
#include <margay/hypercalls.def>
};

#define __HYPERVISOR_margay_op MARGAY_HYPERCALL
#define HYPERCALL(nr, name, handler, who)                                                     \
	_Static_assert((nr) == __HYPERVISOR_##name, "number of " #name);
#include <margay/hypercalls.def>

long hcall_refused(struct vcpu *v, const struct hcall_entry *e, u64 nr)
{
	if (e->who == HCALL_NOBODY)
		return hcall_unsupported(v, "hypercall", nr);
	if (v->domain->control)
		return 0;
	v->stats.denied++;
	return -EPERM;
}

void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub)
{
	u64 *counts = v->hypercalls + hcall_table[nr].row;

	counts[min(arg, HCALL_SUBOPS - 1)]--;
	counts[min(sub, HCALL_SUBOPS - 1)]++;
}

bool hcall_preempt(void)
{
	arch_poll_irqs();
	hold_look();
	return READ_ONCE(this_cpu()->work) || READ_ONCE(current_vcpu()->pending) & VCPU_WORK_STOP;
}

long hcall_unsupported(struct vcpu *v, const char *what, u64 op)
{
	struct domain *d = v->domain;

	v->stats.unknown++;
	/* Print only the first ones: a guest must not flood the log. */
	if (atomic_add(&d->refusals, 1) <= 16)
		pr_debug("%s: %s %lu is not supported\n", d->name, what, op);
	return -ENOSYS;
}

int hcall_domain_of(struct vcpu *v, domid_t id, struct domain **d)
{
	if (id == v->domain->id) {
		*d = v->domain;
		domain_hold(*d);
		return 0;
	}
	*d = domain_get(id);
	if (!*d)
		return -ESRCH;
	if (v->domain->control)
		return 0;
	domain_put(*d);
	*d = NULL;
	return -EPERM;
}

int hcall_own_domain(struct vcpu *v, domid_t id)
{
	struct domain *d;
	int err = hcall_domain(v, id, &d);

	if (!err)
		domain_put(d);
	return err ? err : d == v->domain ? 0 : -EPERM;
}

static long restart_multicall(struct regs *h, gvaddr_t at, u32 left)
{
	h->rdi = at;
	h->rsi = left;
	return HCALL_RESTART;
}

/*
 * To restart a call, writes its new arguments to its entry and restarts the multicall there. A
 * multicall may not contain multicalls.
 */
long do_multicall(struct vcpu *v, struct regs *h)
{
	gvaddr_t at = h->rdi;
	u32 n = (u32)h->rsi;

	for (u32 done = 0; done < n; done++, at += sizeof(struct multicall_entry)) {
		struct multicall_entry e;
		struct regs args;
		long ret;

		if (done && hcall_preempt())
			return restart_multicall(h, at, n - done);
		if (guest_read(&e, at, 0))
			return -EFAULT;
		args.rdi = e.args[0];
		args.rsi = e.args[1];
		args.rdx = e.args[2];
		trace(HYPERCALL, v, e.op, args.rdi);
		ret = e.op == __HYPERVISOR_multicall ? -EINVAL : hypercall(v, e.op, &args);
		if (ret == HCALL_RESTART) {
			e.args[0] = args.rdi;
			e.args[1] = args.rsi;
			e.args[2] = args.rdx;
			if (guest_write(at, 0, &e))
				return -EFAULT;
			return restart_multicall(h, at, n - done);
		}
		e.result = (u64)ret;
		if (copy_to_guest(at + offsetof(struct multicall_entry, result), &e.result,
				  sizeof(e.result)))
			return -EFAULT;
	}
	return 0;
}
