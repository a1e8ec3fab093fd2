/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands dedicate and share: CPUs of a domain's own. */
#include <errno.h>
#include <string.h>

#include "mgctl.h"

static const char *why(int rc)
{
	switch (-rc) {
	case ESRCH: return "there is no such domain";
	case EINVAL: return "it takes a CPU for each of its vCPUs";
	case ENOENT: return "there is no such CPU (mgctl stat)";
	case EBUSY: return "the domain has CPUs of its own, or one of these is another's";
	case EPERM: return "the housekeeping CPU stays shared, and so do control domains";
	case EEXIST: return "another domain may run only there, or its device interrupts one";
	case ENOSPC: return "not so many CPUs are free";
	case EXDEV: return "the APIC ids of the trusted domain are not those of the CPUs";
	}
	return strerror(-rc);
}

int do_isolate(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { .cmd = rq->command == SHARE ? MARGAY_SHARE : MARGAY_DEDICATE,
				.u.dedicate.domain = rq->domain };
	int rc;

	memcpy(op.u.dedicate.cpus, rq->cpus, sizeof(op.u.dedicate.cpus));
	rc = m->call(m, &op);
	if (!rc)
		return MGCTL_OK;
	say(m->err, "mgctl: Margay refused to %s domain %u: %s",
	    rq->command == SHARE ? "share the CPUs of" : "dedicate CPUs to", rq->domain, why(rc));
	return MGCTL_REFUSED;
}
