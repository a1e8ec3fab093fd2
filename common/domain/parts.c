/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a domain, from domain_parts.def, created in that order and destroyed in reverse. */
#include <margay/domain_parts.h>
#include <margay/sched.h>

#define PART(name) extern const struct domain_part name##_part;
#include <margay/domain_parts.def>

#define PART(name) &name##_part,
static const struct domain_part *const parts[] = {
#include <margay/domain_parts.def>
};

int domain_parts_create(struct domain *d)
{
	const struct domain_part *p = parts[d->parts_created];
	int rc = p->create ? p->create(d) : 0;

	if (rc)
		return rc;
	return ++d->parts_created < ARRAY_SIZE(parts) ? -ERESTART : 0;
}

/* Also destroys parts that creation did not reach or did not finish, in case it failed. */
int domain_parts_destroy(struct domain *d)
{
	const struct domain_part *p = parts[ARRAY_SIZE(parts) - 1 - d->parts_destroyed];
	int rc = p->destroy ? p->destroy(d) : 0;

	if (rc)
		return rc;
	if (++d->parts_destroyed < ARRAY_SIZE(parts))
		return -ERESTART;
	sched_wake_idle();	/* to scrub what d had */
	return 0;
}

void domain_parts_free(struct domain *d)
{
	for (unsigned i = ARRAY_SIZE(parts); i-- > 0;)
		if (parts[i]->free)
			parts[i]->free(d);
}
