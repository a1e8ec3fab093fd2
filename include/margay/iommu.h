/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOMMUs: which memory a device reaches, and which interrupts it raises. iommu/iommu.c is the core;
 * vtd.c and amdvi.c drive the hardware. From iommu_init() on, no function reaches any memory
 * unless it is attached to a domain, and then only that domain's pages.
 */
#pragma once

#include <margay/trace.h>

struct domain;
struct pci_function;

/* Finds the units by DMAR or IVRS and blocks all DMA. Reports what it finds. Boot CPU. */
void iommu_init(void);
/* Returns whether the machine has usable units, so that devices may be given to domains. */
bool iommu_present(void);
/* Returns whether one of them covers the function. */
bool iommu_covers(u32 sbdf);
/* Returns whether any of the memory is a unit's registers. */
bool iommu_in_memory(paddr_t at, u64 size);
/* Returns whether one fences the function's DMA and interrupts, and firmware has no memory for it. */
bool iommu_isolates(u32 sbdf);

/*
 * Gives the function to d: it reaches d's pages from then on, and if d has the machine's devices all
 * memory that firmware reserves for some. The first function makes d's tables from its p2m. 0;
 * -ERESTART to be called again; -ENODEV: no unit covers it; -ENOMEM; -EBUSY: it is attached to another
 * domain. Called with the pci_lock.
 */
int iommu_attach(struct domain *d, struct pci_function *f);
/* Blocks its DMA if a domain has it, and waits until none is in flight. Called with the pci_lock. */
void iommu_detach(struct pci_function *f);

/* One entry of an interrupt remapping table, which one source alone may use. */
struct iommu_irq {
	struct iommu *unit;	/* NULL: no remapping; the message has the compatibility format */
	struct iommu_irqs *table;
	u32 sbdf;		/* the source */
	const struct pci_function *bridge; /* to conventional PCI, above it; NULL: none */
	u16 index;
	u8 vector;
	u32 apic_id;
	bool level;
	paddr_t posted; /* the descriptor of the vCPU that gets the vector; 0: a CPU gets it */
	bool nmi; /* an NMI instead of the vector; set by the caller before the route */
};

/*
 * Allocates an entry. It blocks. 0, -ENOSPC, -ENOMEM. Called with the pci_lock, or during boot. The
 * functions below need no lock.
 */
int iommu_irq_alloc(struct iommu_irq *i, u32 sbdf);
void iommu_irq_free(struct iommu_irq *i);
/* Returns whether it can be posted: include/x86/posting.h. */
bool iommu_irq_posts(const struct iommu_irq *i);
/*
 * Sends the interrupt to a CPU and vector from now on; vector 0 blocks it. The change is effective
 * on return.
 */
void iommu_irq_route(struct iommu_irq *i, u32 apic_id, u8 vector, bool level);
/* Returns the message that the source must send. */
void iommu_irq_message(const struct iommu_irq *i, u64 *address, u32 *data);
/* Returns an IO-APIC's entry for it, without mask and polarity bits. */
u64 iommu_irq_rte(const struct iommu_irq *i);
/* Returns the source id of the IO-APIC with that ACPI id; -ENODEV: no unit says it. */
int iommu_ioapic_sbdf(u8 ioapic_id, u32 *sbdf);

/* Reports pending faults, if it is time to look. Called in the scheduler's loop: CPU_WORK_ERRORS. */
void iommu_report_faults(void);
void iommu_start_polling(void);

/* Counters: faults of each unit, with its number as the sub; what d's functions reach. */
void iommu_counters_of_machine(counter_fn *put, void *to);
void iommu_counters_of_domain(const struct domain *d, counter_fn *put, void *to);
