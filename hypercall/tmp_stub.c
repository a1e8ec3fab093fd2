/* SPDX-License-Identifier: BSD-2-Clause */
/* temporary */
#include "domctl.h"
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domain = d->id;
	info->flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
}
long domctl_get_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op) { (void)v; (void)d; (void)op; return -EOPNOTSUPP; }
long domctl_set_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op) { (void)v; (void)d; (void)op; return 0; }
