/* SPDX-License-Identifier: BSD-2-Clause */
/* How an idle CPU sleeps: by MWAIT, with the C-states of CPUID leaf 5, or by HLT. SDM 3A 9.10. */
#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/hold.h>
#include <margay/percpu.h>
#include <margay/printk.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/smp.h>
#include <x86/traps.h>

#define L1C_MONITOR BIT(3)
#define L1C_HYPERVISOR BIT(31)
#define L6A_ARAT BIT(2)

/* A sleep is expected to take as long as the last one: a deep C-state is used from this on. */
#define DEEP_NS 1000000UL

static bool use_mwait;
static u32 deep_hint;	/* EAX of MWAIT; C1 is 0 */

void __init idle_init(void)
{
	struct cpuid_regs leaf0, leaf1, leaf5, leaf6;
	unsigned deepest = 1;

	cpuid_machine(0, 0, &leaf0);
	cpuid_machine(1, 0, &leaf1);
	if (opt.idle == IDLE_HLT || !(leaf1.ecx & L1C_MONITOR) || leaf0.eax < 6)
		return;
	cpuid_machine(5, 0, &leaf5);
	cpuid_machine(6, 0, &leaf6);
	/* To another hypervisor only HLT says that the CPU is idle. */
	if (opt.idle == IDLE_AUTO && ((leaf1.ecx & L1C_HYPERVISOR) || !(leaf5.edx >> 4)))
		return;
	/* In deeper states than C1 the APIC timer and the TSC may stop. */
	for (unsigned n = 2; n < 8 && (leaf6.eax & L6A_ARAT) && x86.invariant_tsc; n++)
		if (leaf5.edx >> 4 * n & 15)
			deepest = n;
	deep_hint = (deepest - 1) << 4;
	use_mwait = true;
	pr_info("idle CPUs sleep by MWAIT, at most in C%u\n", deepest);
}

/* A kick may be an NMI, which STI does not hold back: see idle_nmi(). */
#define SLEEP(how, label)                                                                          \
	label "test: cmpl $0, %%gs:%c0; jne " label "over; sti; " how "; " label "over: cli"

__noinline void idle_hlt(void)
{
	hold_over();
	__asm__ volatile(SLEEP("hlt", "hlt_")::"i"(offsetof(struct cpu, work)) : "memory", "cc");
	hold_begin();
}

/* Monitors code, which nobody writes: MWAIT ends by an interrupt only. */
static __noinline void idle_mwait(u32 hint)
{
	hold_over();
	__asm__ volatile("monitor" ::"a"(idle_mwait), "c"(0), "d"(0));
	__asm__ volatile(SLEEP("mwait", "mwait_")
			 :: "i"(offsetof(struct cpu, work)), "a"(hint), "c"(0) : "memory", "cc");
	hold_begin();
}

/* Between the test for work and the sleep an NMI would be lost. */
void idle_nmi(struct trap_frame *f)
{
	extern const u8 hlt_test[], hlt_over[], mwait_test[], mwait_over[];

	if (f->rip - (u64)hlt_test < (u64)(hlt_over - hlt_test))
		f->rip = (u64)hlt_over;
	if (f->rip - (u64)mwait_test < (u64)(mwait_over - mwait_test))
		f->rip = (u64)mwait_over;
}

void arch_idle(void)
{
	struct cpu *c = this_cpu();

	/* STI blocks interrupts until after the next instruction: none is lost before the sleep. */
	if (READ_ONCE(c->work))
		arch_poll_irqs();
	else if (use_mwait)
		idle_mwait(c->slept >= DEEP_NS ? deep_hint : 0);
	else
		idle_hlt();
}
