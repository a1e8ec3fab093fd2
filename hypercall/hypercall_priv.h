/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers named in hypercalls.def. Private to hypercall/. */
#pragma once

#include <margay/evtchn.h>
#include <margay/hypercall.h>

#define HYPERCALL(nr, name, handler, who) hcall_fn handler;
#include <margay/hypercalls.def>

/* Checks that id is the caller's own domain: returns 0, hcall_domain()'s error, or -EPERM. */
int hcall_own_domain(struct vcpu *v, domid_t id);

/*
 * Returns another domain, for operations that a control domain does to others. As hcall_domain();
 * *d is NULL on an error.
 */
static inline int hcall_foreign(struct vcpu *v, domid_t id, struct domain **d)
{
	*d = NULL;
	if (!v->domain->control)
		return -EPERM;
	if (id == DOMID_SELF || id == v->domain->id)
		return -EINVAL;
	*d = domain_get(id);
	return *d ? 0 : -ESRCH;
}

/* Counts the current call under operation sub instead of its first argument. */
void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub);

/* Parts of do_margay_op(), in observe.c. */
struct margay_op;
long margay_stat(struct vcpu *v, struct margay_op *op);
long margay_trace(struct margay_op *op);
long margay_pci(struct vcpu *v, struct margay_op *op);

/*
 * Read or write element i of a guest's array of unsigned long, which has 4 bytes in 32-bit code.
 * 0 or -EFAULT.
 */
static inline int read_long(const struct vcpu *v, u64 *to, gvaddr_t array, u64 i)
{
	u32 low;
	int err;

	if (!v->arg64)
		return guest_read(to, array, i);
	err = guest_read(&low, array, i);
	if (!err)
		*to = low;
	return err;
}

static inline int write_long(const struct vcpu *v, gvaddr_t array, u64 i, u64 val)
{
	u32 low = (u32)val;

	return v->arg64 ? guest_write(array, i, &low) : guest_write(array, i, &val);
}

/* The address in a guest handle; in the 64-bit ABI handles are plain pointers. */
#define handle_va(h) ((gvaddr_t)(h).p)

struct xen_domctl;
struct xen_domctl_getdomaininfo;
struct xen_sysctl;
struct xenctl_bitmap;

/* Describes d, which may be in any state. The caller has a reference. domain_info.c */
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* Writes a bitmap of nr bits, of which those beyond are clear, to a guest's. sysctl.c */
long bitmap_to_guest(const struct xenctl_bitmap *to, const u64 *bits, u32 nr);

/* The vendor, family, model and stepping of all CPUs. platform_op.c */
struct xenpf_pcpu_version;
void machine_version(struct xenpf_pcpu_version *u);

/* CPUID policies. Return 0 or an error; *op is to be copied back in either case. cpu_policy.c */
long sysctl_get_cpu_policy(struct xen_sysctl *op, u32 *at);
long sysctl_get_cpu_featureset(struct xen_sysctl *op, u32 *at);
long domctl_get_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long domctl_set_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op);
