/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's part in policy modules: their pages, and the way out of a call that faults or does not
 * return. A module's pages lie in the last gigabyte, so that its code reaches Margay's, each group of
 * sections with its rights; in the direct map what is not data is read-only meanwhile.
 */
#include <margay/arch.h>
#include <margay/hvm.h>
#include <margay/policies.h>
#include <margay/printk.h>
#include <margay/x86.h>

#define MODULE_BASE 0xffffffffc0000000UL
#define SLOT_SIZE (2UL << 20)
#define STACK_PAGES 2
#define STRIKES 5
#define STRIKE_NS 1000000UL

extern const u8 policy_unwound[];

u64 policy_watch_ticks;		/* POLICY_CALL_NS in TSC ticks */

_Static_assert(offsetof(struct cpu, policy_stack) == 24, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_unwind) == 32, "policy_call.asm");
_Static_assert(offsetof(struct cpu, timer_tsc) == 40, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_in) == 48, "policy_call.asm");
_Static_assert(offsetof(struct cpu, policy_strikes) == 56, "policy_call.asm");

u64 arch_module_base(unsigned slot)
{
	return MODULE_BASE + slot * SLOT_SIZE;
}

void arch_policy_cpu_init(struct cpu *c)
{
	policy_watch_ticks = ns_to_tsc(POLICY_CALL_NS);
	c->policy_stack = (u64)map_stack(STACK_PAGES);
}

int arch_module_map(const struct module *m, const void *pages)
{
	static const u64 rights[MODULE_GROUPS] = { RIGHTS_RX, RIGHTS_RO, RIGHTS_RW };
	int rc = 0;

	for (unsigned g = 0; g < MODULE_GROUPS && !rc; g++) {
		paddr_t pa = virt_to_phys(pages) + m->group[g];

		rc = map_pages(m->base + m->group[g], pa, m->size[g], rights[g]);
		if (!rc && g != MODULE_DATA)
			rc = protect_direct(pa, m->size[g], true);
	}
	flush_all_cpus();
	if (rc)
		arch_module_unmap(m, pages);
	return rc;
}

void arch_module_unmap(const struct module *m, const void *pages)
{
	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		unmap_pages(m->base + m->group[g], m->size[g]);
		protect_direct(virt_to_phys(pages) + m->group[g], m->size[g], false);
	}
	flush_all_cpus();
}

/*
 * Before a call, when no timer interrupt comes soon: it is what ends a call that does not return. One serves
 * all calls until then. A call ends only when several have come, so that a machine that was stopped meanwhile (an
 * emulator's process, SMM) does not make it look long.
 */
void arch_policy_watch(void)
{
	arch_timer_program(now() + POLICY_CALL_NS);
}

/* An exception, or the timer's interrupt. True when f now leads out of the policy's call. */
bool trap_in_policy(struct cpu *c, struct trap_frame *f)
{
	if (!c->policy_unwind)
		return false;
	if (f->vector == VEC_TIMER && ++c->policy_strikes < STRIKES) {
		arch_timer_program(now() + STRIKE_NS);
		return false;
	}
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
