/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts the other CPUs, one at a time. SDM 3A 9.4. */
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <margay/hold.h>
#include <margay/policy_registry.h>
#include <margay/sched.h>
#include <x86/apic.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/mce.h>
#include <x86/microcode.h>
#include <x86/paging.h>
#include <x86/smp.h>
#include <x86/spec.h>
#include <x86/traps.h>
#include <x86/tsc.h>

#define LOW_MEMORY_TOP 0xa0000UL
#define STACK_PAGES 2

struct cpu *cpus[MAX_CPUS], *housekeeping_cpu;
unsigned nr_cpus;

extern u8 ap_trampoline[], ap_trampoline_end[];
extern u64 ap_cr3, ap_stack, ap_entry, boot_pml4[];
extern u8 image_start[];

static struct cpu *starting;
static paddr_t trampoline __initdata;	/* 0: no page found */
static volatile bool ap_alive;

struct cpu *__init cpu_create(unsigned id, const struct acpi_cpu *a)
{
	struct cpu *c = kzalloc(sizeof(*c));

	if (!c)
		panic("no memory for CPU %u\n", id);
	c->self = c;
	c->id = id;
	c->apic_id = a->apic_id;
	c->node = a->node;
	c->stack_top = (u64)map_stack(STACK_PAGES);
	arch_policy_cpu_init(c);
	gdt_init_cpu(c);
	sched_init_cpu(c);
	return c;
}

void __init smp_place_trampoline(const struct boot_info *bi, paddr_t info, u64 size)
{
	/* Page 0 holds the interrupt vectors of real mode and the BIOS's data. */
	for (paddr_t at = LOW_MEMORY_TOP - PAGE_SIZE; at && !trampoline; at -= PAGE_SIZE) {
		bool in_use = !mem_is_ram(bi->mem, bi->nr_mem, at, PAGE_SIZE) ||
			      (info < at + PAGE_SIZE && at < info + size);

		for (unsigned i = 0; i < bi->nr_mods; i++)
			in_use |= bi->mods[i].start < at + PAGE_SIZE &&
				  at < bi->mods[i].start + bi->mods[i].size;
		if (!in_use)
			trampoline = at;
	}
}

/* Sets up a CPU. Runs on each CPU, on its own stack. */
void cpu_init_here(struct cpu *c)
{
	gdt_load(c);
	idt_use_stacks();
	idt_load();
	if (c->id)
		ucode_update_cpu();
	features_init_cpu();
	spec_init_cpu();
	mce_init_cpu();
	apic_init_cpu();
	if (hvm->cpu_init(c))
		panic("CPU %u cannot run guests\n", c->id);
}

static void ap_main(void *arg)
{
	struct cpu *c = arg;

	cpu_init_here(c);
	atomic_store(&ap_alive, true);
	tsc_sync_ap();
	while (!READ_ONCE(c->online))
		cpu_relax();
	mce_start_polling();
	sched_loop();
}

/* Continues from the trampoline on a temporary stack, with the boot page tables. */
static void __init __noreturn ap_start(void)
{
	paging_load_cpu();
	stack_switch((void *)starting->stack_top, ap_main, starting);
}

static bool __init start_ap(struct cpu *c)
{
	ap_cr3 = image_paddr + (u64)((u8 *)boot_pml4 - image_start);
	/*
	 * A stack that the boot page tables map: the lower half of the boot stack, whose upper part
	 * is in use.
	 */
	ap_stack = (u64)boot_pml4 + 8 * PAGE_SIZE + 3072;
	ap_entry = (u64)ap_start;
	memcpy(phys_to_virt(trampoline), ap_trampoline,
	       (size_t)(ap_trampoline_end - ap_trampoline));
	starting = c;
	ap_alive = false;
	apic_send_ipi(c->apic_id, ICR_INIT);
	udelay(200);
	/* Send the SIPI again after 10 ms; give up after 1 s. */
	for (unsigned i = 0; i < 20000 && !READ_ONCE(ap_alive); i++) {
		if (i == 0 || i == 200)
			apic_send_ipi(c->apic_id, ICR_SIPI | (u32)(trampoline >> PAGE_SHIFT));
		udelay(50);
	}
	return READ_ONCE(ap_alive);
}

void __init smp_boot_aps(void)
{
	unsigned n = min(boot_acpi.nr_cpus, opt.maxcpus);

	if (!trampoline && n > 1)
		pr_err("no RAM below 640 KiB to start other CPUs in: using one CPU\n");
	for (unsigned i = 0; i < n && nr_cpus < MAX_CPUS && trampoline; i++) {
		struct cpu *c;

		if (boot_acpi.cpus[i].apic_id == cpus[0]->apic_id)
			continue;
		if (!x86.x2apic && boot_acpi.cpus[i].apic_id >= XAPIC_BROADCAST) {
			pr_warn("CPU with APIC id %u needs x2APIC mode: not started\n",
				boot_acpi.cpus[i].apic_id);
			continue;
		}
		c = cpu_create(nr_cpus, &boot_acpi.cpus[i]);
		if (!start_ap(c)) {
			pr_err("CPU with APIC id %u did not start\n", c->apic_id);
			continue;
		}
		tsc_sync_bsp(c);
		cpus[nr_cpus++] = c;
		atomic_store(&c->online, true);
	}
	pr_info("%u CPU%s on %u node%s; TSCs %s\n", nr_cpus, nr_cpus == 1 ? "" : "s",
		boot_acpi.nr_nodes, boot_acpi.nr_nodes == 1 ? "" : "s",
		tsc_skew_max ? "differ" : "agree");
}

void cpu_raise(struct cpu *c, u32 work)
{
	bool known = (atomic_or(&c->work, work) & work) == work;

	if (!known && c != this_cpu())
		arch_cpu_kick(c);
}

static void idle_until_interrupt(void)
{
	hold_over();
	__asm__ volatile("sti; hlt; cli" ::: "memory");
	hold_begin();
}

void arch_idle(void)
{
	struct cpu *c = this_cpu();

	/* STI blocks interrupts until after the next instruction: none is lost before HLT. */
	if (READ_ONCE(c->work))
		arch_poll_irqs();
	else
		idle_until_interrupt();
}

void arch_irqs_on(void)
{
	hold_end();
	__asm__ volatile("sti" ::: "memory");
}

void arch_irqs_off(void)
{
	__asm__ volatile("cli" ::: "memory");
	hold_begin();
}

void arch_poll_irqs(void)
{
	hold_end();
	__asm__ volatile("sti; nop; cli" ::: "memory");
	hold_begin();
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}
