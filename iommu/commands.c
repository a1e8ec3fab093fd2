/* SPDX-License-Identifier: BSD-2-Clause */
/* A unit's ring of commands: VT-d's invalidation queue, AMD-Vi's command buffer. */
#include "iommu_priv.h"

void iommu_command(struct iommu *u, u64 lo, u64 hi)
{
	u64 *c = u->commands[u->tail];

	WRITE_ONCE(c[0], lo);
	WRITE_ONCE(c[1], hi);
	u->tail = (u->tail + 1) % IOMMU_COMMANDS;
}

void iommu_run(struct iommu *u, u64 lo, u64 hi)
{
	if (u->dead)
		return;
	iommu_command(u, lo, hi);
	iommu_write64(u, u->ops->tail, u->tail * sizeof(*u->commands));
	u->dead = !iommu_wait_for(READ_ONCE(u->done) == u->number);
}
