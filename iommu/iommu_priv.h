/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the core and the two drivers share. The core decides what a function reaches; a driver
 * writes that into one unit's tables and flushes the unit's caches.
 */
#pragma once

#include <margay/acpi.h>
#include <margay/domain.h>
#include <margay/iommu.h>
#include <x86/page_table.h>

/* What the functions of a domain reach: its p2m, followed by a listener. */
struct iommu_domain {
	struct p2m_listener listener;
	struct domain *d;
	u16 id;			/* the tag of its translations in the units' caches; not 0 */
	struct page_table pt;	/* device address to machine address; d->p2m.lock */
	u32 functions;		/* attached now */
};

struct iommu_fault {
	u32 sbdf;
	u64 address;
	bool write, interrupt;	/* interrupt: of a message, and address is its index */
	u8 reason;		/* the unit's own number */
	const char *what;	/* what the number means */
};

struct iommu {
	struct list link;
	const struct iommu_ops *ops;
	const struct acpi_iommu *acpi;	/* its place and the functions that it covers */
	struct spinlock lock;		/* LOCK_IOMMU */
	volatile u8 *regs;
	void *hw;			/* the driver's own */
};

/* Every function returns when its effect is complete in the hardware, caches included. */
struct iommu_ops {
	const char *name;
	/* Turns the unit on: DMA of all functions blocked, interrupts remapped. Reports errors. */
	int (*start)(struct iommu *u);
	/* Lets the function reach what d reaches; NULL: nothing. 0 or -ENOMEM; NULL cannot fail. */
	int (*attach)(struct iommu *u, u32 sbdf, const struct iommu_domain *d);
	void (*flush)(struct iommu *u, const struct iommu_domain *d);
	/* Finds n free entries for the function's interrupts. Returns the first index, or an error. */
	int (*irq_alloc)(struct iommu *u, u32 sbdf, unsigned n);
	void (*irq_free)(struct iommu *u, u32 sbdf, unsigned index, unsigned n);
	void (*irq_route)(struct iommu *u, const struct iommu_irq *i);
	void (*irq_message)(const struct iommu_irq *i, u64 *address, u32 *data);
	u64 (*irq_rte)(const struct iommu_irq *i);
	/* Takes the next fault. Returns false if there is none. */
	bool (*fault)(struct iommu *u, struct iommu_fault *f);
	/* Leaf bits beside the address. level: 0 to 2; 0 for no access */
	u64 (*leaf)(enum p2m_type type, unsigned level);
	struct pt_format format;	/* of the domains' tables */
};

extern const struct iommu_ops vtd_ops, amdvi_ops;
