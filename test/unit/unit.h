/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces the machine in unit and fuzz tests: the compiler includes this file before each source.
 * Margay's headers omit their own definitions if MARGAY_UNIT is defined. host.c has the functions.
 */
#ifndef TEST_UNIT_UNIT_H
#define TEST_UNIT_UNIT_H

#define MARGAY_UNIT

#include <assert.h>
#include <errno.h>
#include <public/types.h>
#include <stdio.h>
#include <string.h>

struct cpu;
struct spinlock;

extern struct cpu *host_cpu;
extern u8 *host_directmap;
extern u32 host_pkru;

static inline struct cpu *this_cpu(void) { return host_cpu; }
static inline u32 read_pkru(void) { return host_pkru; }
bool tracing(u32 events);
u64 with_cpu_work(u64 work);
void count_exit_ticks(u64 ticks);
u64 vmread(unsigned field);
void vmwrite(unsigned field, u64 val);
u64 rdtsc(void);
void spin_lock(struct spinlock *l);
void spin_lock_two(struct spinlock *a, struct spinlock *b);
void spin_unlock(struct spinlock *l);
void spin_wait(const struct spinlock *l);
bool spin_is_locked(const struct spinlock *l);

#define phys_to_virt(pa) ((void *)(host_directmap + (pa)))
#define virt_to_phys(va) ((u64)((const u8 *)(va) - host_directmap))
#define BUG_ON(cond) assert(!(cond))

#endif
