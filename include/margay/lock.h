/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks. Margay runs with interrupts off except in a few windows, so there are no irq variants.
 *
 * Lock order, outermost first. A CPU that holds a lock may only take locks of a later level. It may
 * take two of the same level only by spin_lock_pair(), which orders them by address. Builds with
 * DEBUG=1 check this.
 */
#pragma once

#include <margay/types.h>

enum lock_level {
	LOCK_DOMAINS,	/* the list of domains, their creation and destruction */
	LOCK_DOMAIN,	/* one domain: memory operations, vCPU creation, HVM parameters */
	LOCK_DEVICES,	/* owners of PCI functions; pci.h */
	LOCK_GRANT,	/* one domain's grant table and map tracking */
	LOCK_ON_DEMAND,	/* one domain's memory that is allocated when it is touched */
	LOCK_P2M,	/* one domain's physical-to-machine map */
	LOCK_IOAPIC,	/* one domain's emulated IO-APICs and MSIs */
	LOCK_EVTCHN,	/* one domain's event channels */
	LOCK_FIFO,	/* one vCPU's event queues */
	LOCK_RUNQ,	/* one CPU's run queue and the states of its vCPUs */
	LOCK_TIMER,	/* one CPU's timers */
	LOCK_IRQ,	/* the vectors of devices' interrupts */
	LOCK_IOMMU,	/* one IOMMU's tables and commands */
	LOCK_HEAP,	/* small-object heap; allocates pages without holding it */
	LOCK_OWNER,	/* one NUMA node's page owner table and free lists */
	LOCK_ERRORS,	/* the log of machine checks */
	LOCK_CONFIG,	/* the ports of PCI config space; lists of emulated memory */
	LOCK_CONSOLE,	/* console buffers and the UART; innermost, so that all code may print */
};

struct spinlock {
	u16 next, owner;
	u8 level;
};

#define SPINLOCK_INIT(lvl) { .level = (lvl) }

static inline void spin_init(struct spinlock *l, enum lock_level level)
{
	l->next = l->owner = 0;
	l->level = (u8)level;
}

#ifndef MARGAY_UNIT
void spin_lock_two(struct spinlock *a, struct spinlock *b);
/* Waits until those who hold or want the lock at the call have released it. */
void spin_wait(const struct spinlock *l);
/* Returns whether any CPU holds or wants the lock, for checks of what a caller must hold. */
static inline bool spin_is_locked(const struct spinlock *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&l->next, __ATOMIC_RELAXED);
}
#ifdef DEBUG
void lock_order_enter(const struct spinlock *l, bool pair);
void lock_order_leave(const struct spinlock *l);
#else
static inline void lock_order_enter(const struct spinlock *l __unused, bool pair __unused) {}
static inline void lock_order_leave(const struct spinlock *l __unused) {}
#endif

static inline void __spin_lock(struct spinlock *l)
{
	u16 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_ACQUIRE);

	/* No call, so that functions which call nothing else need no stack frame. */
	while (__builtin_expect(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket, 0))
		__builtin_ia32_pause();
}

static inline void spin_lock(struct spinlock *l)
{
	lock_order_enter(l, false);
	__spin_lock(l);
}

static inline void spin_unlock(struct spinlock *l)
{
	lock_order_leave(l);
	/* Only the holder writes it; a store is a release. */
	__asm__ volatile("incw %0" : "+m"(l->owner)::"memory", "cc");
}
#endif

/* Holds the lock until the end of the enclosing block. */
#define guard(lock) \
	struct spinlock *guarded __unused __attribute__((cleanup(__guard_leave))) = \
		__guard_enter(lock)
static inline struct spinlock *__guard_enter(struct spinlock *l)
{
	spin_lock(l);
	return l;
}

static inline void __guard_leave(struct spinlock **l) { spin_unlock(*l); }

/* Takes two locks of one level in address order. If a == b, takes it once. */
static inline void spin_lock_pair(struct spinlock *a, struct spinlock *b)
{
	if (likely(a == b))
		spin_lock(a);
	else
		spin_lock_two(a, b);
}

static inline void spin_unlock_pair(struct spinlock *a, struct spinlock *b)
{
	if (unlikely(a != b))
		spin_unlock(b);
	spin_unlock(a);
}
