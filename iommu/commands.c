/* SPDX-License-Identifier: BSD-2-Clause */
/* A unit's ring of commands: VT-d's invalidation queue, AMD-Vi's command buffer. */
#include "iommu_priv.h"

static void add(struct iommu *u, u64 lo, u64 hi)
{
	u64 *c = u->commands[u->tail];

	WRITE_ONCE(c[0], lo);
	WRITE_ONCE(c[1], hi);
	u->tail = (u->tail + 1) % IOMMU_COMMANDS;
}

void iommu_execute(struct iommu *u, u64 lo, u64 hi)
{
	if (u->dead)
		return;
	WRITE_ONCE(u->done, 0);
	add(u, lo, hi);
	add(u, u->wait[0], u->wait[1]);
	iommu_write64(u, u->ops->tail, u->tail * sizeof(*u->commands));
	if (!iommu_wait_for(READ_ONCE(u->done)))
		iommu_died(u);
}
