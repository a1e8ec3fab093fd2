/* SPDX-License-Identifier: BSD-2-Clause */
/* hvm_op: a domain's HVM parameters and event delivery; vm_assist. xen/hvm/hvm_op.h, params.h */
#include <margay/sched.h>

#include "hypercall_priv.h"

/* A guest's rights to its own parameters. It has none to parameters that are not listed. */
enum { PARAM_READ = 1, PARAM_WRITE = 2 };

static const u8 param_access[HVM_NR_PARAMS] = {
	[HVM_PARAM_CALLBACK_IRQ] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_STORE_PFN] = PARAM_READ,
	[HVM_PARAM_STORE_EVTCHN] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_VM86_TSS] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_CONSOLE_PFN] = PARAM_READ,
	[HVM_PARAM_CONSOLE_EVTCHN] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_ACPI_IOPORTS_LOCATION] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_VM_GENERATION_ID_ADDR] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_X87_FIP_WIDTH] = PARAM_READ | PARAM_WRITE,
	[HVM_PARAM_VM86_TSS_SIZED] = PARAM_READ | PARAM_WRITE,
};

/* Accepts the vector type: there are no GSIs or PCI interrupts. Zero: no callback. */
static long set_callback(struct vcpu *v, struct domain *d, u64 value)
{
	/* Linux names a GSI, which need not be there, once its vCPUs have vectors of their own. */
	if (value >> 56 == HVM_PARAM_CALLBACK_TYPE_GSI && v->upcall_vector)
		value = 0;
	if (value && value >> 56 != HVM_PARAM_CALLBACK_TYPE_VECTOR)
		return hcall_unsupported(v, "callback type", value >> 56);
	WRITE_ONCE(d->callback_vector, (u8)value);
	/* Deliver the events that were pending without a callback. A restart skips woken vCPUs. */
	for (unsigned i = 0, woken = 0; value && i < d->nr_vcpus; i++) {
		struct vcpu *to = d->vcpus[i];

		if (!READ_ONCE(to->info->evtchn_upcall_pending))
			continue;
		vcpu_post(to, VCPU_WORK_EVENT);
		woken += READ_ONCE(to->state) == RUN_BLOCKED;
		vcpu_wake(to);
		if (woken % 64 == 63 && hcall_preempt())
			return HCALL_RESTART;
	}
	return 0;
}

static long set_param(struct vcpu *v, struct domain *d, u32 index, u64 value)
{
	long ret = 0;

	if (d == v->domain && !(param_access[index] & PARAM_WRITE))
		return -EPERM;
	/* The control domain tells a guest its ports once. */
	if (d != v->domain && d->hvm_params[index] && d->hvm_params[index] != value &&
	    (index == HVM_PARAM_STORE_EVTCHN || index == HVM_PARAM_CONSOLE_EVTCHN))
		return -EEXIST;
	if (index == HVM_PARAM_CALLBACK_IRQ) {
		ret = set_callback(v, d, value);
		if (!ret && d == v->domain)
			domain_set_layout(d, v->arg64);
	}
	if (index == HVM_PARAM_X87_FIP_WIDTH && value != 0 && value != 4 && value != 8)
		ret = -EINVAL;
	if (!ret)
		WRITE_ONCE(d->hvm_params[index], value);
	return ret;
}

static long operate_param(struct vcpu *v, struct domain *d, u32 index, u64 *value, bool set)
{
	bool own = d == v->domain;

	if (own && (index == HVM_PARAM_DM_DOMAIN || index == HVM_PARAM_BUFIOREQ_EVTCHN))
		return set ? -EPERM : -ENODATA;
	if (set)
		return set_param(v, d, index, *value);
	if (own && !(param_access[index] & PARAM_READ))
		return -EPERM;
	*value = READ_ONCE(d->hvm_params[index]);
	return 0;
}

static long get_or_set_param(struct vcpu *v, gvaddr_t arg, bool set)
{
	struct xen_hvm_param p;
	struct domain *d puts_domain = NULL;
	u32 index;
	long ret;

	if (guest_read(&p, arg, 0))
		return -EFAULT;
	if (p.index >= HVM_NR_PARAMS)
		return -EINVAL;
	index = (u32)index_nospec(p.index, HVM_NR_PARAMS);
	ret = hcall_domain(v, p.domid, &d);
	if (!ret)
		ret = operate_param(v, d, index, &p.value, set);
	return ret || set ? ret : guest_write(arg, 0, &p);
}

static long set_upcall_vector(struct vcpu *cur, gvaddr_t arg)
{
	struct xen_hvm_evtchn_upcall_vector a;
	struct vcpu *v;

	if (guest_read(&a, arg, 0))
		return -EFAULT;
	if (a.vector < 16)
		return -EINVAL;
	v = domain_vcpu(cur->domain, a.vcpu);
	if (!v)
		return -ENOENT;
	WRITE_ONCE(v->upcall_vector, a.vector);
	/* Pending events may have been signalled the old way: signal again. */
	vcpu_post(v, VCPU_WORK_EVENT);
	vcpu_wake(v);
	return 0;
}

long do_hvm_op(struct vcpu *v, struct regs *h)
{
	gvaddr_t arg = h->rsi;

	switch (h->rdi) {
	case HVMOP_set_param: return get_or_set_param(v, arg, true);
	case HVMOP_get_param: return get_or_set_param(v, arg, false);
	case HVMOP_set_evtchn_upcall_vector: return set_upcall_vector(v, arg);
	case HVMOP_flush_tlbs:
		/* Flushing the nested translations also flushes the guest's own. */
		if (arg)
			return -EINVAL;
		p2m_flush(v->domain);
		return 0;
	case HVMOP_get_time: {
		struct xen_hvm_get_time t = { .now = now() };

		return guest_write(arg, 0, &t);
	}
	case HVMOP_pagetable_dying: {
		struct xen_hvm_pagetable_dying a;

		/* A hint for shadow paging, which Margay does not use. */
		return guest_read(&a, arg, 0) ? -EFAULT : -EINVAL;
	}
	default:
		return hcall_unsupported(v, "hvm_op", h->rdi);
	}
}

long do_vm_assist(struct vcpu *v, struct regs *h)
{
	u32 flag = 1U << VMASST_TYPE_runstate_update_flag;

	if ((u32)h->rsi != VMASST_TYPE_runstate_update_flag)
		return -EINVAL;
	switch ((u32)h->rdi) {
	case VMASST_CMD_enable:
		atomic_or(&v->domain->vm_assist, flag);
		return 0;
	case VMASST_CMD_disable:
		atomic_and(&v->domain->vm_assist, ~flag);
		return 0;
	default:
		return -ENOSYS;
	}
}
