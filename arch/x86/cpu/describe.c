/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Describes the machine for a report (option report=), so that a fault on a machine that the reader
 * does not have can be understood.
 */
#include <margay/boot_state.h>
#include <margay/console.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/microcode.h>

static void __init describe_cpu(void)
{
	struct cpuid_regs r;
	u32 name[13] = { 0 };
	u32 family;

	cpuid_machine(0, 0, &r);
	memcpy(name, (u32[]){ r.ebx, r.edx, r.ecx }, 12);
	cpuid_machine(1, 0, &r);
	family = r.eax >> 8 & 15;
	printk("CPU: %s family %#x model %#x stepping %u microcode %#x\n", (const char *)name,
	       family + (family == 15 ? r.eax >> 20 & 0xff : 0),
	       (r.eax >> 4 & 15) | (r.eax >> 12 & 0xf0), r.eax & 15, ucode_revision);
	for (u32 i = 0; i < 3; i++) {
		cpuid_machine(0x80000002 + i, 0, &r);
		memcpy(name + 4 * i, (u32[]){ r.eax, r.ebx, r.ecx, r.edx }, 16);
	}
	printk("CPU: %s\n", (const char *)name);
}

static void __init describe_leaves(void)
{
	static const u32 leaves[][2] = {
		{ 0, 0 },	   { 1, 0 },	      { 5, 0 },		 { 6, 0 },
		{ 7, 0 },	   { 7, 1 },	      { 7, 2 },		 { 0xa, 0 },
		{ 0xd, 0 },	   { 0xd, 1 },	      { 0x15, 0 },	 { 0x16, 0 },
		{ 0x80000001, 0 }, { 0x80000007, 0 }, { 0x80000008, 0 }, { 0x8000000a, 0 },
		{ 0x80000021, 0 },
	};
	struct cpuid_regs r;

	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
		u32 leaf = leaves[i][0];

		cpuid_machine(leaf & 0x80000000, 0, &r);
		if (leaf > r.eax)
			continue;
		cpuid_machine(leaf, leaves[i][1], &r);
		printk("CPUID %08x:%u %08x %08x %08x %08x\n", leaf, leaves[i][1], r.eax, r.ebx,
		       r.ecx, r.edx);
	}
}

static void __init describe_features(void)
{
	const struct {
		const char *name;
		bool used;
	} features[] = {
		{ "invariant_tsc", x86.invariant_tsc },
		{ "tsc_adjust", x86.tsc_adjust },
		{ "tsc_deadline", x86.tsc_deadline },
		{ "x2apic", x86.x2apic },
		{ "page1g", x86.page1g },
		{ "nested_page1g", x86.nested_page1g },
		{ "xsave", x86.xsave },
		{ "tsc_aux", x86.tsc_aux },
		{ "lfence_serializes", x86.lfence_serializes },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		printk("feature %s: %s\n", features[i].name, features[i].used ? "used" : "missing");
}

static void __init describe_memory(void)
{
	static const char *const types[] = { "reserved", "RAM",	     "reserved",
					     "ACPI",	 "ACPI NVS", "unusable" };

	for (unsigned i = 0; i < boot_info.nr_mem; i++) {
		const struct mem_range *m = &boot_info.mem[i];

		printk("memory map: %#lx-%#lx %s\n", m->base, m->base + m->size,
		       types[m->type < ARRAY_SIZE(types) ? m->type : MEM_RESERVED]);
	}
}

static void __init describe_uart(const char *table, const struct acpi_uart *u)
{
	if (u->there)
		printk("%s: serial port at %s %#lx, %u baud\n", table,
		       u->space == ACPI_SPACE_IO ? "I/O port" : "address", u->address, u->baud);
	else
		printk("%s: no serial port\n", table);
}

static void __init describe_consoles(void)
{
	static const char *const types[] = { "none", "pixels", "text" };
	const struct boot_screen *s = &boot_info.screen;

	describe_uart("SPCR", &boot_acpi.spcr);
	describe_uart("DBG2", &boot_acpi.dbg2);
	printk("screen: %s, %ux%u at %#lx\n", types[s->type], s->width, s->height, s->base);
	console_describe();
}

void __init machine_describe(void)
{
	printk("report: %s\n", hvm ? hvm->name : "no hardware virtualization");
	describe_cpu();
	describe_leaves();
	describe_features();
	arch_show_speculation();
	describe_memory();
	describe_consoles();
}
