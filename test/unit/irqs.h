/* SPDX-License-Identifier: BSD-2-Clause */
/* Several entries of interrupt remapping tables at once. */
#ifndef TEST_UNIT_IRQS_H
#define TEST_UNIT_IRQS_H

#include <margay/iommu.h>

static inline int alloc_irqs(struct iommu_irq *i, unsigned n, u32 sbdf)
{
	int rc = 0;

	while (n-- && !rc)
		rc = iommu_irq_alloc(i++, sbdf);
	return rc;
}

static inline void free_irqs(struct iommu_irq *i, unsigned n)
{
	while (n--)
		iommu_irq_free(i++);
}

#endif
