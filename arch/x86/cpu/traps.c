/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts taken while Margay itself runs: interrupts only in short windows or
 * when idle, NMI and machine check at any time. A fault in Margay is a panic unless the exception
 * table lists its address. SDM 3A 6.
 */
#include <margay/console.h>
#include <x86/apic.h>
#include <x86/direct.h>
#include <x86/hvm.h>
#include <x86/irq.h>
#include <x86/mce.h>
#include <x86/paging.h>
#include <x86/pmu.h>
#include <x86/regs.h>
#include <x86/traps.h>

struct idt_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, zero;
};

struct extable_entry {
	u64 from, to;
};

extern const struct extable_entry extable_start[], extable_end[];
extern const u8 trap_stubs[];
void trap_handler(struct trap_frame *f);

static struct idt_gate idt[256] __aligned(4096);

#define GATE_INTERRUPT 0x8e

static const char *const exception_names[32] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS",
	"#GP", "#PF", NULL, "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
};

void __init idt_init(void)
{
	for (unsigned v = 0; v < 256; v++) {
		u64 a = (u64)(trap_stubs + v * 16);

		idt[v] = (struct idt_gate){
			.offset_low = (u16)a,
			.offset_mid = (u16)(a >> 16),
			.offset_high = (u32)(a >> 32),
			.selector = SEL_CODE,
			.type = GATE_INTERRUPT,
		};
	}
}

/*
 * Enables the IST stacks. Called when the CPU has a TSS: without one these gates cause a triple
 * fault.
 */
void idt_use_stacks(void)
{
	idt[VEC_DF].ist = 1;
	idt[VEC_NMI].ist = 2;
	idt[VEC_MC].ist = 3;
}

void idt_load(void)
{
	struct table_ptr r = { sizeof(idt) - 1, (u64)idt };

	__asm__ volatile("lidt %0" ::"m"(r));
}

u64 idt_base(void)
{
	return (u64)idt;
}

static bool fixup(struct trap_frame *f)
{
	for (const struct extable_entry *e = extable_start; e < extable_end; e++)
		if (e->from == f->rip) {
			f->rip = e->to;
			return true;
		}
	return false;
}

void trap_dump_frame(const struct trap_frame *f)
{
	printk("RIP %016lx RFLAGS %08lx CS %04lx SS %04lx\n", f->rip, f->rflags, f->cs, f->ss);
	printk("RSP %016lx RBP %016lx error %lx\n", f->rsp, f->rbp, f->error);
	printk("RAX %016lx RBX %016lx RCX %016lx\n", f->rax, f->rbx, f->rcx);
	printk("RDX %016lx RSI %016lx RDI %016lx\n", f->rdx, f->rsi, f->rdi);
	printk("R8  %016lx R9  %016lx R10 %016lx\n", f->r8, f->r9, f->r10);
	printk("R11 %016lx R12 %016lx R13 %016lx\n", f->r11, f->r12, f->r13);
	printk("R14 %016lx R15 %016lx\n", f->r14, f->r15);
	printk("CR0 %08lx CR2 %016lx CR3 %016lx CR4 %08lx\n", read_cr0(), read_cr2(), read_cr3(),
	       read_cr4());
}

const char *exception_name(u64 vector)
{
	const char *name = vector < ARRAY_SIZE(exception_names) ? exception_names[vector] : NULL;

	return name ? name : "(reserved)";
}

/* Reports a vector's first, second, fourth, eighth... interrupt: a device may send one forever. */
static void unexpected_vector(const struct cpu *c, u64 vector)
{
	static u32 counts[256];
	u32 n = atomic_add(&counts[vector], 1);

	if (!(n & (n - 1)))
		pr_warn("CPU %u: unexpected interrupt vector %#lx, %u until now\n", c->id, vector,
			n);
}

/*
 * Handles a trap. Runs with interrupts off on the CPU's stack, or on an IST stack for #DF, NMI and
 * #MC.
 */
void trap_handler(struct trap_frame *f)
{
	struct cpu *c = this_cpu();
	bool pmi;

	if (unlikely(c->isolated) && f->vector >= 32) {
		direct_interrupt(c, (u8)f->vector);
		return;
	}
	switch (f->vector) {
	case VEC_NMI:
		/*
		 * Another CPU may have sent it to get this CPU's attention; the work bits say why.
		 */
		c->stats.nmis++;
		idle_nmi(f);
		if (c->loaded && c->loaded->in_guest && hvm->nmi) /* hvm: later than NMIs */
			hvm->nmi(c->loaded);
		panic_poll();
		pmi = pmu_nmi(c);
		if (!policy_nmi(c, f) && !pmi)
			nmi_unasked(c);
		return;
	case VEC_MC:
		mce_trap(f);
		return;
	case VEC_TIMER:
		c->stats.timer_irqs++;
		c->timer_tsc = ~0UL;
		c->policy_watched = false;
		atomic_or(&c->work, CPU_WORK_TIMER);
		apic_eoi();
		trap_in_policy(c, f);
		return;
	case VEC_KICK:
		c->stats.kicks++;
		apic_eoi();
		return;
	case VEC_UART:
		c->stats.console_irqs++;
		apic_eoi();
		console_irq();
		return;
	case VEC_SPURIOUS:
		/* The APIC's own needs no EOI, unlike one that a device has sent. SDM 3A 11.9. */
		if (!apic_in_service(VEC_SPURIOUS))
			return;
		break;
	}
	if (f->vector >= 32) {
		apic_eoi();
		if (!irq_handle((u8)f->vector))
			unexpected_vector(c, f->vector);
		return;
	}
	if ((f->vector == 13 || f->vector == 14 || f->vector == 6) && fixup(f))
		return;
	if (trap_in_policy(c, f))
		return;
	console_panic_start();
	printk("exception %lu %s on CPU %u\n", f->vector, exception_name(f->vector), c->id);
	if ((f->vector == VEC_DF || f->vector == 14) && stack_area(read_cr2()) == STACK_GUARD)
		printk("stack overflow: the guard page at %016lx was hit\n",
		       ALIGN_DOWN(read_cr2(), PAGE_SIZE));
	trap_dump_frame(f);
	trap_backtrace(f->rip, f->rsp, f->rbp);
	panic("unexpected exception in the hypervisor\n");
}

void trap_interrupt(u8 vector)
{
	struct trap_frame f = { .vector = vector };

	trap_handler(&f);
}
