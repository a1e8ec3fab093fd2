/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a domain. A part defines a struct domain_part and has a line in domain_parts.def; nothing
 * else of a domain's life needs to know it. common/domain/parts.c
 */
#ifndef MARGAY_DOMAIN_PARTS_H
#define MARGAY_DOMAIN_PARTS_H

#include <margay/domain.h>

/* What a part does not need is NULL. No locks held. */
struct domain_part {
	/* A bounded step: 0 when done, -ERESTART to be called again, or an error: the domain is destroyed. */
	int (*create)(struct domain *d);
	/*
	 * Likewise, 0 or -ERESTART; no vCPU runs, and no CPU uses the domain but through references. Must accept a part
	 * that is not there.
	 */
	int (*destroy)(struct domain *d);
	/* The last reference is gone. */
	void (*free)(struct domain *d);
};

/* Those that the architecture defines. */
extern const struct domain_part arch_part, p2m_part;

/* A bounded step: 0 when all is done, -ERESTART to be called again, or an error of creation. */
int domain_parts_create(struct domain *d);
int domain_parts_destroy(struct domain *d);
void domain_parts_free(struct domain *d);

#endif
