/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts the other CPUs, all at once. SDM 3A 9.4. */
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
#include <x86/mtrr.h>
#include <x86/paging.h>
#include <x86/regs.h>
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

volatile u32 ap_lock;			/* the trampoline takes it for the temporary stack */
static paddr_t trampoline __initdata;	/* 0: no page found */
static struct cpu *turn;		/* to compare its TSC with the boot CPU's */
static unsigned nr_starting __initdata;
static struct {
	struct cpu *known, *cpu;	/* cpu: NULL once the CPU itself has seen it */
	bool second;			/* starts after its core's first thread */
} starting[MAX_CPUS] __initdata;

struct cpu *__init cpu_create(unsigned id, const struct acpi_cpu *a)
{
	struct cpu *c = kzalloc(sizeof(*c));

	if (!c)
		panic("no memory for CPU %u\n", id);
	c->self = c;
	c->id = id;
	c->apic_id = a->apic_id;
	c->acpi_id = a->uid;
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
	if (c->id)
		mtrr_init_cpu();
	spec_init_cpu();
	mce_init_cpu();
	apic_init_cpu();
	topology_init_here(c);
	if (hvm->cpu_init(c))
		panic("CPU %u cannot run guests\n", c->id);
}

static void ap_main(void *arg)
{
	struct cpu *c = arg;

	atomic_store(&ap_lock, 0);	/* leaves the temporary stack to the next CPU */
	cpu_init_here(c);
	atomic_store(&c->alive, true);
	while (READ_ONCE(turn) != c)
		idle_hlt();
	tsc_sync_ap();
	while (!READ_ONCE(c->online))
		cpu_relax();
	mce_start_polling();
	sched_loop();
}

/* Returns the APIC id that this CPU has from reset on. */
static u32 __init initial_apic_id(void)
{
	u32 max, a, b, c, d;

	cpuid_count(0, 0, &max, &b, &c, &d);
	if (max >= 0xb) {
		cpuid_count(0xb, 0, &a, &b, &c, &d);
		if (b)
			return d;
	}
	cpuid_count(1, 0, &a, &b, &c, &d);
	return b >> 24;
}

/*
 * Continues from the trampoline, with the boot page tables, on a temporary stack that ap_lock
 * protects. A CPU that was given up meanwhile finds no entry and halts.
 */
static void __init __noreturn ap_start(void)
{
	u32 id = initial_apic_id();

	paging_load_cpu();
	for (unsigned i = 0; i < nr_starting; i++) {
		struct cpu *c = READ_ONCE(starting[i].cpu);

		if (c && c->apic_id == id && atomic_cas(&starting[i].cpu, c, (struct cpu *)NULL))
			stack_switch((void *)c->stack_top, ap_main, c);
	}
	atomic_store(&ap_lock, 0);
	arch_halt();
}

/* Sends an IPI to those CPUs of a wave that are not set up yet. Returns whether there are any. */
static bool __init send_to_aps(bool second, u32 icr)
{
	bool any = false;

	for (unsigned i = 0; i < nr_starting; i++)
		if (starting[i].second == second && !READ_ONCE(starting[i].known->alive)) {
			any = true;
			if (icr)
				apic_send_ipi(starting[i].known->apic_id, icr);
		}
	return any;
}

/* Waits for the CPUs of a wave to finish their set-up. Returns whether some have not. */
static bool __init wait_for_aps(bool second, unsigned us)
{
	for (; us >= 50 && send_to_aps(second, 0); us -= 50)
		udelay(50);
	return send_to_aps(second, 0);
}

/* Starts the CPUs of a wave: INIT, SIPI, and SIPI again after 10 ms; at most 1 s. */
static void __init start_aps(bool second)
{
	u32 sipi = ICR_SIPI | (u32)(trampoline >> PAGE_SHIFT);

	if (!send_to_aps(second, ICR_INIT))
		return;
	udelay(200);
	send_to_aps(second, sipi);
	if (!wait_for_aps(second, 10000))
		return;
	send_to_aps(second, sipi);
	wait_for_aps(second, 1000000);
}

static void __init add_ap(const struct acpi_cpu *a, bool second)
{
	if (!x86.x2apic && a->apic_id >= XAPIC_BROADCAST) {
		pr_warn("CPU with APIC id %u needs x2APIC mode: not started\n", a->apic_id);
		return;
	}
	if (nr_starting == MAX_CPUS - 1)
		return;
	starting[nr_starting].known = cpu_create(nr_starting + 1, a);
	starting[nr_starting].cpu = starting[nr_starting].known;
	starting[nr_starting++].second = second;
}

/* Takes a started CPU in. INIT stops one that is late, so that it never runs freed code. */
static void __init finish_ap(struct cpu *c)
{
	if (!READ_ONCE(c->alive)) {
		pr_err("CPU with APIC id %u did not start\n", c->apic_id);
		apic_send_ipi(c->apic_id, ICR_INIT);
		return;
	}
	c->id = c->view.id = nr_cpus;
	WRITE_ONCE(turn, c);
	arch_cpu_kick(c);
	tsc_sync_bsp(c);
	cpus[nr_cpus++] = c;
	atomic_store(&c->online, true);
}

/*
 * Starts all other CPUs at once, but the further threads of each core after the first: a microcode
 * update concerns the core and must not meet a running thread (SDM 3A 10.11.6.3).
 */
void __init smp_boot_aps(void)
{
	unsigned n = min(boot_acpi.nr_cpus, opt.maxcpus);
	u32 threads = (u32)BIT(thread_bits()) - 1;

	ap_cr3 = image_paddr + (u64)((u8 *)boot_pml4 - image_start);
	/*
	 * A stack that the boot page tables map: the lower half of the boot stack, whose upper part
	 * is in use.
	 */
	ap_stack = (u64)boot_pml4 + 8 * PAGE_SIZE + 3072;
	ap_entry = (u64)ap_start;
	if (trampoline)
		memcpy(phys_to_virt(trampoline), ap_trampoline,
		       (size_t)(ap_trampoline_end - ap_trampoline));
	else if (n > 1)
		pr_err("no RAM below 640 KiB to start other CPUs in: using one CPU\n");
	for (unsigned i = 0; i < n && trampoline; i++) {
		u32 id = boot_acpi.cpus[i].apic_id;

		if (id != cpus[0]->apic_id)
			add_ap(&boot_acpi.cpus[i], id & threads);
	}
	start_aps(false);
	start_aps(true);
	for (unsigned i = 0; i < nr_starting; i++)
		finish_ap(starting[i].known);
	if (opt.housekeeping < nr_cpus)
		housekeeping_cpu = cpus[opt.housekeeping];
	else
		pr_warn("option housekeeping: there is no CPU %u\n", opt.housekeeping);
	pr_info("%u CPU%s on %u node%s; TSCs %s\n", nr_cpus, nr_cpus == 1 ? "" : "s",
		boot_acpi.nr_nodes, boot_acpi.nr_nodes == 1 ? "" : "s",
		tsc_skew_max ? "differ" : "agree");
}

void cpu_raise(struct cpu *c, u32 work)
{
	u32 bit = 1U << __builtin_ctz(work);	/* gcc makes LOCK BTS of this, and no loop */

	if (!(__atomic_fetch_or(&c->work, bit, __ATOMIC_SEQ_CST) & bit) && c != this_cpu())
		arch_cpu_kick(c);
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
