/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts taken while Margay itself runs: interrupts only in short windows or
 * when idle, NMI and machine check at any time. A fault in Margay is a panic unless the exception
 * table lists its address. SDM 3A 6.
 */
#include <margay/console.h>
#include <margay/printk.h>
#include <x86/apic.h>
#include <x86/hvm.h>
#include <x86/msr.h>
#include <x86/paging.h>
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

#define MSR_MCG_CAP 0x179
#define MC_BANKS 32U
#define MSR_MC_CTL(bank) (0x400 + 4 * (bank))
#define MSR_MC_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank) (0x402 + 4 * (bank))

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

static void dump_frame(const struct trap_frame *f)
{
	printk("RIP %016lx CS %04lx RFLAGS %08lx RSP %016lx SS %04lx\n", f->rip, f->cs, f->rflags,
	       f->rsp, f->ss);
	printk("RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	printk("RSI %016lx RDI %016lx RBP %016lx R8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	printk("R9  %016lx R10 %016lx R11 %016lx R12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	printk("R13 %016lx R14 %016lx R15 %016lx CR2 %016lx\n", f->r13, f->r14, f->r15, read_cr2());
	printk("CR0 %08lx CR3 %016lx CR4 %08lx error %lx\n", read_cr0(), read_cr3(), read_cr4(),
	       f->error);
}

/* Enables all reports of every bank and clears old ones. Runs on each CPU. SDM 3B 15.8. */
void machine_check_init(void)
{
	u64 cap = 0;

	rdmsr_safe(MSR_MCG_CAP, &cap);
	for (u32 i = 0; i < min((u32)cap & 0xff, MC_BANKS); i++) {
		wrmsr(MSR_MC_CTL(i), ~0UL);
		wrmsr(MSR_MC_STATUS(i), 0);
	}
}

static void machine_check(struct trap_frame *f)
{
	u64 status = 0, addr = 0;

	/* This CPU may hold the console's lock. */
	console_panic_start();
	for (u32 i = 0; i < MC_BANKS && rdmsr_safe(MSR_MC_STATUS(i), &status); i++) {
		if (status >> 63 == 0)
			continue;
		rdmsr_safe(MSR_MC_ADDR(i), &addr);
		printk("machine check: bank %u status %016lx address %016lx\n", i, status, addr);
	}
	dump_frame(f);
	trap_backtrace(f->rip, f->rsp, f->rbp);
	panic("machine check on CPU %u\n", this_cpu()->id);
}

const char *exception_name(u64 vector)
{
	const char *name = vector < ARRAY_SIZE(exception_names) ? exception_names[vector] : NULL;

	return name ? name : "(reserved)";
}

/* Reports each vector once: a device may send one forever. */
static void unexpected_vector(const struct cpu *c, u64 vector)
{
	static u64 reported[4];

	if (!test_and_set_bit((unsigned)vector, reported))
		pr_warn("CPU %u: unexpected interrupt vector %#lx\n", c->id, vector);
}

/*
 * Handles a trap. Runs with interrupts off on the CPU's stack, or on an IST stack for #DF, NMI and
 * #MC.
 */
void trap_handler(struct trap_frame *f)
{
	struct cpu *c = this_cpu();

	switch (f->vector) {
	case VEC_NMI:
		/*
		 * Another CPU may have sent it to get this CPU's attention; the work bits say why.
		 */
		c->stats.nmis++;
		panic_poll();
		if (!policy_nmi(c, f))
			nmi_unasked(c);
		return;
	case VEC_MC:
		machine_check(f);
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
		apic_eoi();
		console_irq();
		return;
	case VEC_SPURIOUS: return;
	}
	if (f->vector >= 32) {
		unexpected_vector(c, f->vector);
		apic_eoi();
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
	dump_frame(f);
	trap_backtrace(f->rip, f->rsp, f->rbp);
	panic("unexpected exception in the hypervisor\n");
}
