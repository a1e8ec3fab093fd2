/* SPDX-License-Identifier: BSD-2-Clause */
/* Boots Margay from the loader's hand-over to the first guest, in order. Runs on the boot CPU. */
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/iommu.h>
#include <margay/page_owner.h>
#include <margay/pci.h>
#include <margay/sched.h>
#include <margay/trace.h>
#include <margay/version.h>
#include <x86/apic.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/mce.h>
#include <x86/microcode.h>
#include <x86/msr.h>
#include <x86/mtrr.h>
#include <x86/paging.h>
#include <x86/platform.h>
#include <x86/pmu.h>
#include <x86/smp.h>
#include <x86/spec.h>
#include <x86/traps.h>
#include <x86/tsc.h>

#define MB2_LOADER_MAGIC 0x36d76289U

struct boot_info boot_info;
struct acpi_info boot_acpi;
paddr_t image_paddr;
const struct hvm_ops *hvm;

extern u8 image_start[], image_end[];
extern u64 __stack_chk_guard;
void __noreturn boot_main(u32 magic, paddr_t info, paddr_t image);

static __initdata struct cpu early_cpu;
u64 entry_tsc;		/* at the first instruction; entry.asm */
static u64 wallclock_base; /* ns since 1970 at system time zero */

static void report_step(const char *what)
{
	if (opt.perf_boot)
		printk("boot: %s at %lu ticks\n", what, rdtsc() - entry_tsc);
}

static void __init read_boot_info(paddr_t info)
{
	const void *mbi = phys_to_virt(info);
	u32 size = *(const u32 *)mbi, bad;

	if (mb2_parse(mbi, (1UL << 32) - info, &boot_info))
		panic("the boot loader's information is unusable\n");
	bad = cmdline_parse(boot_info.cmdline);
	arch_console_early();
	if (bad)
		cmdline_help();
	boot_protect(&boot_info, image_paddr, (u64)(image_end - image_start), "Margay's image");
	early_init(&boot_info, image_paddr, (u64)(image_end - image_start));
	early_reserve(info, size);
	smp_place_trampoline(&boot_info, info, size);
	for (unsigned i = 0; i < boot_info.nr_mods; i++)
		early_reserve(boot_info.mods[i].start, boot_info.mods[i].size);
	if (opt.report)
		kept_log_init((paddr_t)opt.report << 20);
}

static void __init choose_backend(void)
{
	hvm = svm_ops.probe() ? &svm_ops : vmx_ops.probe() ? &vmx_ops : NULL;
	if (!hvm) {
		if (opt.report)
			machine_describe();
		printk("no usable hardware virtualization: Margay needs AMD-V with\n"
		       "nested paging, or VT-x with EPT and unrestricted guests\n");
		if (opt.report && opt.when_empty == WHEN_EMPTY_REBOOT) {
			printk("the machine reboots in 5 seconds, so that the report can be stored\n");
			udelay(5000000);
			arch_reboot();
		}
		printk("halted\n");
		console_flush();
		arch_halt();
	}
	msr_rules_init();
	pmu_init();
	pr_info("guests run by %s\n", hvm->name);
}

/* The boot loader's map goes with the init memory. */
static void keep_memory_map(void)
{
	struct mem_range *map = kzalloc(boot_info.nr_mem * sizeof(*map));

	if (!map)
		panic("no memory to keep the memory map\n");
	memcpy(map, boot_info.mem, boot_info.nr_mem * sizeof(*map));
	boot_info.mem = map;
}

static void main_on_own_stack(void *arg __unused)
{
	smp_boot_aps();
	topology_init();
	policy_nmi_init();
	idle_init();
	report_step("all CPUs up");
	console_start();
	if (opt.report)
		machine_describe();
	keep_memory_map();
	paging_end_init();
	if (opt.perf_boot)
		memory_show();
	if (opt.trace && trace_set(~0U, opt.trace))
		pr_warn("no trace: %u pages are too many, or not a power of two\n", opt.trace);
	mce_start_polling();
	iommu_start_polling();
	boot_guests();
	sched_loop();
}

void boot_guest_entered(void)
{
	static bool before;

	if (before)
		return;
	before = true;
	report_step("first guest entry");
	memory_show();
}

void __init boot_main(u32 magic, paddr_t info, paddr_t image)
{
	struct cpu *c;

	__stack_chk_guard ^= entry_tsc * 0x9e3779b97f4a7c15UL << 8;
	early_cpu.self = &early_cpu;
	wrmsr(MSR_GS_BASE, (u64)&early_cpu);
	idt_init();
	idt_load();
	printk("Margay, a hypervisor for x86_64 nodes (Xen ABI 4.17)\n");
	version_print();
	if (magic != MB2_LOADER_MAGIC)
		panic("not started by a multiboot2 loader (magic %#x)\n", magic);
	image_paddr = image;
	mtrr_init(image);
	read_boot_info(info);
	ucode_init();
	features_init();
	spec_init();
	paging_init(&boot_info);
	report_step("paging");
	if (acpi_parse(boot_info.rsdp, boot_info.rsdp_size, acpi_map_table, &boot_acpi))
		pr_warn("no ACPI tables: one CPU, no power-off\n");
	owner_init(&boot_info, &boot_acpi);
	uart_tables();
	screen_init(&boot_info);
	report_step("memory and ACPI");
	legacy_pic_off();
	pci_map_ecam();
	pci_init();
	tsc_init();
	wallclock_base = rtc_read_wallclock() * NS_PER_S;
	choose_backend();
	apic_init(!opt.nox2apic);
	apic_init_cpu();

	/* The boot CPU is the MADT entry with this CPU's APIC id. */
	struct acpi_cpu self = { .apic_id = apic_id() };

	for (unsigned i = 0; i < boot_acpi.nr_cpus; i++)
		if (boot_acpi.cpus[i].apic_id == self.apic_id)
			self = boot_acpi.cpus[i];
	c = cpu_create(0, &self);
	cpus[0] = housekeeping_cpu = c;
	nr_cpus = 1;
	cpu_init_here(c);
	c->online = true;
	apic_timer_calibrate(x86.tsc_hz);
	iommu_init();
	ioapic_init();
	report_step("boot CPU");
	stack_switch((void *)c->stack_top, main_on_own_stack, NULL);
}

u64 arch_wallclock(void)
{
	return wallclock_base;
}

void arch_set_wallclock(u64 ns)
{
	wallclock_base = ns;
}
