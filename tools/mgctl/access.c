/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks whether this guest may control Margay. Margay looks like Xen to its guests. The first
 * operation distinguishes the two, and shows whether this guest has the privilege.
 */
#include <errno.h>
#include <string.h>

#include "mgctl.h"

int no_access(struct mgctl *m, const char *why)
{
	say(m->err, "mgctl: %s", why);
	return MGCTL_NO_ACCESS;
}

int restricted(struct mgctl *m)
{
	return no_access(m, "this kernel keeps hypercalls to itself (Xen's advisory 482): load its "
			    "module xen-privcmd with unrestricted=1");
}

int check_access(struct mgctl *m)
{
	struct margay_op op = { .cmd = MARGAY_POLICY_LIST };
	int rc = m->call(m, &op);

	switch (-rc) {
	case 0:
	case ENOENT:
		return MGCTL_OK;
	case ENOSYS:
		return no_access(
			m, "the hypervisor here is not Margay: it has no hypercall 55 (on Xen "
			   "there is nothing for mgctl to do)");
	case EPERM:
		if (!m->may_call(m))
			return restricted(m);
		return no_access(m, "this guest does not have the control privilege (the word "
				    "`control' among its words in Margay's boot configuration)");
	case EACCES:
		return no_access(m, "this Margay has another control interface than this mgctl");
	default:
		say(m->err, "mgctl: Margay does not answer: %s", strerror(-rc));
		return MGCTL_NO_ACCESS;
	}
}
