/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domctl: how Xen's tools in a control domain make, change and end domains. One operation runs at a
 * time on the whole machine; others restart until it is done. domctl_vcpu.c has the operations on
 * vCPUs. xen/domctl.h
 */
#include <margay/console.h>
#include <margay/domain_parts.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/sched.h>

#include <xen/hvm/hvm_info_table.h>

#include "domctl.h"

/* Flags that libxl sets for a PVH guest; others ask for what Margay does not have. */
#define CDF_KNOWN (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_s3_integrity | \
		   XEN_DOMCTL_CDF_oos_off)
#define MAX_RESERVED_KB (1UL << 42)

/* xen_domctl_tsc_info.tsc_mode; the installed headers lack the names. xl.cfg(5), tsc_mode */
enum { TSC_MODE_DEFAULT, TSC_MODE_ALWAYS_EMULATE, TSC_MODE_NEVER_EMULATE };

/* Nothing: the control domain that creates a domain destroys it, too. */
static void tool_guest_ended(struct domain *d __unused) {}

static const struct domain_life tool_guest_life = { .ended = tool_guest_ended };

static long check_config(struct domain *caller, const struct xen_domctl_createdomain *c)
{
	if (!(c->flags & XEN_DOMCTL_CDF_hvm) || !(c->flags & XEN_DOMCTL_CDF_hap) ||
	    c->arch.emulation_flags != XEN_X86_EMU_LAPIC) {
		if (atomic_add(&caller->refusals, 1) <= 16)
			pr_warn("a control domain asked for a guest that is not PVH: refused\n");
		return -EINVAL;
	}
	if (c->flags & ~(u32)CDF_KNOWN || c->iommu_opts || c->vmtrace_size ||
	    c->arch.misc_flags & ~XEN_X86_MSR_RELAXED ||
	    XEN_DOMCTL_GRANT_version(c->grant_opts) < 1 ||
	    XEN_DOMCTL_GRANT_version(c->grant_opts) > 2)
		return -EINVAL;
	/* The tools' tables for a guest have this room, and they do not check it. */
	if (!c->max_vcpus || c->max_vcpus > HVM_MAX_VCPUS)
		return -EINVAL;
	return c->cpupool_id ? -ENOENT : 0;
}

/* Makes what takes bounded time. max_vcpus makes the rest. */
long domctl_createdomain(struct vcpu *v, struct domain *none __unused, struct xen_domctl *op)
{
	const struct xen_domctl_createdomain *c = &op->u.createdomain;
	struct domain_config config = { .vcpus = c->max_vcpus, .node = NODE_ANY };
	struct domain *d;
	long rc = check_config(v->domain, c);

	if (rc)
		return rc;
	config.id = op->domain >= FIRST_DOMID && op->domain < DOMID_FIRST_RESERVED ? op->domain :
										     DOMID_INVALID;
	rc = domain_create(&config, &tool_guest_life, &d);
	if (rc)
		return rc;
	snprintf(d->name, sizeof(d->name), "d%u", d->id);
	memcpy(d->handle, c->handle, sizeof(d->handle));
	d->apic_shift = 1;
	d->hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
	d->pauses = d->control_pauses = 1;
	op->domain = d->id;
	return 0;
}

long domctl_max_vcpus(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	long rc;

	if (op->u.max_vcpus.max != d->max_vcpus || d->life != &tool_guest_life)
		return -EINVAL;
	if (d->state == DOM_RUNNING)
		return 0;
	if (d->state != DOM_BUILDING)
		return -ESRCH;
	while ((rc = domain_parts_create(d)) == -ERESTART)
		if (hcall_preempt())
			return -ERESTART;
	/* Creation cannot go on where a part has failed: the domain can only be destroyed. */
	d->state = rc ? DOM_DYING : DOM_RUNNING;
	return rc;
}

long domctl_destroydomain(struct vcpu *v, struct domain *d, struct xen_domctl *op __unused)
{
	int rc;

	if (d == v->domain)
		return -EINVAL;
	if (d->life->destroy) {
		d->life->destroy(d);
		return 0;
	}
	/* It may wait for other CPUs: for a vCPU to leave, or a grace period to end. */
	while ((rc = domain_destroy(d)) == -ERESTART && !hcall_preempt())
		cpu_relax();
	return rc;
}

