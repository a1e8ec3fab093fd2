/* SPDX-License-Identifier: BSD-2-Clause */
/* domctl: the operations on vCPUs. xen/domctl.h */
#include <margay/sched.h>

#include "domctl.h"

long bitmap_from_guest(const struct xenctl_bitmap *from, struct cpu_set *to)
{
	size_t n = min((from->nr_bits + 7UL) / 8, sizeof(to->bits));

	memset(to, 0, sizeof(*to));
	if (copy_from_guest(to->bits, handle_va(from->bitmap), n))
		return -EFAULT;
	/* Bits past the end of the tools' map are not theirs. */
	for (u32 i = from->nr_bits; i < n * 8; i++)
		cpu_set_remove(to, i);
	return 0;
}

static struct cpu_set online_only(const struct cpu_set *set)
{
	struct cpu_set out = { 0 };

	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpu_set_has(set, i))
			cpu_set_add(&out, i);
	return out;
}

long domctl_setvcpuaffinity(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	struct cpu_set set;
	long rc;

	if (!v)
		return -EINVAL;
	if (a->flags & XEN_VCPUAFFINITY_HARD) {
		rc = bitmap_from_guest(&a->cpumap_hard, &set);
		if (rc)
			return rc;
		rc = vcpu_restrict(v, &set);
		if (!rc) {
			set = online_only(&v->affinity);
			rc = bitmap_to_guest(&a->cpumap_hard, set.bits, nr_cpus);
		}
		if (rc)
			return rc;
	}
	if (!(a->flags & XEN_VCPUAFFINITY_SOFT))
		return 0;
	rc = bitmap_from_guest(&a->cpumap_soft, &set);
	if (rc)
		return rc;
	v->soft_affinity = set;
	if (v->on_cpu)	/* it may prefer another CPU now */
		cpu_raise(v->cpu, CPU_WORK_EXPEL);
	set = online_only(&set);
	return bitmap_to_guest(&a->cpumap_soft, set.bits, nr_cpus);
}

long domctl_getvcpuaffinity(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	long rc = 0;

	if (!v)
		return -EINVAL;
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		rc = bitmap_to_guest(&a->cpumap_hard, v->affinity.bits, MAX_CPUS);
	if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = bitmap_to_guest(&a->cpumap_soft, v->soft_affinity.bits, MAX_CPUS);
	return rc;
}

long domctl_getvcpuinfo(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
	struct vcpu *v = domain_vcpu(d, i->vcpu);
	struct vcpu_runstate_info rs;

	if (!v)
		return -EINVAL;
	vcpu_runstate(v, &rs);
	i->online = vcpu_online(v);
	i->blocked = READ_ONCE(v->state) == RUN_BLOCKED;
	i->running = READ_ONCE(v->state) == RUN_RUNNING;
	i->cpu_time = rs.time[RUNSTATE_running];
	i->cpu = v->cpu->id;
	return 0;
}

long domctl_getvcpucontext(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpucontext *u = &op->u.vcpucontext;
	struct vcpu *v = domain_vcpu(d, u->vcpu);
	struct vcpu_guest_context *c;
	long rc;

	if (!v)
		return -EINVAL;
	if (!v->initialised)
		return -ENODATA;
	c = kzalloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	arch_vcpu_get_context(v, c);
	rc = copy_to_guest(handle_va(u->ctxt), c, sizeof(*c)) ? -EFAULT : 0;
	kfree(c);
	return rc;
}

/* Sets the general registers: how the tools change what a suspended guest's hypercall returns. */
long domctl_setvcpucontext(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpucontext *u = &op->u.vcpucontext;
	struct vcpu *v = domain_vcpu(d, u->vcpu);
	struct cpu_user_regs r;

	if (!v || !v->initialised)
		return -EINVAL;
	if (!handle_va(u->ctxt))	/* to reset the vCPU, as for PV guests */
		return -EOPNOTSUPP;
	if (copy_from_guest(&r, handle_va(u->ctxt) + offsetof(struct vcpu_guest_context, user_regs),
			    sizeof(r)))
		return -EFAULT;
	return arch_vcpu_set_user_regs(v, &r);
}

/* A PVH guest has no power or sleep button, and the tools hear no error, as on Xen. */
long domctl_sendtrigger(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = domain_vcpu(d, op->u.sendtrigger.vcpu);

	switch (op->u.sendtrigger.trigger) {
	case XEN_DOMCTL_SENDTRIGGER_NMI:
		if (!v || !v->initialised)
			return v ? -EINVAL : -ESRCH;
		v->nmi_pending = true;
		vcpu_post(v, VCPU_WORK_NMI);
		vcpu_wake(v);
		return 0;
	case XEN_DOMCTL_SENDTRIGGER_POWER:
	case XEN_DOMCTL_SENDTRIGGER_SLEEP: return 0;
	default: return -ENOSYS;
	}
}
