/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grace periods. A CPU may use an object that it looked up without a reference until it returns to
 * the scheduler's loop, where it holds no such object. There it acknowledges the grace period
 * (CPU_WORK_QUIESCE) and flushes its translations of Margay's own pages. No CPU waits: the owner of
 * an object makes it unreachable, starts a grace period, and frees the object once the period is
 * over. One grace period runs at a time. `lock` protects the numbers; each CPU subtracts itself
 * from `pending`. An isolated CPU that runs its guest is outside: it uses no objects, so grace
 * periods leave it out, and other work that all CPUs must do waits until it comes back. Then it
 * flushes its translations if a grace period has begun.
 */
#include <margay/arch.h>
#include <margay/percpu.h>
#include <margay/quiesce.h>

static struct spinlock lock = SPINLOCK_INIT(LOCK_RUNQ);
static u64 begun, wanted;	/* numbers of grace periods */
static u32 pending;		/* CPUs that have not acknowledged the current one */

static struct cpu_set outside;

static void begin_period(void)
{
	struct cpu_set members;
	unsigned i, n = 0;

	begun++;
	for (i = 0; i < ARRAY_SIZE(members.bits); i++)
		members.bits[i] = ~atomic_load(&outside.bits[i]);
	for_each_cpu(i, &members)
		n++;
	atomic_store(&pending, n);
	for_each_cpu(i, &members)
		cpu_raise(cpus[i], CPU_WORK_QUIESCE);
}

u64 quiesce_start(void)
{
	guard(&lock);
	/* A running grace period may have begun before the caller's change. */
	wanted = begun + 1;
	if (!atomic_load(&pending))
		begin_period();
	return wanted;
}

bool quiesce_over(u64 period)
{
	guard(&lock);
	if (!atomic_load(&pending) && begun < wanted)
		begin_period();
	return period < begun || (period == begun && !atomic_load(&pending));
}

void quiesce_here(void)
{
	arch_flush_translations();
	atomic_sub(&pending, 1U);
}

void quiesce_raise(struct cpu *c, u32 work)
{
	if (cpu_set_has(&outside, c->id))
		atomic_or(&c->work, work);
	else
		cpu_raise(c, work);
}

void quiesce_outside(void)
{
	struct cpu *c = this_cpu();

	c->period = READ_ONCE(begun);
	cpu_set_add(&outside, c->id);
}

void quiesce_inside(void)
{
	struct cpu *c = this_cpu();

	cpu_set_remove(&outside, c->id);
	if (c->period != READ_ONCE(begun))
		arch_flush_translations();
}
