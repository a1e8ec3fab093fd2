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
	u64 *prepared;		/* the entry of the change that the p2m asked about last */
	u64 units;		/* a bit for each unit that has functions of it */
	u64 mapped, tables;	/* pages */
};

/* Ids that firmware's table names for a unit or a region: of functions, or of what is none. */
struct iommu_range {
	struct iommu_range *next;
	struct iommu *unit;
	const struct iommu_region *region;
	enum iommu_kind { RANGE_FUNCTIONS, RANGE_IOAPIC, RANGE_OTHER } kind;
	u8 id;			/* of the IO-APIC, as in MADT */
	u8 flags;		/* IVRS: the entry's data setting */
	u32 first, last;	/* sbdf */
	u32 alias;		/* IVRS: the id that these functions' requests have; else 0 */
};

/* Memory that firmware lets functions reach at its own address: RMRR, IVMD. */
struct iommu_region {
	struct iommu_region *next;
	paddr_t base;
	u64 size;
	bool write;		/* or they may only read it */
	bool usable;		/* it is neither RAM nor too large */
};

/* Entries of interrupt remapping tables: all of a unit, or those of one source. */
struct iommu_irqs {
	struct iommu_irqs *next;
	u32 source;
	unsigned nr;
	void *entries;		/* of the driver's format */
	u64 used[];		/* a bit for each */
};

struct iommu_fault {
	u32 sbdf;
	u64 address;
	bool write, interrupt;	/* interrupt: of a message, and address is its index */
	u8 reason;		/* the unit's own number */
};

#define IOMMU_COMMANDS 256U
enum { IOMMU_REPORTED, IOMMU_SUPPRESSED, IOMMU_CUT_OFF, IOMMU_NR_COUNTS };

struct iommu {
	struct iommu *next;		/* iommu_units */
	unsigned index;
	/* What firmware says: */
	paddr_t base;
	u16 segment;
	bool all;			/* also functions of the segment that no other unit names */
	u32 sbdf;			/* IVRS: the unit's own PCI function */
	u32 flags;			/* IVRS: of the IVHD */
	u8 node;			/* DMAR: of the unit and its functions; NODE_ANY */

	const struct iommu_ops *ops;
	bool in_use;		/* it has started, and answers */
	struct spinlock lock;	/* LOCK_IOMMU; the core holds it in every call but start() */
	struct list functions;	/* pci_function.dma_link: those that are attached */
	struct iommu_irqs *irqs;
	volatile u8 *regs;
	/* The driver sets the rest. */
	u64 cap;		/* VT-d: what it can do */
	void *table;		/* VT-d: of buses; AMD-Vi: of nr_ids functions */
	u32 nr_ids;
	bool wide;		/* it sends interrupts to CPUs with APIC ids above 254 */
	u8 max_level;		/* of a leaf: 0: 4K, 1: 2M, 2: 1G */
	bool remaps;		/* interrupts, too */
	bool posts;		/* ... and posts them to vCPUs, in the APIC mode of the CPUs */
	bool dead;		/* it has not answered in time */
	u64 (*commands)[2];	/* a ring of IOMMU_COMMANDS: a page */
	u32 tail;
	u64 wait[2]; /* the command that stores 1 in done when those before it have ended */
	u64 done;
	/* Faults in the log, other faults, functions cut off. faults.c */
	u64 counts[IOMMU_NR_COUNTS];
};

/* An interrupt remapping table's entry of 16 bytes */
struct iommu_pair {
	u64 low, high;
};

