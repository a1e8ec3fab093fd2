/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the core and the two drivers share. The core decides what a function reaches; a driver
 * writes that into one unit's tables and flushes the unit's caches.
 */
#pragma once

#include <margay/acpi.h>
#include <margay/arch.h>
#include <margay/domain.h>
#include <margay/iommu.h>
#include <x86/io.h>
#include <x86/page_table.h>

/* What the functions of a domain reach: its p2m, followed by a listener. */
struct iommu_domain {
	struct p2m_listener listener;
	struct domain *d;	/* NULL: none, the tables have firmware's memory only */
	u16 id;			/* the tag of its translations in the units' caches; not 0 */
	struct page_table pt;	/* device address to machine address; d->p2m.lock */
	gfn_t copied;		/* the tables have what the p2m maps up to here */
	u64 units;		/* a bit for each unit that has functions of it */
};

/* An id that attached functions' requests have. */
struct iommu_function {
	struct list link;	/* iommu.functions */
	u32 sbdf;
	bool own;		/* a function with this id is attached */
	unsigned users;		/* functions: that one, and those behind a bridge */
	struct iommu_domain *domain;
};

struct iommu_fault {
	u32 sbdf;
	u64 address;
	bool write, interrupt;	/* interrupt: of a message, and address is its index */
	u8 reason;		/* the unit's own number */
	const char *what;	/* what the number means */
};

struct iommu {
	const struct iommu_ops *ops;
	const struct acpi_iommu *acpi;	/* its place and the functions that it covers */
	unsigned index;
	struct spinlock lock;	/* LOCK_IOMMU; the core holds it in every call but start() */
	struct list functions;
	volatile u8 *regs;
	/* The driver sets the rest. */
	void *hw;
	u8 max_level;		/* of a leaf: 0: 4K, 1: 2M, 2: 1G */
	bool remaps;		/* interrupts, too */
	bool dead;		/* it has not answered in time */
};

/* Every function returns when its effect is complete in the hardware, caches included. */
struct iommu_ops {
	const char *name;
	u32 regs_size;		/* bytes that the core maps before start() */
	/*
	 * Turns the unit on: DMA of all functions blocked; interrupts remapped if it can and
	 * iommu_remapping. Reports errors. Boot CPU; later calls are for units that started.
	 */
	int (*start)(struct iommu *u);
	/*
	 * Lets the function reach what d reaches; NULL: nothing, and discards what caches hold of
	 * it. 0, -ENOMEM or -ENOSPC; NULL cannot fail.
	 */
	int (*attach)(struct iommu *u, u32 sbdf, const struct iommu_domain *d);
	/* Discards all cached translations of d. */
	void (*flush)(struct iommu *u, const struct iommu_domain *d);
	/*
	 * Finds n free entries for the function's interrupts, aligned to n, a power of two. They
	 * block. Returns the first index, -ENOSPC or -ENOMEM.
	 */
	int (*irq_alloc)(struct iommu *u, u32 sbdf, unsigned n);
	void (*irq_free)(struct iommu *u, u32 sbdf, unsigned index, unsigned n);
	void (*irq_route)(struct iommu *u, const struct iommu_irq *i);
	/* These two take no lock. */
	void (*irq_message)(const struct iommu_irq *i, u64 *address, u32 *data);
	u64 (*irq_rte)(const struct iommu_irq *i);
	/* Takes the next fault. Returns false if there is none. */
	bool (*fault)(struct iommu *u, struct iommu_fault *f);
	/* Bits of a leaf that may be read, and those added for writes. PTE_PS marks large leaves. */
	u64 leaf_read, leaf_write;
	struct pt_format format; /* of the domains' tables; its new_table is iommu_new_table */
};

extern const struct iommu_ops vtd_ops, amdvi_ops;

/* Whether every IO-APIC has a source id, so that interrupts can be remapped. */
extern bool iommu_remapping;

extern const struct iommu_ops *iommu_driver;	/* of all units; NULL: none is in use */
extern struct iommu iommu_units[];	/* parallel to boot_acpi.iommus; no ops: not in use */

extern u8 iommu_max_level;			/* of leaves that all units take */

#define IOMMU_FIRMWARE_ID 1	/* iommu_domain.id; those of domains follow */

/* tables.c */
void *iommu_new_table(struct page_table *pt);
/* Makes empty tables for d. From here on they hear of all changes. 0 or -ENOMEM. */
int iommu_create_tables(struct domain *d);
/* Copies some of the leaves that the p2m had before: 0, -ERESTART to be called again, -ENOMEM. */
int iommu_copy_p2m(struct iommu_domain *id);
/* Maps what firmware reserved for the function. 0 or -ENOMEM. With the lock of the tables. */
int iommu_map_reserved(struct iommu_domain *id, u32 sbdf);

/* Returns whether the scopes name the function. */
bool iommu_names(unsigned first, unsigned n, u32 sbdf);

/* Returns the unit that covers the function, or NULL. */
struct iommu *iommu_unit_of(u32 sbdf);
/*
 * Returns whether the function is behind a bridge to conventional PCI, and the uppermost such. Its
 * requests may then have any id on the buses from the bridge's to its own. As pci_find().
 */
bool iommu_behind_bridge(u32 sbdf, u32 *bridge);
/* Called with u->lock. */
struct iommu_function *iommu_find_function(struct iommu *u, u32 sbdf);
/* Called with u->lock after operations: stops the functions of a unit that has not answered. */
void iommu_check_answer(struct iommu *u);
void iommu_stop_master(u32 sbdf);
/* The function has a new owner: its faults are news again. */
void iommu_forget_faults(u32 sbdf);

/* Compatibility format of messages and IO-APIC entries */
#define MSI_ADDRESS 0xfee00000UL
#define NMI_DELIVERY 0x400U
#define RTE_LEVEL 0x8000U

/* A unit must answer within this time. */
#define IOMMU_PATIENCE_US 100000UL

/* Waits for cond, at most IOMMU_PATIENCE_US. Returns whether it became true. */
#define iommu_wait_for(cond)                                                                  \
	({                                                                                    \
		u64 _end = rdtsc() + arch_tsc_hz() / 1000000 * IOMMU_PATIENCE_US;             \
		bool _ok;                                                                     \
		while (!(_ok = (cond)) && (s64)(rdtsc() - _end) < 0)                          \
			cpu_relax();                                                          \
		_ok;                                                                          \
	})

/* Registers. Unit tests have models of them. */
#ifdef MARGAY_UNIT
u64 iommu_read(struct iommu *u, u32 reg, unsigned size);
void iommu_write(struct iommu *u, u32 reg, unsigned size, u64 val);
#else
static inline u64 iommu_read(struct iommu *u, u32 reg, unsigned size)
{
	return device_read(u->regs + reg, size);
}

static inline void iommu_write(struct iommu *u, u32 reg, unsigned size, u64 val)
{
	device_write(u->regs + reg, size, val);
}
#endif
static inline u32 iommu_read32(struct iommu *u, u32 reg) { return (u32)iommu_read(u, reg, 4); }
static inline u64 iommu_read64(struct iommu *u, u32 reg) { return iommu_read(u, reg, 8); }
static inline void iommu_write32(struct iommu *u, u32 reg, u32 val) { iommu_write(u, reg, 4, val); }
static inline void iommu_write64(struct iommu *u, u32 reg, u64 val) { iommu_write(u, reg, 8, val); }
