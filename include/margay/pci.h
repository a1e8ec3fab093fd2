/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI functions: found at boot, and described by what Margay needs of them: BARs,
 * capabilities, the bridge above, the owner. drivers/pci. PCI 3.0; PCI Express Base 4.0.
 */
#pragma once

#include <margay/list.h>
#include <margay/lock.h>
#include <margay/mm.h>

struct domain;

/* The address of a function: segment, bus, device and function. */
#define PCI_SBDF(seg, bus, devfn) ((u32)(seg) << 16 | (u32)(bus) << 8 | (u32)(devfn))
static inline unsigned pci_segment(u32 sbdf) { return sbdf >> 16; }
static inline unsigned pci_bus(u32 sbdf) { return sbdf >> 8 & 0xff; }
static inline unsigned pci_devfn(u32 sbdf) { return sbdf & 0xff; }
#define PCI_FMT "%04x:%02x:%02x.%u"
#define PCI_ARGS(sbdf) pci_segment(sbdf), pci_bus(sbdf), pci_devfn(sbdf) >> 3, (sbdf) & 7

#define PCI_CONFIG_SIZE 4096U	/* bytes of each function */
#define PCI_BARS 6
#define PCI_NR_SAVED 13

struct pci_bar {
	paddr_t base;	/* as firmware placed it; 0: not placed */
	u64 size;	/* 0: no such BAR */
	bool io, is64, prefetch;
};

struct pci_function {
	struct list link;		/* pci_functions, in the order of sbdf */
	u32 sbdf;
	struct pci_function *bridge;	/* the bridge above it; NULL: on a root bus */
	u16 vendor, device;
	u32 class;			/* base class, subclass, interface: 24 bits */
	u8 header;			/* type: 0, or 1 for a bridge */
	u8 secondary, subordinate;	/* of a bridge */
	u8 express_type;		/* PCI_EXP_TYPE_*, 0xff: no PCI Express function */
	/* Offsets of capabilities in config space; 0: none. */
	u8 pm, msi, msix, express;
	u16 acs, sriov;
	struct pci_bar bar[PCI_BARS];
	struct pci_function *physfn;	/* of a virtual function; NULL: it is none */
	u16 nr_vfs;			/* of a physical one: virtual functions that may be on */
	struct pci_bar vf_bar[PCI_BARS]; /* those of the first one; the others' follow */
	u8 node;			/* NUMA node; NODE_ANY: not known */
	u32 group;            /* the lowest sbdf among those that cannot be isolated from it */
	bool hidden;			/* Margay's or an IOMMU's own: nobody gets it */
	struct domain *owner;		/* NULL: nobody; under pci_lock */
	struct iommu_domain *dma; /* what it reaches; NULL: nothing. Under its unit's lock, as: */
	struct list dma_link;		/* iommu.functions */
	struct {			/* iommu/faults.c */
		u64 poll;		/* the last one that saw a fault of it */
		u32 run;		/* polls with one less those without; 0 at least */
		bool cut;		/* off: there were too many */
	} faults;
	paddr_t msix_page;		/* of the MSI-X table, as msix_regs maps it; 0: nowhere */
	volatile u8 *msix_regs;
	void *view;			/* as its owner sees it; NULL: not yet, or not any more */
	bool removed;  /* the last owner says that it goes: what comes is another */
	bool reserved;			/* a boot guest wants it: not the control domain's */
	u8 step;			/* of its way to, or from, the owner */
	u64 period;			/* a grace period */

	struct {	/* a reset that is under way, and what it destroys; drivers/pci/reset.c */
		u8 step, kind;
		stime_t until;
		u32 saved[PCI_NR_SAVED];
	} reset;
};

extern struct list pci_functions;
extern struct spinlock pci_lock;	/* LOCK_DEVICES: owners, additions, removals */
/* Sets f to the first function for which cond is true, or NULL. With pci_lock, or during boot. */
#define pci_find_if(f, cond) list_find(f, &pci_functions, link, cond)

/*
 * Access the config space of any function. size is 1, 2 or 4, reg a multiple of it, below 4096.
 * Where a register cannot be reached (no ECAM), reads return all ones. Any context.
 */
u32 pci_read(u32 sbdf, unsigned reg, unsigned size);
void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value);
/* Returns the function's config space in memory, or NULL. The function need not be there. */
volatile u8 *pci_ecam(u32 sbdf);
/* Clears and sets bits of a 16-bit register. */
static inline void pci_change(u32 sbdf, unsigned reg, u32 clear, u32 set)
{
	pci_write(sbdf, reg, 2, (pci_read(sbdf, reg, 2) & ~clear) | set);
}

/* Finds all functions and disables their bus mastering, but for bridges and what SMM may drive. */
void pci_init(void);
void pci_insert(struct pci_function *f);
/* Returns a new function that answers at an address, but no bridge; NULL: none. With pci_lock. */
struct pci_function *pci_discover(u32 sbdf);
/* Describes f as config space does, but for BARs and the bridge above. */
void pci_probe(struct pci_function *f);
/* Sizes nr BARs at a register. Decoding is off. */
void pci_size_bars(struct pci_function *f, struct pci_bar *b, unsigned reg, unsigned nr);
/* Turns access control on again: a reset of a bus, or sleep, turns it off. */
void pci_isolate(void);
/* Returns whether what is below b reaches its neighbours without passing the root complex. */
bool pci_leaks(const struct pci_function *b);

