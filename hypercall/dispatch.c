/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the exit to a hypercall's handler, and multicall. Everything about the set of hypercalls is made
 * from table.def by the preprocessor.
 */
#include <margay/arch.h>
#include <margay/printk.h>
#include <margay/trace.h>

#include "hypercall_priv.h"

enum { NOBODY, ANY, CONTROL };

enum {
	ROW_UNSERVED,
#define HYPERCALL(nr, name, handler, who) ROW_##name,
#include "table.def"
#undef HYPERCALL
	NR_ROWS
};
_Static_assert(NR_ROWS <= HCALL_ROWS, "rows of counters");

struct entry {
	hcall_fn *fn;
	u8 who;
	u16 row;
};

static const struct entry table[NR_HYPERCALLS] = {
#define HYPERCALL(nr, name, handler, who) [nr] = { handler, who, ROW_##name * HCALL_SUBOPS },
#include "table.def"
#undef HYPERCALL
};

const char *const hypercall_names[NR_HYPERCALLS] = {
#define HYPERCALL(nr, name, handler, who) [nr] = #name,
#include "table.def"
#undef HYPERCALL
};

#define HYPERCALL(nr, name, handler, who)                                                     \
	_Static_assert((nr) == __HYPERVISOR_##name, "number of " #name);
#include "table.def"
#undef HYPERCALL

static inline long dispatch(struct vcpu *v, u64 nr, struct hcall_args *h)
{
	const struct entry *e;

	if (unlikely(nr >= NR_HYPERCALLS))
		return hcall_unsupported(v, "hypercall", nr);
	e = &table[mask_nospec(nr, NR_HYPERCALLS)];
	v->hypercalls[e->row + min(h->a[0], HCALL_SUBOPS - 1)]++;
	if (unlikely(e->who != ANY)) {
		if (e->who == NOBODY)
			return hcall_unsupported(v, "hypercall", nr);
		if (!v->domain->control) {
			v->stats.denied++;
			return -EPERM;
		}
	}
	return e->fn(v, h);
}

const u64 *hypercall_counts(const struct vcpu *v, unsigned nr)
{
	return v->hypercalls + table[nr].row;
}

bool hypercall(struct vcpu *v)
{
	struct regs *r = &v->regs;
	struct hcall_args *h = &v->hcall;
	long ret;

	h->a[0] = r->rdi;
	h->a[1] = r->rsi;
	h->a[2] = r->rdx;
	ret = dispatch(v, r->rax, h);
	if (unlikely(ret == HCALL_RESTART)) {
		r->rdi = h->a[0];
		r->rsi = h->a[1];
		r->rdx = h->a[2];
		return true;
	}
	r->rax = (u64)ret;
	return false;
}

bool hcall_preempt(void)
{
	arch_poll_irqs();
	return READ_ONCE(this_cpu()->work) || READ_ONCE(current_vcpu()->work) & VCPU_WORK_STOP;
}

long hcall_unsupported(struct vcpu *v, const char *what, u64 op)
{
	struct domain *d = v->domain;

	v->stats.unknown++;
	/* Only the first ones are worth a line: a guest must not fill the log. */
	if (atomic_add(&d->refusals, 1) <= 16)
		pr_debug("%s: %s %lu is not served\n", d->name, what, op);
	return -ENOSYS;
}

long do_unserved(struct vcpu *v, struct hcall_args *h)
{
	return hcall_unsupported(v, "operation", h->a[0]);
}

int hcall_domain(struct vcpu *v, domid_t id, struct domain **d)
{
	if (id == DOMID_SELF || id == v->domain->id) {
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

/*
 * A call that wants to be restarted gets its new arguments written to its entry, and the multicall is
 * restarted from there. Calls in the list are not themselves multicalls.
 */
long do_multicall(struct vcpu *v, struct hcall_args *h)
{
	u32 n = (u32)h->a[1], done;

	for (done = 0; done < n; done++, h->a[0] += sizeof(struct multicall_entry)) {
		struct multicall_entry e;
		struct hcall_args args;
		long ret;

		if (done && hcall_preempt()) {
			h->a[1] = n - done;
			return HCALL_RESTART;
		}
		if (guest_read(&e, h->a[0], 0))
			return -EFAULT;
		memcpy(args.a, e.args, sizeof(args.a));
		trace(HYPERCALL, v, e.op, args.a[0]);
		ret = e.op == __HYPERVISOR_multicall ? -EINVAL : dispatch(v, e.op, &args);
		if (ret == HCALL_RESTART) {
			memcpy(e.args, args.a, sizeof(args.a));
			if (guest_write(h->a[0], 0, &e))
				return -EFAULT;
			h->a[1] = n - done;
			return HCALL_RESTART;
		}
		e.result = (u64)ret;
		if (copy_to_guest(h->a[0] + offsetof(struct multicall_entry, result), &e.result,
				  sizeof(e.result)))
			return -EFAULT;
	}
	return 0;
}
