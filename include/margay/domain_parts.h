/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a domain. A part defines a struct domain_part and has a line in domain_parts.def. No
 * other code of a domain's life depends on it. common/domain/parts.c
 */
#pragma once

#include <margay/domain.h>

/* Unneeded functions are NULL. Called without locks. */
struct domain_part {
	/*
	 * A bounded step: 0 when done, -ERESTART to be called again. An error destroys the domain.
	 */
	int (*create)(struct domain *d);
	/*
	 * A bounded step: 0 or -ERESTART. No vCPU runs, and CPUs use the domain only through
	 * references. Must accept a part that was not created.
	 */
	int (*destroy)(struct domain *d);
	/* Called when the last reference is gone. */
	void (*free)(struct domain *d);
};

extern const struct domain_part arch_part, p2m_part, vioapic_part; /* defined by the architecture */
extern const struct domain_part evtchn_part, grant_part;

/* Do a bounded step: 0 when all is done, -ERESTART to be called again, or creation's error. */
int domain_parts_create(struct domain *d);
int domain_parts_destroy(struct domain *d);
void domain_parts_free(struct domain *d);