/*
 * Virtual functions. drivers/pci/sriov.c. Called with the pci_lock, or during boot. pci_vf_init() turns those of
 * f off and sizes their BARs. pci_vf_index() returns which one of f's has an address; -1: none, or
 * not one of nr_vfs. pci_vf_add() describes a new one; NULL: there is none, or no memory.
 * pci_vfs_forget() drops all that are known; false: somebody has one. pci_forget() drops one.
 */
void pci_vf_init(struct pci_function *f);
int pci_vf_index(const struct pci_function *f, u32 sbdf);
struct pci_function *pci_vf_add(struct pci_function *f, u32 sbdf);
bool pci_vfs_forget(const struct pci_function *f);
void pci_forget(struct pci_function *f);

/* Returns the I/O base of the first serial controller; 0: none. Boot, before pci_init(). */
u16 pci_serial_port(void);
/* Returns where a BAR is now, whose register is reg; 0: nowhere. */
paddr_t pci_bar_base(const struct pci_function *f, const struct pci_bar *b, unsigned reg);
/* Reads where the BARs are now. */
void pci_update_bars(struct pci_function *f);
/* Returns a function by its address, or NULL. Any context with pci_lock, or during boot. */
struct pci_function *pci_find(u32 sbdf);
/*
 * Resets a function: by FLR, else by a power state, else by the bus if nothing else is on it. Waits
 * in steps: -ERESTART to be called again; 0; -EOPNOTSUPP: it has no reset; -ETIMEDOUT.
 */
int pci_reset(struct pci_function *f);
bool pci_has_reset(const struct pci_function *f);

/*
 * Who owns a function. common/passthrough.c
 *
 * pci_assign() gives a function to d: takes it from the control domain, if that has it, resets it,
 * and lets it reach d's memory. 0; -ERESTART to be called again; -ENODEV: there is no such function,
 * or nobody may have it; -EBUSY: it has an owner; -EXDEV: it cannot be isolated from a function
 * that another domain has; -EADDRNOTAVAIL: d has no PCI bus, or memory on demand; -EOPNOTSUPP: no
 * IOMMU isolates it; -ENXIO: it has no reset; -EINVAL: its BARs are not its own whole pages. Then
 * nothing has changed. After others, of a reset or an attachment, nobody has it.
 * pci_revoke() takes it from its owner: 0, -ERESTART, -ENOENT: it has none. Then nobody has it. A
 * guest is asked for it first, unless it is by force: -EAGAIN until the guest has given it up.
 */
int pci_assign(struct domain *d, u32 sbdf);
int pci_revoke(u32 sbdf, bool force);
bool pci_owns_some(const struct domain *d);
u64 pci_interrupts(const struct domain *d);	/* of the functions that d has now */
const char *pci_why(int rc);	/* what an error of pci_assign() means */
/*
 * The domain that has the devices tells of a function, or of the end of one. pci_add() makes d the
 * owner of a new virtual function of physfn's. pci_remove() takes a virtual one from whoever has it,
 * by force, and a real one from d. 0; -ERESTART to be called again; -ENODEV: there is none; others
 * of an attachment.
 */
int pci_add(struct domain *d, u32 sbdf, u32 physfn, u8 node);
int pci_remove(const struct domain *d, u32 sbdf);
/* Makes d the owner of a function that is new at an address, if there is one. With pci_lock. */
void pci_touch(struct domain *d, u32 sbdf);

/*
 * A domain's view of config space. arch/x86/guest/vpci.c. vpci_create() makes empty slots for an
 * ordinary guest, or the machine's buses for the domain that has the devices: 0, -ENOMEM, -E2BIG: the
 * guest has RAM there. vpci_ask() asks a guest to give a function up, and returns whether it has.
 * vpci_stop() ends what the function sends and what the domain can reach of it; vpci_free() follows
 * after a grace period. Called with the pci_lock, but for vpci_create() and vpci_destroy().
 */
int vpci_create(struct domain *d);
void vpci_destroy(struct domain *d);
int vpci_add(struct domain *d, struct pci_function *f);
bool vpci_ask(const struct pci_function *f);
/* Returns where BARs of 64 bits may be on an ordinary guest's bus. */
void vpci_high(u64 *at, u64 *size);
void vpci_stop(struct pci_function *f);
/* Its interrupts go where their vCPUs are now; now: also if none has come elsewhere. */
void vpci_follow(struct pci_function *f, bool now);
void pci_follow(void);		/* all do so now */
void vpci_free(struct pci_function *f);
/* Returns its address for the domain, the number of interrupts, and that of writes refused. */
void vpci_show(const struct pci_function *f, u32 *sbdf, u64 *interrupts, u64 *refused);
/*
 * Returns whether the memory BARs, where they are now, are only f's: no RAM, nothing of Margay's, no
 * other function's. A guest d must have whole pages; the domain with the devices may leave BARs at 0.
 */
bool pci_bars_are_sound(const struct domain *d, struct pci_function *f);
/* Returns whether no function but f decodes that memory; f NULL: no function of others than d's. */
bool pci_memory_is_free(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size);