long domctl_pausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op __unused)
{
	if (d == v->domain)
		return -EINVAL;
	/* One that the tools are building is paused already, so that its vCPUs need no hold. */
	if (d->state >= DOM_DYING || (d->state == DOM_BUILDING && !d->control_pauses))
		return -ESRCH;
	if (d->control_pauses == 255)
		return -E2BIG;
	d->control_pauses++;
	domain_pause(d);
	return 0;
}

long domctl_unpausedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op __unused)
{
	if (d == v->domain || !d->control_pauses)
		return -EINVAL;
	d->control_pauses--;
	domain_unpause(d);
	return 0;
}

/* Undoes a guest's suspension: the checkpoint has been made, or the migration has failed. */
long domctl_resumedomain(struct vcpu *v, struct domain *d, struct xen_domctl *op __unused)
{
	return d == v->domain ? -EINVAL : domain_resume(d);
}

long domctl_getdomaininfo(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	domain_info(d, &op->u.getdomaininfo);
	op->domain = d->id;
	return 0;
}

long domctl_max_mem(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	u64 kb = op->u.max_mem.max_memkb;

	/* A guest's balloon may be above a new limit for a while. */
	WRITE_ONCE(d->max_pages, min(kb, MAX_RESERVED_KB) >> (PAGE_SHIFT - 10));
	WRITE_ONCE(d->most_pages, max(d->most_pages, d->max_pages));
	return 0;
}

long domctl_setdomainhandle(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
	return 0;
}

/*
 * The TSC is the machine's own: RDTSC never exits, and nothing is scaled. Announces a guest that comes
 * from a machine of another rate; those of one rate are measured to within 1/4096.
 */
long domctl_settscinfo(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
	u32 mode = op->u.tsc_info.tsc_mode, khz = op->u.tsc_info.gtsc_khz;
	u64 own = arch_tsc_hz() / 1000;

	if (d == v->domain)
		return -EINVAL;
	if (khz && (khz > own + own / 4096 || khz < own - own / 4096))
		pr_warn("domain %u: its TSC had %u kHz; here it has %lu\n", d->id, khz, own);
	return mode == TSC_MODE_DEFAULT || mode == TSC_MODE_NEVER_EMULATE ? 0 : -EOPNOTSUPP;
}

long domctl_gettscinfo(struct vcpu *v __unused, struct domain *d __unused, struct xen_domctl *op)
{
	op->u.tsc_info = (struct xen_domctl_tsc_info){ .tsc_mode = TSC_MODE_NEVER_EMULATE,
						       .gtsc_khz = (u32)(arch_tsc_hz() / 1000) };
	return 0;
}

/* Nested page tables come from Margay's memory, within a limit of its own. */
long domctl_set_paging_mempool_size(struct vcpu *v __unused, struct domain *d __unused,
				    struct xen_domctl *op)
{
	return op->u.paging_mempool.size % PAGE_SIZE ? -EINVAL : 0;
}

long domctl_get_paging_mempool_size(struct vcpu *v __unused, struct domain *d,
				    struct xen_domctl *op)
{
	op->u.paging_mempool.size = READ_ONCE(d->p2m.table_pages) * PAGE_SIZE;
	return 0;
}

/* Memory comes from the preferred node first: the first of the map. */
long domctl_setnodeaffinity(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	struct cpu_set nodes;
	unsigned first;
	long rc = bitmap_from_guest(&op->u.nodeaffinity.nodemap, &nodes);

	if (rc)
		return rc;
	first = (unsigned)find_next_bit(nodes.bits, nr_nodes, 0);
	if (first >= nr_nodes)
		return -EINVAL;
	if (d->node >= nr_nodes || !cpu_set_has(&nodes, d->node))
		d->node = (u8)first;
	d->nodes = nodes.bits[0];
	return 0;
}

long domctl_getnodeaffinity(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	struct cpu_set nodes = { .bits = { d->nodes ? d->nodes : ~0UL } };

	nodes.bits[0] &= nr_nodes < 64 ? BIT(nr_nodes) - 1 : ~0UL;
	return bitmap_to_guest(&op->u.nodeaffinity.nodemap, nodes.bits, nr_nodes);
}

