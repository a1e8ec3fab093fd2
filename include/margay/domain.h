/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain: one guest and everything it owns. common/domain/domain.c describes its life. */
#pragma once

#include <margay/cpu_set.h>
#include <margay/list.h>
#include <margay/lock.h>
#include <margay/p2m.h>
#include <margay/timer.h>
#include <margay/xen.h>

struct vcpu;
struct evtchn_table;
struct grant_table;
struct cpuid_policy;
struct guest_console;
struct apic_ids;

#define FIRST_DOMID 1
#define INITIAL_DOMID 0		/* the guest marked `initial`, like Xen's dom0 */

/* What a domain's creator decides about it. */
struct domain_config {
	domid_t id;		/* a free one; DOMID_INVALID: the next free one */
	char name[32];
	bool initial, control;
	unsigned vcpus;
	u64 pages;		/* limit of its memory */
	u8 node;		/* preferred node; NODE_ANY: the policy's choice */
};

/* An entry of XENMEM_memory_map's map, in the layout of the BIOS call INT 15h E820h. */
struct e820_entry {
	u64 addr, size;
	u32 type;
} __packed;

#define MEMORY_MAP_MAX 128

/* Guest frames from `first` up to, but not including, `end`. */
struct gfn_range {
	gfn_t first, end;
};

enum dom_state {
	DOM_BUILDING,	/* not all of its parts exist, or Margay itself still fills it */
	DOM_RUNNING,	/* or paused; a domain of the control domain's begins with a pause */
	DOM_SHUTDOWN, /* no vCPU runs; see shutdown_code. Lasts until the creator destroys it */
	DOM_DYING,	/* being destroyed in steps */
	DOM_DEAD,	/* only references remain: grants and foreign mappings of others */
};

/* Who created a domain: what it wants to hear, and what it does itself. */
struct domain_life {
	void (*ended)(struct domain *d); /* d has shut down. Any context; must not wait */
	/* A control domain asks for d's end. NULL: it calls domain_destroy() itself. */
	void (*destroy)(struct domain *d);
};

struct domain {
	domid_t id;
	u16 slot;			/* index into policies' arrays */
	enum dom_state state;
	bool initial, control;
	bool hardware;	/* the machine's devices are its own: a control domain's */
	u8 isolation;	/* enum isolation of isolate.h */
	bool native;	/* has no clock and no timer events of Xen's: it uses TSC and local APIC */
	bool pmu;	/* has the CPUs' performance counters: x86/pmu.h */
	bool trusted;	/* on CPUs of its own it may have the page of the real local APIC ... */
	bool apic_mapped;	/* ... and has it now */
	u8 apic_shift; /* local APIC id = vCPU id << apic_shift: the tools' ACPI tables have 2 * id */
	/* Those of dedicated=: its vCPUs see the topology of these. NULL: a simple one. */
	const struct cpu_set *own_cpus;
	struct apic_ids *apic_ids;	/* in that case; x86/vlapic.h */
	char name[32];
	u8 handle[16];			/* the creator's, for its tools: a UUID */
	struct list link;		/* domain_list, under domains_lock */
	u32 refs;			/* held by the list, grants, event channels, lookups */
	struct spinlock lock;

	unsigned nr_vcpus, max_vcpus;	/* created so far; all of them */

	/* Memory in 4 KiB pages. A page that only references keep counts, too. */
	u64 max_pages, tot_pages;
	u64 meta_pages; /* Margay's pages that serve this domain; dom_alloc_meta() */
	struct p2m p2m;
	gfn_t max_gfn;
	struct e820_entry memory_map[MEMORY_MAP_MAX];
	unsigned nr_memory_map;
	u8 node;			/* preferred node of its memory; NODE_ANY */
	struct spinlock on_demand_lock;
	struct gfn_range on_demand[4];	/* allocated when they are touched: on_demand.c */
	unsigned nr_on_demand;
	u64 most_pages;	/* the highest max_pages so far: the limit of memory on demand */

	/* Shared with the guest. */
	struct shared_info *shared_info;	/* a page of Margay's */
	gfn_t shared_info_gfn;			/* where the guest last mapped it */
	bool shared_32bit;			/* it has the layout of 32-bit guests */
	u64 hvm_params[HVM_NR_PARAMS];
	u32 vm_assist;				/* VMASST_TYPE_* bits */
	u8 callback_vector;			/* HVM_PARAM_CALLBACK_IRQ by vector; 0 when none */

	struct evtchn_table *evtchn;
	struct grant_table *grants;
	struct cpuid_policy *cpuid;
	struct guest_console *console;
	struct mmio_region *mmio;	/* emulated memory; x86/mmio.h */
	void *iommu;			/* what its devices reach; NULL: it has none */
	void *vpci;			/* its functions as it sees them */
	void *vioapic;
	bool pirqs;	/* its functions' interrupts may come as events */

