/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own hypercall, for control domains: loads, selects, queries and unloads policies, reads
 * counters and the log, and controls the trace (observe.c). One operation runs at a time on the
 * whole machine; others restart until it is done. include/public/margay.h
 */
#include <margay/console.h>
#include <margay/isolate.h>
#include <margay/policy_registry.h>

#include <public/margay.h>
#include "hypercall_priv.h"

static void copy_name(char *to, const char *from, size_t size)
{
	memset(to, 0, size);
	strcopy(to, from, size);
}

static long op_load(struct vcpu *v, const struct margay_op *op)
{
	u64 size = op->u.load.size;
	char why[MODULE_REASON] = "";
	long rc;

	if (!size || size > MODULE_FILE_MAX)
		return -E2BIG;
	do
		rc = policy_load_guest(v, op->u.load.file, size, why);
	while (rc == -ERESTART && !hcall_preempt());
	if (rc == -EBUSY)	/* another vCPU loads a module */
		return -ERESTART;
	if (rc && rc != -ERESTART && op->u.load.reason &&
	    copy_to_guest(op->u.load.reason, why, sizeof(why)))
		return -EFAULT;
	return rc;
}

static long op_list(struct margay_op *op)
{
	const struct policy *p = policy_nth(op->u.list.index);
	const struct policy_module *d;

	if (!p)
		return -ENOENT;
	d = p->mod.desc;
	copy_name(op->name, p->mod.name, sizeof(op->name));
	op->u.list.points = (d->sched ? 1U << POINT_SCHED : 0) | (d->idle ? 1U << POINT_IDLE : 0) |
			    (d->exit ? 1U << POINT_EXIT : 0) | (d->place ? 1U << POINT_PLACE : 0) |
			    (d->migrate ? 1U << POINT_MIGRATE : 0);
	memcpy(op->u.list.digest, p->mod.digest, sizeof(op->u.list.digest));
	memcpy(op->u.list.build_id, p->mod.build_id, sizeof(op->u.list.build_id));
	op->u.list.ejected = p->ejected;
	op->u.list.selected = p->selected;
	op->u.list.memory = p->mod.size[0] + p->mod.size[1] + p->mod.size[2];
	copy_name(op->u.list.summary, p->summary, sizeof(op->u.list.summary));
	copy_name(op->u.list.why, p->why, sizeof(op->u.list.why));
	return 0;
}

static long op_select(struct vcpu *v, const struct margay_op *op)
{
	struct policy *p = op->name[0] ? policy_find(op->name) : NULL;
	struct cpu_set set;
	int rc;

	_Static_assert(sizeof(set.bits) == sizeof(op->u.select.cpus), "CPUs of a set");
	if (op->name[0] && !p)
		return -ENOENT;
	if (op->u.select.point >= NR_POINTS)
		return -EINVAL;
	memcpy(set.bits, op->u.select.cpus, sizeof(set.bits));
	rc = policy_select(op->u.select.point, p, &set);
	if (!rc)
		policy_log_selection(op->u.select.point, p, &set, v->domain);
	return rc;
}

static long op_selected(struct margay_op *op)
{
	const struct policy *p;

	if (op->u.select.point >= NR_POINTS)
		return -EINVAL;
	if (op->u.select.cpu >= nr_cpus)
		return -ENOENT;
	p = policy_selected(op->u.select.point, index_nospec(op->u.select.cpu, MAX_CPUS));
	copy_name(op->name, p ? p->mod.name : "", sizeof(op->name));
	return 0;
}

static long op_set(struct vcpu *v, struct margay_op *op)
{
	struct policy *p = policy_find(op->name);
	struct domain *d puts_domain = NULL;
	long rc = 0;

	op->u.set.name[sizeof(op->u.set.name) - 1] = 0;
	if (!p)
		return -ENOENT;
	if (op->u.set.domain != MARGAY_POLICY_ITSELF)
		rc = hcall_domain(v, (domid_t)op->u.set.domain, &d);
	return rc ? rc : policy_set(p, d, op->u.set.name, op->u.set.value);
}

static long op_counter(struct margay_op *op)
{
	struct policy *p = policy_find(op->name);

	if (!p)
		return -ENOENT;
	memset(op->u.counter.name, 0, sizeof(op->u.counter.name));
	return policy_counter(p, op->u.counter.index, op->u.counter.name, &op->u.counter.value) ?
		       0 :
		       -ENOENT;
}

static long op_dedicate(struct vcpu *v, const struct margay_op *op)
{
	struct cpu_set set;
	struct domain *d;
	long rc = hcall_domain(v, (domid_t)op->u.dedicate.domain, &d);

	if (rc)
		return rc;
	memcpy(set.bits, op->u.dedicate.cpus, sizeof(set.bits));
	rc = op->cmd == MARGAY_SHARE ? isolate_share(d) : isolate_dedicate(d, &set);
	domain_put(d);
	return rc;
}

static long do_op(struct vcpu *v, struct margay_op *op)
{
	switch (op->cmd) {
	case MARGAY_POLICY_LOAD:
		return op_load(v, op);
	case MARGAY_POLICY_UNLOAD:
		return policy_unload(op->name);
	case MARGAY_POLICY_LIST:
		return op_list(op);
	case MARGAY_POLICY_SELECT:
		return op_select(v, op);
	case MARGAY_POLICY_SELECTED:
		return op_selected(op);
	case MARGAY_POLICY_SET:
		return op_set(v, op);
	case MARGAY_POLICY_COUNTER:
		return op_counter(op);
	case MARGAY_STAT:
		return margay_stat(v, op);
	case MARGAY_TRACE:
	case MARGAY_TRACE_RING:
		return margay_trace(op);
	case MARGAY_SPECULATION:
		return arch_speculation_line(op->u.line.index, op->u.line.text,
					     sizeof(op->u.line.text));
	case MARGAY_PCI_LIST:
	case MARGAY_PCI_ASSIGN:
	case MARGAY_PCI_REVOKE:
	case MARGAY_PCI_BUS:
		return margay_pci(v, op);
	case MARGAY_DEDICATE:
	case MARGAY_SHARE:
		return op_dedicate(v, op);
	case MARGAY_LOG:
		op->u.log.size = (u32)console_log_read(&op->u.log.at, op->u.log.text,
						       sizeof(op->u.log.text));
		return 0;
	}
	return hcall_unsupported(v, "operation of Margay's own", op->cmd);
}

long do_margay_op(struct vcpu *v, struct regs *h)
{
	struct margay_op op;
	long rc;

	if (copy_from_guest(&op, h->rdi, sizeof(op)))
		return -EFAULT;
	if (op.interface != MARGAY_INTERFACE)
		return -EACCES;
	hcall_recount(v, MARGAY_HYPERCALL, h->rdi, op.cmd);
	op.name[sizeof(op.name) - 1] = 0;
	rc = -ERESTART;
	if (policy_control_enter()) {
		rc = do_op(v, &op);
		policy_control_leave();
	}
	if (rc == -ERESTART) {
		cpu_relax();	/* another CPU has to act first */
		return HCALL_RESTART;
	}
	if (!rc && copy_to_guest(h->rdi, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
