/* SPDX-License-Identifier: BSD-2-Clause */
/* Links a whole module at once. */
#pragma once

#include <margay/errno.h>
#include <margay/module.h>

static inline int module_link(const void *file, size_t len, u64 base, u8 *to, size_t max,
			      struct module *m, char *reason)
{
	struct module_link l = { .file = file, .len = len, .base = base, .to = to, .max = max,
				 .m = m, .reason = reason };
	int rc;

	do
		rc = module_link_step(&l);
	while (rc == -ERESTART);
	return rc;
}