	const struct domain_life *life;
	u8 shutdown_code;			/* SHUTDOWN_* */
	unsigned pauses;			/* domain_pause() minus domain_unpause() calls */
	unsigned control_pauses;		/* those of control domains */
	u16 weight, cap;			/* as control domains set them */
	u64 nodes;				/* the same: a bit per preferred node; 0: any */
	bool unwanted;				/* a control domain destroyed this boot guest */
	u8 parts_created, parts_destroyed;
	u32 held, first_held;	/* number of vCPUs held for the end, and the first of them */
	u32 timers_stopped;	/* number of vCPUs */
	u64 period; /* grace period before its parts are destroyed */
	u64 isolation_period;
	u32 isolation_tries;	/* grace periods in which others did not leave its CPUs */
	bool isolation_pause;	/* paused by isolate_trusted() */
	struct timer watchdog[2];
	u32 watchdog_inuse;
	u64 refusals;				/* requests answered -ENOSYS or -EOPNOTSUPP */
	u64 record_tsc;				/* when the last save or load of its vCPUs began */
	void *arch;				/* back-end data, e.g. the ASID */
	struct vcpu *vcpus[];			/* max_vcpus */
};

extern struct list domain_list;
extern struct spinlock domains_lock;

extern struct domain *domain_slots[]; /* by domain.slot; valid while the reader has a reference */

/* Returns the live domain with a reference, or NULL. For DOMID_SELF see hcall_domain(). */
struct domain *domain_get(domid_t id);
/* The same in any state, also one that only references keep. */
struct domain *domain_find(domid_t id);
/* Returns the listed domain with the lowest id from `from` on, with a reference; NULL: none. */
struct domain *domain_next(u32 from);
void domain_put(struct domain *d);
/* For a variable whose reference ends with its scope; NULL: it has none. */
#define puts_domain __attribute__((cleanup(__domain_leave)))
static inline void __domain_leave(struct domain **d)
{
	if (*d)
		domain_put(*d);
}

/* Takes another reference. The caller has one or knows that d stays. */
static inline void domain_hold(struct domain *d)
{
	__atomic_add_fetch(&d->refs, 1, __ATOMIC_SEQ_CST);
}

/*
 * Creates a listed domain without any part. Returns 0, -ENOMEM, -EEXIST (the id is taken), or
 * -ENOSPC, which it reports: there are too many domains.
 * The creator calls domain_parts_create() until it is done, provides memory, a memory map and an
 * initial state, and starts the domain.
 */
int domain_create(const struct domain_config *config, const struct domain_life *life,
		  struct domain **d);
/* Starts the first vCPU. */
void domain_start(struct domain *d);
/*
 * Does a bounded step of destruction, in any state; -ERESTART until d is gone. Called by the
 * creator from the scheduler's loop.
 */
int domain_destroy(struct domain *d);
/*
 * Chooses the layout of d's shared_info, and of the runstate areas, by the mode of its kernel, as
 * Xen does: when the guest sets its hypercall page or its event callback. Writes the wall clock.
 */
void domain_set_layout(struct domain *d, bool is_32bit);
/* Stops all vCPUs and notifies the creator. Any context. */
void domain_shutdown(struct domain *d, unsigned code);
/* Ends a guest that cannot continue. Prints the reason, and v's registers if v is not NULL. */
void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...) __printf(3, 4);
/*
 * domain_pause() stops all vCPUs of d until the matching domain_unpause(). The caller has a
 * reference. domain_pause() does not wait: domain_off_cpus() returns whether all vCPUs have left
 * their CPUs.
 */
/*
 * Tells the control domain by a virtual interrupt, such as VIRQ_DOM_EXC: a domain has ended or is
 * gone. Any context, once CPUs have their numbers.
 */
void domain_tell_control(unsigned virq);
/* Raises the interrupts. Called in the scheduler's loop. */
void domain_raise_virqs(void);

void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
bool domain_off_cpus(const struct domain *d);
/*
 * Returns 0 when d, paused or shut down, has left its CPUs; -ERESTART until then; -EINVAL when it is
 * neither.
 */
int domain_stopped(struct domain *d);
/* Lets a domain that has shut down run again. Returns 0, or -ERESTART while a vCPU is on a CPU. */
int domain_resume(struct domain *d);

/* Sets the wall clock, in ns since 1970 at system time zero, and tells all domains. */
void domain_set_wallclock(u64 ns);

/*
 * d->shutdown_code before it is set. SCHEDOP_shutdown_code's value has priority over
 * domain_shutdown()'s.
 */
#define SHUTDOWN_CODE_NONE 0xffU
