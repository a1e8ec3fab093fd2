/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain: one guest and all it owns. See common/domain/domain.c for its life. */
#ifndef MARGAY_DOMAIN_H
#define MARGAY_DOMAIN_H

#include <margay/cmdline.h>
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

#define MAX_VCPUS 64		/* the 2-level event channel ABI's selector bits */
#define FIRST_DOMID 1
#define INITIAL_DOMID 0		/* the guest marked `initial`, as Xen's dom0 */

enum dom_state {
	DOM_BUILDING,
	DOM_RUNNING,
	DOM_SHUTDOWN, /* no vCPU runs; shutdown_code says why. Stays so until its maker destroys it */
	DOM_DYING,	/* being destroyed in steps; in the end nothing is left but references */
};

struct domain {
	domid_t id;
	u16 slot;			/* its number in policies' arrays */
	enum dom_state state;
	bool initial, control;
	char name[32];
	struct list link;		/* domain_list, under domains_lock */
	u32 refs;			/* the list's own, grants, event channels, lookups */
	struct spinlock lock;

	unsigned nr_vcpus;
	struct vcpu *vcpus[MAX_VCPUS];

	/* Memory, 4 KiB units. A page counts until it is free, also when only references keep it. */
	u64 max_pages, tot_pages;
	u64 meta_pages; /* pages of Margay's that serve this domain; dom_alloc_meta() */
	struct p2m p2m;
	gfn_t max_gfn;
	u8 node;			/* where its memory comes from first; NODE_ANY */

	/* Shared with the guest. */
	struct shared_info *shared_info;	/* a page of Margay's */
	gfn_t shared_info_gfn;			/* where the guest has put it last */
	u64 hvm_params[HVM_NR_PARAMS];
	u32 vm_assist;				/* VMASST_TYPE_* bits */
	u8 callback_vector;			/* HVM_PARAM_CALLBACK_IRQ by vector; 0 when none */

	struct evtchn_table *evtchn;
	struct grant_table *grants;
	struct cpuid_policy *cpuid;
	struct guest_console *console;
	struct guest_spec spec;

	void (*on_shutdown)(struct domain *d);	/* tells the maker. Any context; must not wait */
	u8 shutdown_code;			/* SHUTDOWN_* */
	unsigned pauses;			/* domain_pause() less domain_unpause() */
	u8 parts_created, parts_destroyed;
	u64 period; /* the grace period before its parts are destroyed */
	struct timer watchdog[2];
	u32 watchdog_inuse;
	u64 refusals;				/* requests answered -ENOSYS or -EOPNOTSUPP */
	void *arch;				/* back-end's own, e.g. the ASID */
};

extern struct list domain_list;
extern struct spinlock domains_lock;

/* With a reference; NULL when there is no such live domain. DOMID_SELF is none: see hcall_domain(). */
struct domain *domain_get(domid_t id);
void domain_put(struct domain *d);
/* One more reference, for a caller that has one or knows that another keeps d. */
static inline void domain_hold(struct domain *d)
{
	__atomic_add_fetch(&d->refs, 1, __ATOMIC_SEQ_CST);
}

/*
 * A domain in the list, without any part: NULL, reported, when there is no room. The maker calls domain_parts_create()
 * until it is done, gives it memory and a state to start from, and starts it.
 */
struct domain *domain_create(const struct guest_spec *spec, void (*on_shutdown)(struct domain *d));
/* The first vCPU starts to run. */
void domain_start(struct domain *d);
/* For the maker: a bounded step, from the scheduler's loop; -ERESTART until d is gone. In any state. */
int domain_destroy(struct domain *d);
/* Stops all vCPUs and tells the maker. Any context. */
void domain_shutdown(struct domain *d, unsigned code);
/* Ends a guest that Margay can not go on with; why is printed with a register dump of v if given. */
void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...) __printf(3, 4);
/*
 * No vCPU of d runs until domain_unpause() was called as often. The caller has a reference. domain_pause() does
 * not wait: domain_off_cpus() says whether all have left their CPUs.
 */
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
bool domain_off_cpus(const struct domain *d);

/* d->shutdown_code before anyone has set one; SCHEDOP_shutdown_code's wins over domain_shutdown()'s. */
#define SHUTDOWN_CODE_NONE 0xffU

/* shared_info's pages of time: bumps wc_version and writes the wall clock. */
void domain_update_wallclock(struct domain *d);

#endif
