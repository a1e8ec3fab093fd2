/* SPDX-License-Identifier: BSD-2-Clause */
/* Explains Margay's refusals. Margay returns an errno, whose meaning depends on the operation. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "mgctl.h"

static const char *const tried[] = {
	[LOAD] = "load", [UNLOAD] = "unload",	    [LIST] = "list policies", [SELECT] = "select",
	[SHOW] = "show", [SET] = "set parameter of", [COUNTERS] = "read counters of",
	[INFO] = "list mitigations",
};

static const char *load_why(int rc)
{
	switch (-rc) {
	case E2BIG:  return "the file is empty or too large for a module";
	case ENOMEM: return "Margay has no memory left for it";
	case ENOEXEC: return "it is not a module";
	case EEXIST: return "a module of that name is loaded already";
	}
	return NULL;
}

static const char *select_why(int rc)
{
	switch (-rc) {
	case EOPNOTSUPP: return "it does not decide at that point";
	case EINVAL: return "its start function refused";
	}
	return NULL;
}

static const char *set_why(const struct request *rq, int rc)
{
	switch (-rc) {
	case ENOENT:
		return rq->domain == MARGAY_POLICY_ITSELF ?
			       "it has no such parameter of its own (domains' need --domain)" :
			       "domains have no such parameter there";
	case ESRCH: return "there is no such domain";
	case EOPNOTSUPP: return "it has no parameters";
	case EINVAL: return "the value is out of range";
	case ENOSPC: return "there is not that much left to give";
	}
	return NULL;
}

/* Returns an explanation, or NULL if the errno's own text is best. */
static const char *why(const struct request *rq, int rc)
{
	switch (rq->command) {
	case LOAD: return load_why(rc);
	case SELECT: return select_why(rc);
	case SET: return set_why(rq, rc);
	case UNLOAD: return rc == -EBUSY ? "it is selected (mgctl policy show)" : NULL;
	default: return NULL;
	}
}

int refused(struct mgctl *m, const struct request *rq, int rc, const char *reason)
{
	const char *words = why(rq, rc), *of_what = rq->command == LOAD ? rq->file : rq->name;
	struct margay_op found = { 0 };
	char text[REASON_SIZE + 1] = "";

	if (reason && reason[0])
		snprintf(text, sizeof(text), "%.*s", REASON_SIZE, reason);
	else if (rq->command != LOAD && rq->name[0] && find_policy(m, rq->name, &found))
		words = "there is no such policy (mgctl policy list)";
	else if (found.u.list.ejected)
		snprintf(text, sizeof(text), "it was ejected: %.*s", (int)sizeof(found.u.list.why),
			 found.u.list.why);
	say(m->err, "mgctl: Margay refused to %s %s: %s", tried[rq->command],
	    of_what[0] ? of_what : BUILT_IN,
	    text[0] ? text :
	    words   ? words :
		      strerror(-rc));
	return MGCTL_REFUSED;
}