/* Passes a domain's weight and cap to the policy credit, if it is loaded. */
static long set_credit(struct domain *d)
{
	struct policy *p;
	long rc = 0;

	if (!policy_control_enter())
		return -ERESTART;
	p = policy_find("credit");
	if (p && (policy_set(p, d, "weight", d->weight) || policy_set(p, d, "cap", d->cap)))
		rc = -EINVAL;
	policy_control_leave();
	return rc;
}

long domctl_scheduler_op(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;
	struct xen_domctl_sched_credit2 *c = &s->u.credit2;

	if (s->sched_id != XEN_SCHEDULER_CREDIT2)
		return -EINVAL;
	switch (s->cmd) {
	case XEN_DOMCTL_SCHEDOP_getinfo:
		c->weight = d->weight;
		c->cap = d->cap;
		return 0;
	case XEN_DOMCTL_SCHEDOP_putinfo:
		if (c->weight)
			d->weight = c->weight;
		if (c->cap != 0xffff)
			d->cap = c->cap;
		return set_credit(d);
	default:
		return -EINVAL;
	}
}

/* What Xen says of a CPU that can neither measure nor divide its caches. */
long domctl_psr_cmt_op(struct vcpu *v __unused, struct domain *d __unused,
		       struct xen_domctl *op __unused)
{
	return -ENODEV;
}

long domctl_psr_alloc(struct vcpu *v __unused, struct domain *d __unused,
		      struct xen_domctl *op __unused)
{
	return -ENODEV;
}

/* Where the operation may be used. */
enum { ANY_STATE = 1, OUT = 2, NO_DOMAIN = 4, NEXT = 8, PAUSES = 16 };

static const struct {
	u16 cmd;
	u8 flags;
	domctl_fn *fn;
} ops[] = {
#define DOMCTL(name, flags) { XEN_DOMCTL_##name, flags, domctl_##name },
#include "domctl.def"
};

/* An operation that needs d's vCPUs off their CPUs, which they leave soon: nothing that they do waits for domctl. */
static long while_paused(struct vcpu *v, struct domain *d, struct xen_domctl *op, domctl_fn *fn)
{
	long rc;

	if (d == v->domain)
		return -EINVAL;
	domain_pause(d);
	while (!domain_off_cpus(d)) {
		arch_poll_irqs();
		cpu_relax();
	}
	rc = fn(v, d, op);
	domain_unpause(d);
	return rc;
}

static long operate(struct vcpu *v, struct xen_domctl *op, bool *out)
{
	struct domain *d puts_domain = NULL;
	unsigned i = 0;

	while (i < ARRAY_SIZE(ops) && ops[i].cmd != op->cmd)
		i++;
	if (i == ARRAY_SIZE(ops))
		return hcall_unsupported(v, "domctl", op->cmd);
	if (!(ops[i].flags & NO_DOMAIN)) {
		d = op->domain == DOMID_SELF ? domain_get(v->domain->id) :
		    ops[i].flags & NEXT      ? domain_next(op->domain) :
		    ops[i].flags & ANY_STATE ? domain_find(op->domain) :
					       domain_get(op->domain);
		if (!d)
			return -ESRCH;
	}
	*out = ops[i].flags & OUT;
	if (ops[i].flags & PAUSES)
		return while_paused(v, d, op, ops[i].fn);
	return ops[i].fn(v, d, op);
}

static bool busy;

long do_domctl(struct vcpu *v, struct regs *h)
{
	struct xen_domctl op;
	bool out = false;
	long rc = -ERESTART;

	if (copy_from_guest(&op, h->rdi, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -EACCES;
	hcall_recount(v, __HYPERVISOR_domctl, h->rdi, op.cmd);
	if (atomic_cas(&busy, false, true)) {
		rc = operate(v, &op, &out);
		atomic_store(&busy, false);
	}
	if (rc == -ERESTART) {
		cpu_relax();	/* another CPU has to act first */
		return HCALL_RESTART;
	}
	if (out && copy_to_guest(h->rdi, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
