/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID policies for the control domain's tools. xen/sysctl.h, xen/domctl.h */
#include <margay/cpu_policy.h>

#include <xen/sysctl.h>
#include "hypercall_priv.h"

/* A guest's MSRs that the tools know. Margay offers no choice in them. */
#define MAX_MSRS 2U
#define EMPTY_RANGE 0x40000100U
#define PLATFORM_INFO 0xceU	/* 0: no CPUID faulting */
#define CPUID_FAULTING BIT(31)	/* of a guest of Xen's, which must not use it (record.c) */
#define ARCH_CAPABILITIES 0x10aU

/*
 * Writes p's leaves, in order, at most *nr, and their number. Without a buffer: returns how many may be.
 * libxc serialises a changed policy into an array of the size that it got here, and its own form has
 * leaves that Margay leaves out: spare ones are of a range that no guest reads.
 */
static long put_leaves(struct cpuid_policy *p, gvaddr_t to, u32 *nr)
{
	const struct xen_cpuid_leaf empty = { .leaf = EMPTY_RANGE,
					      .subleaf = XEN_CPUID_NO_SUBLEAF };
	struct xen_cpuid_leaf l = CPU_POLICY_START;
	u32 n = 0, spare = to ? min(*nr, CPU_POLICY_LEAVES) : CPU_POLICY_LEAVES;

	*nr = spare;
	if (!to)
		return 0;
	for (; cpu_policy_next(p, &l); spare--)
		if (!spare)
			return -ENOBUFS;
	for (l = (struct xen_cpuid_leaf)CPU_POLICY_START; cpu_policy_next(p, &l); n++) {
		for (; l.leaf > EMPTY_RANGE && spare; spare--)
			if (guest_write(to, n++, &empty))
				return -EFAULT;
		if (guest_write(to, n, &l))
			return -EFAULT;
	}
	return 0;
}

static long put_msrs(gvaddr_t to, u32 *nr)
{
	const struct xen_msr_entry e[MAX_MSRS] = {
		{ .idx = PLATFORM_INFO },
		{ .idx = ARCH_CAPABILITIES, .val = cpu_policy_arch_caps() },
	};

	if (to && *nr < MAX_MSRS)
		return -ENOBUFS;
	*nr = MAX_MSRS;
	return to && copy_to_guest(to, e, sizeof(e)) ? -EFAULT : 0;
}

/* Finds what an index of sysctl stands for. *p NULL: the machine itself. PV guests do not exist. */
static long system_policy(u32 index, struct cpuid_policy **p)
{
	*p = NULL;
	switch (index) {
	case XEN_SYSCTL_cpu_policy_raw:
	case XEN_SYSCTL_cpu_policy_host: return 0;
	case XEN_SYSCTL_cpu_policy_hvm_max:
	case XEN_SYSCTL_cpu_policy_hvm_default:
		*p = cpu_policy_make(1);
		return *p ? 0 : -ENOMEM;
	case XEN_SYSCTL_cpu_policy_pv_max:
	case XEN_SYSCTL_cpu_policy_pv_default: return -EOPNOTSUPP;
	default: return -EINVAL;
	}
}

long sysctl_get_cpu_policy(struct xen_sysctl *op, u32 *at __unused)
{
	struct xen_sysctl_cpu_policy *u = &op->u.cpu_policy;
	struct cpuid_policy *p;
	long rc = u->_rsvd ? -EINVAL : system_policy(u->index, &p);

	if (rc)
		return rc;
	rc = put_leaves(p, handle_va(u->leaves), &u->nr_leaves);
	if (!rc)
		rc = put_msrs(handle_va(u->msrs), &u->nr_msrs);
	kfree(p);
	return rc;
}

/* Its indices have another order: raw, host, PV and HVM by default, PV and HVM at most. */
long sysctl_get_cpu_featureset(struct xen_sysctl *op, u32 *at __unused)
{
	static const u32 indices[] = {
		XEN_SYSCTL_cpu_policy_raw,	   XEN_SYSCTL_cpu_policy_host,
		XEN_SYSCTL_cpu_policy_pv_default,  XEN_SYSCTL_cpu_policy_hvm_default,
		XEN_SYSCTL_cpu_policy_pv_max,	   XEN_SYSCTL_cpu_policy_hvm_max,
	};
	struct xen_sysctl_cpu_featureset *u = &op->u.cpu_featureset;
	u32 words[CPU_FEATURE_WORDS], room = u->nr_features;
	gvaddr_t to = handle_va(u->features);
	struct cpuid_policy *p;
	long rc;

	if (u->index >= ARRAY_SIZE(indices))
		return -EINVAL;
	rc = system_policy(indices[index_nospec(u->index, ARRAY_SIZE(indices))], &p);
	if (rc)
		return rc;
	u->nr_features = to ? min(room, CPU_FEATURE_WORDS) : CPU_FEATURE_WORDS;
	cpu_policy_features(p, words);
	kfree(p);
	if (to && copy_to_guest(to, words, u->nr_features * sizeof(words[0])))
		return -EFAULT;
	return to && room < CPU_FEATURE_WORDS ? -ENOBUFS : 0;
}

long domctl_get_cpu_policy(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_cpu_policy *u = &op->u.cpu_policy;
	struct cpuid_policy *p = cpu_policy_copy(d);
	long rc;

	if (!p)
		return -ENOMEM;
	rc = put_leaves(p, handle_va(u->leaves), &u->nr_leaves);
	kfree(p);
	return rc ? rc : put_msrs(handle_va(u->msrs), &u->nr_msrs);
}

static long restrict_by(struct cpuid_policy *p, struct xen_domctl_cpu_policy *u)
{
	for (u32 i = 0; i < u->nr_leaves; i++) {
		struct xen_cpuid_leaf l;

		if (guest_read(&l, handle_va(u->leaves), i))
			return -EFAULT;
		if (cpu_policy_restrict(p, &l)) {
			u->err_leaf = l.leaf;
			u->err_subleaf = l.subleaf;
			return -EINVAL;
		}
	}
	for (u32 i = 0; i < u->nr_msrs; i++) {
		struct xen_msr_entry e;

		if (guest_read(&e, handle_va(u->msrs), i))
			return -EFAULT;
		if ((e.idx != PLATFORM_INFO && e.idx != ARCH_CAPABILITIES) || e.flags ||
		    e.val & ~(e.idx == PLATFORM_INFO ? CPUID_FAULTING : cpu_policy_arch_caps())) {
			u->err_msr = e.idx;
			return -EINVAL;
		}
	}
	return 0;
}

long domctl_set_cpu_policy(struct vcpu *v __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_cpu_policy *u = &op->u.cpu_policy;
	struct cpuid_policy *p;
	long rc;

	u->err_leaf = u->err_subleaf = u->err_msr = ~0U;
	if (u->nr_leaves > CPU_POLICY_LEAVES || u->nr_msrs > MAX_MSRS)
		return -E2BIG;
	p = cpu_policy_copy(d);
	if (!p)
		return -ENOMEM;
	rc = restrict_by(p, u);
	if (!rc)
		rc = cpu_policy_set(d, p);
	kfree(p);
	return rc;
}