/* Every function returns when its effect is complete in the hardware, caches included. */
struct iommu_ops {
	const char *name;
	u32 regs_size; /* bytes that are the unit's, and that the core maps before start() */
	u32 tail;		/* the register with the end of the ring of commands */
	/*
	 * Turns the unit on: DMA of all functions blocked; interrupts remapped if it can and
	 * iommu_remapping. Returns NULL, or why it is off. Boot CPU; later calls are for units that
	 * started.
	 */
	const char *(*start)(struct iommu *u);
	/*
	 * Lets requests with the id reach what d reaches; NULL: nothing, and discards what caches
	 * hold of it. May repeat what is so. 0, -ENOMEM or -ENOSPC; NULL cannot fail.
	 */
	int (*attach)(struct iommu *u, u32 sbdf, const struct iommu_domain *d);
	/* Discards all cached translations of d. */
	void (*flush)(struct iommu *u, const struct iommu_domain *d);
	/*
	 * Returns the table of the source's interrupts, new if need be, or NULL. No function: all
	 * sources have the one in iommu.irqs.
	 */
	struct iommu_irqs *(*irqs)(struct iommu *u, u32 sbdf);
	/* Writes an entry; one without a vector that is no NMI blocks. */
	void (*irq_write)(struct iommu *u, const struct iommu_irq *i);
	/* These two take no lock. */
	void (*irq_message)(const struct iommu_irq *i, u64 *address, u32 *data);
	u64 (*irq_rte)(const struct iommu_irq *i);
	/* Takes the next fault. Returns false if there is none. */
	bool (*fault)(struct iommu *u, struct iommu_fault *f);
	const char *const *reasons;	/* what the numbers of faults mean; NULL: not known */
	unsigned nr_reasons;
	/* Bits of a leaf that may be read, and those added for writes. PTE_PS marks large leaves. */
	u64 leaf_read, leaf_write;
	struct pt_format format; /* of the domains' tables; its new_table is iommu_new_table */
};

extern const struct iommu_ops vtd_ops, amdvi_ops;
extern const struct iommu_ops *iommu_driver;	/* of all units; NULL: none is in use */
extern u8 iommu_max_level;			/* of leaves that all units take */

/* firmware.c */
extern struct iommu *iommu_units;
extern struct iommu_region *iommu_regions;
extern struct iommu_range *iommu_ranges;
/* Whether interrupts can be remapped, as every IO-APIC has a source id. */
extern bool iommu_remapping;

/* Reads the table that boot_acpi found, and checks what it says. */
void iommu_read_firmware(void);
/* dmar.c, ivrs.c */
void dmar_parse(const u8 *t, u32 len);
void ivrs_parse(const u8 *t, u32 len);
/* Add what a table has; a unit may be there already. They report what is wrong; NULL: it is ignored. */
struct iommu *iommu_add_unit(const struct iommu *u, u64 align);
struct iommu_region *iommu_add_region(paddr_t base, u64 size, bool write);
struct iommu_range *iommu_add_range(const struct iommu_range *r);

/* Returns whether firmware wants the function to reach memory of its own (RMRR, IVMD). */
bool iommu_has_reserved(u32 sbdf);
/* Returns the unit that covers the function, which need not be in use, or NULL. */
struct iommu *iommu_unit_of(u32 sbdf);
/* Returns the id that the function's requests have: IVRS's alias, or its own. */
u32 iommu_source_of(u32 sbdf);
/* Returns the uppermost bridge to conventional PCI above the function, or NULL. As pci_find(). */
const struct pci_function *iommu_pci_bridge(u32 sbdf);

/* tables.c */
#define IOMMU_FIRMWARE_ID 1	/* iommu_domain.id; those of domains follow */
void *iommu_new_table(struct page_table *pt);
/*
 * Makes the first two tables and, for the machine's devices, maps firmware's memory. 0 or -ENOMEM; then
 * some tables may be there.
 */
int iommu_make_tables(struct iommu_domain *id);
/* Makes empty tables for d. From here on they hear of all changes. 0 or -ENOMEM. */
int iommu_create_tables(struct domain *d);
/* Copies some of the leaves that the p2m had before: 0, -ERESTART to be called again, -ENOMEM. */
int iommu_copy_p2m(struct iommu_domain *id);

/* Stops the functions of a unit that has not answered. Called with u->lock, or by start(). */
void iommu_died(struct iommu *u);
/* Blocks an id, and stops the functions that send with it. Called with u->lock and pci_lock. */
void iommu_cut_off(struct iommu *u, u32 id);

/* Has a command executed. The unit is dead if it takes too long. Called with u->lock. */
void iommu_execute(struct iommu *u, u64 lo, u64 hi);
/* Replaces an entry of 16 bytes at once, so that no message is lost. */
static inline void iommu_store_pair(struct iommu_pair *e, u64 low, u64 high)
{
	u64 old_low = e->low, old_high = e->high;
	bool done;

	do
		__asm__ volatile("lock cmpxchg16b %0"
				 : "+m"(*e), "+a"(old_low), "+d"(old_high), "=@ccz"(done)
				 : "b"(low), "c"(high));
	while (!done);
}
/* irq.c: adds a table. NULL: no memory. */
struct iommu_irqs *iommu_new_irqs(struct iommu *u, u32 source, unsigned nr, unsigned entry_size);

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
