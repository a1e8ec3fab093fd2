/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's part of policy modules: their pages, and the exit from a call that faults or does
 * not return. A module's pages lie in the last gigabyte, so that its code reaches Margay's; each
 * group of sections has its own rights. While a module is mapped, all but its data is read-only in
 * the direct map.
 */
#include <margay/policy_registry.h>
#include <x86/apic.h>
#include <x86/io.h>
#include <x86/paging.h>
#include <x86/platform.h>
#include <x86/traps.h>
#include <x86/tsc.h>

#define MODULE_BASE 0xffffffffc0000000UL
#define SLOT_SIZE (2UL << 20)
#define STACK_PAGES 2
#define STRIKES 5
#define STRIKE_NS 1000000UL
#define NMI_HZ 50

extern const u8 policy_unwound[];

static u64 watch_ticks;		/* POLICY_CALL_NS in TSC ticks */

_Static_assert(offsetof(struct cpu, policy_stack) == 24, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_unwind) == 32, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_called) == 40, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_watched) == 48, "policy_call.asm");
_Static_assert(offsetof(struct policy_fn, code) == 0, "policy_call.asm");

u64 arch_module_base(unsigned slot)
{
	return MODULE_BASE + slot * SLOT_SIZE;
}

void arch_policy_cpu_init(struct cpu *c)
{
	watch_ticks = ns_to_tsc(POLICY_CALL_NS);
	c->policy_stack = (u64)map_stack(STACK_PAGES);
}

int arch_module_map(const struct module *m, const void *pages)
{
	static const u64 rights[MODULE_GROUPS] = { RIGHTS_RX, RIGHTS_RO, RIGHTS_RW };
	int rc = 0;

	/* Split the direct map first, so that nothing fails after rights have changed. */
	for (unsigned g = 0; g < MODULE_GROUPS && !rc; g++) {
		paddr_t pa = virt_to_phys(pages) + m->group[g];

		rc = protect_direct(pa, m->size[g], false);
		if (!rc)
			rc = map_pages(m->base + m->group[g], pa, m->size[g], rights[g]);
	}
	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		if (rc)
			unmap_pages(m->base + m->group[g], m->size[g]);
		else if (g != MODULE_DATA)
			protect_direct(virt_to_phys(pages) + m->group[g], m->size[g], true);
	}
	return rc;
}

void arch_module_unmap(const struct module *m, const void *pages)
{
	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		unmap_pages(m->base + m->group[g], m->size[g]);
		protect_direct(virt_to_phys(pages) + m->group[g], m->size[g], false);
	}
}

/*
 * Arms the timer that ends a call which does not return. Called before a call if no timer interrupt
 * is known to come soon. One timer covers all calls until it fires.
 */
void arch_policy_watch(void)
{
	struct cpu *c = this_cpu();

	if (c->timer_tsc > rdtsc() + watch_ticks)
		arch_timer_program(now() + POLICY_CALL_NS);
	c->policy_strikes = 0;
	c->policy_watched = true;
}

/*
 * Returns true if c is in a call and its timer is long overdue: the call runs with interrupts off.
 */
static bool overdue(const struct cpu *c)
{
	u64 due = READ_ONCE(c->timer_tsc), tsc = rdtsc();

	return READ_ONCE(c->policy_unwind) && tsc > due && tsc - due > watch_ticks;
}

static bool nmis_on;

/*
 * Handles an NMI. The PIT, which has no other user, sends NMIs to the housekeeping CPU, since any
 * CPU may hang; that CPU forwards them to CPUs that seem to hang. Returns false if the NMI has
 * another source.
 */
bool policy_nmi(struct cpu *c, struct trap_frame *f)
{
	bool forwards = c == housekeeping_cpu;
	bool ours = (forwards && nmis_on) || atomic_xchg(&c->policy_nmi, false) || c->nmi_kicks;

	for (unsigned i = 0; forwards && i < nr_cpus; i++)
		if (cpus[i] != c && overdue(cpus[i])) {
			atomic_store(&cpus[i]->policy_nmi, true);
			apic_send_nmi(cpus[i]->apic_id);
		}
	trap_in_policy(c, f);
	return ours;
}

void __init policy_nmi_init(void)
{
	arch_policy_nmis(false);
	if (ioapic_route_isa(0, RTE_NMI))
		pr_warn("no PIT: a policy that disables interrupts cannot be stopped\n");
}

void arch_policy_nmis(bool on)
{
	nmis_on = on;
	housekeeping_cpu->policy_nmi = true; /* the PIT may send one more when its mode changes */
	outb(PIT_CMD, on ? PIT_RATE : PIT_STOP);
	if (!on)
		return;
	outb(PIT_CH0, (u8)(PIT_HZ / NMI_HZ));
	outb(PIT_CH0, (u8)(PIT_HZ / NMI_HZ >> 8));
}

/*
 * Returns true once a call was found too long several times: a single find may mean that the
 * machine was stopped (an emulator's process, SMM).
 */
static bool too_long(struct cpu *c, const struct trap_frame *f)
{
	if (f->vector == VEC_NMI) {
		/*
		 * Do not end the call inside a Margay function that the module called: it may hold
		 * a lock.
		 */
		if (!overdue(c) || f->rip < MODULE_BASE)
			return false;
		return ++c->policy_strikes >= STRIKES;
	}
	if (++c->policy_strikes >= STRIKES)
		return true;
	/* Double the delay each time: QEMU may not run a CPU before its timer expires. */
	arch_timer_program(now() + (STRIKE_NS << c->policy_strikes));
	return false;
}

/*
 * Handles an exception, the timer's interrupt or an NMI. Returns true if f now leaves the policy's
 * call.
 */
bool trap_in_policy(struct cpu *c, struct trap_frame *f)
{
	if (!c->policy_unwind)
		return false;
	if ((f->vector == VEC_TIMER || f->vector == VEC_NMI) && !too_long(c, f))
		return false;
	c->policy_vector = (u32)f->vector;
	c->policy_rip = f->rip;
	f->rip = (u64)policy_unwound;
	f->rsp = c->policy_unwind;
	f->rflags = 2;
	f->cs = SEL_CODE;
	f->ss = SEL_DATA;
	c->policy_unwind = 0;
	return true;
}

/* Ejects the policy. Called from policy_unwound, where Margay continues after a failed call. */
void policy_call_failed(void)
{
	const struct cpu *c = this_cpu();
	struct policy *p = policy_called(c);
	const char *what = policy_fn_names[c->policy_called->nr];
	u64 off = c->policy_rip - p->mod.base;
	bool inside = off < p->mod.size[MODULE_TEXT];
	const char *sign = inside ? "+" : "";
	u64 at = inside ? off : c->policy_rip;

	if (c->policy_vector == VEC_TIMER || c->policy_vector == VEC_NMI)
		policy_eject(p, what, "did not return within %u ms%s, at %s%#lx",
			     (unsigned)(POLICY_CALL_NS / 1000000),
			     c->policy_vector == VEC_NMI ? ", interrupts off" : "", sign, at);
	else
		policy_eject(p, what, "%s%s at %s%#lx", exception_name(c->policy_vector),
			     c->policy_vector == VEC_DF ? " (its stack is full)" : "", sign, at);
}
