/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PVH builder, with host memory as guest memory: layout, kernel, initrd, start info and errors;
 * and its ACPI tables, which Margay's own parser reads back.
 * unit-sources: arch/x86/guest/build.c arch/x86/guest/build_acpi.c arch/x86/guest/build_acpi_host.c common/boot/elf.c
 * unit-sources: test/unit/mock_heap.c arch/x86/guest/build_numa.c arch/x86/guest/apic_ids.c
 * unit-sources: drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c drivers/acpi/serial.c drivers/acpi/mcfg.c
 */
#include "host.h"

#include <margay/acpi.h>
#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/errno.h>
#include <margay/guest_copy.h>
#include <x86/build.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/smp.h>
#include <x86/vlapic.h>

#include "../../arch/x86/guest/acpi_build.h"

#include <xen/arch-x86/hvm/start_info.h>

#define RAM (8UL << 20)
#define KERNEL_AT 0x200000UL

struct x86_features x86 = { .phys_bits = 40 };

unsigned arch_phys_bits(void)
{
	return x86.phys_bits;
}

struct boot_info boot_info;
struct acpi_info boot_acpi;

#define CPUS 6U
static struct cpu cpu[CPUS];
struct cpu *cpus[MAX_CPUS];
unsigned nr_cpus = CPUS, nr_nodes = 1;
static u64 node_pages[4];	/* that dom_alloc_on() has left */
#define NODE_MFNS (1UL << 20)	/* node N has the frames from N times this on */
static const struct guest_numa no_nodes;
static struct cpu_set own;

u32 package_first_id(const struct cpu *c)
{
	return c->apic_id & ~0xffU;
}
unsigned page_node(mfn_t mfn)
{
	return (unsigned)(mfn / NODE_MFNS);
}
struct vcpu *domain_vcpu(struct domain *d, u32 id)
{
	return id < d->nr_vcpus ? d->vcpus[id] : NULL;
}

static u8 *ram;        /* of the guest, from address 0 */
static u64 pages_left; /* of the machine */
static unsigned int chunks, singles;
static u64 mapped_high;
static struct vcpu vcpu0;
static struct domain dom = { .vcpus = { NULL, NULL } };
static struct vcpu_hvm_context context;
static unsigned int attached;
static struct boot_guest bg;
static u8 image[4096];

int dom_alloc(struct domain *d, unsigned int order, mfn_t *mfn)
{
	u64 n = 1UL << order;

	if (d->tot_pages + n > d->max_pages)
		return -E2BIG;
	if (n > pages_left)
		return -ENOMEM;
	pages_left -= n;
	d->tot_pages += n;
	*(order ? &chunks : &singles) += 1;
	*mfn = 3 * NODE_MFNS;
	return 0;
}

int dom_alloc_on(struct domain *d, unsigned node, unsigned order, mfn_t *mfn)
{
	u64 n = 1UL << order;

	if (n > node_pages[node])
		return -ENOMEM;
	node_pages[node] -= n;
	d->tot_pages += n;
	chunks++;
	*mfn = node * NODE_MFNS;
	return 0;
}

void dom_free(struct domain *d, mfn_t mfn, unsigned int order)
{
	(void)mfn;
	d->tot_pages -= 1UL << order;
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type)
{
	(void)mfn;
	d->max_gfn = max(d->max_gfn, gfn + (1UL << order) - 1);
	assert_int_equal(type, P2M_RAM);
	assert_true(IS_ALIGNED(gfn, 1UL << order));
	if (gfn >= GUEST_HIGH_BASE >> PAGE_SHIFT)
		mapped_high += PAGE_SIZE << order;
	else
		assert_true((gfn + (1UL << order)) << PAGE_SHIFT <= GUEST_LOW_TOP);
	return 0;
}

int copy_to_gpa(struct domain *d, gpaddr_t dst, const void *src, size_t n)
{
	(void)d;
	if (dst > RAM || n > RAM - dst)
		return -EFAULT;
	memcpy(ram + dst, src, n);
	return 0;
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_hvm_context *ctx)
{
	assert_ptr_equal(v, &vcpu0);
	context = *ctx;
	return 0;
}

int console_attach(struct domain *d)
{
	(void)d;
	attached++;
	return 0;
}

static void put(void *at, u64 val, unsigned int n)
{
	memcpy(at, &val, n);
}

/* ELF64 with one segment and a PVH note. */
static void make_image(u64 paddr, u64 memsz)
{
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\2\1\1", 7);
	put(image + 16, 2, 2);
	put(image + 18, 62, 2);
	put(image + 20, 1, 4);
	put(image + 24, paddr, 8);
	put(image + 32, 64, 8);
	put(image + 52, 64, 2);
	put(image + 54, 56, 2);
	put(image + 56, 2, 2);
	put(image + 64, 1, 4); /* PT_LOAD */
	put(image + 64 + 8, 0x400, 8);
	put(image + 64 + 16, paddr, 8);
	put(image + 64 + 24, paddr, 8);
	put(image + 64 + 32, 0x100, 8);
	put(image + 64 + 40, memsz, 8);
	put(image + 120, 4, 4); /* PT_NOTE */
	put(image + 120 + 8, 0x300, 8);
	put(image + 120 + 32, 20, 8);
	put(image + 120 + 40, 20, 8);
	put(image + 0x300, 4, 4);
	put(image + 0x304, 4, 4);
	put(image + 0x308, 18, 4);
	memcpy(image + 0x30c, "Xen", 4);
	put(image + 0x310, paddr + 0x10, 4);
	memset(image + 0x400, 0x5a, 0x100);
}

static int setup(void **state)
{
	(void)state;
	host_log_clear();
	nr_nodes = 1;
	ram = calloc(1, RAM);
	memset(&dom, 0, sizeof(dom));
	memset(&context, 0, sizeof(context));
	snprintf(dom.name, sizeof(dom.name), "g1");
	dom.nr_vcpus = 2;
	dom.vcpus[0] = &vcpu0;
	dom.max_pages = RAM >> PAGE_SHIFT;
	pages_left = 1UL << 30;
	chunks = singles = attached = 0;
	mapped_high = 0;
	bg = (struct boot_guest){ .image = image, .image_size = sizeof(image) };
	bg.spec.mem = RAM;
	bg.spec.vcpus = 2;
	bg.spec.cmdline = "console=hvc0 quiet";
	strcpy(bg.spec.label, "module 2 (guest g1)");
	make_image(KERNEL_AT, 0x3000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	kfree(dom.apic_ids);
	dom.apic_ids = NULL;
	return 0;
}

static unsigned steps;

static int build(void)
{
	int rc;

	bg.stage = 1;
	steps = 0;
	do
		rc = arch_build_guest(&dom, &bg);
	while (rc == -ERESTART && ++steps < 10000);
	return rc;
}

static void test_layout(void **state)
{
	struct e820_entry map[MEMORY_MAP_MAX];
	struct guest_layout l;

	(void)state;
	assert_int_equal(guest_layout(RAM, 5, &dom, &l), 0);
	assert_int_equal(l.console, RAM - 0x1000);
	assert_int_equal(l.acpi, RAM - 0x2000);
	assert_int_equal(l.start_info, RAM - 0x3000);
	assert_int_equal(l.cmdline, RAM - 0x4000);
	assert_int_equal(guest_memory_map(&l, map), 3);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(map[i].addr + map[i].size, map[i + 1].addr);
	assert_int_equal(map[2].addr + map[2].size, RAM);
	assert_int_equal(map[0].type, MEM_RAM);
	assert_int_equal(map[2].type, MEM_RESERVED);
	assert_int_equal(guest_layout(5UL << 30, 0xfff, &dom, &l), 0);
	assert_int_equal(l.ram[0].size, GUEST_LOW_TOP);
	assert_int_equal(l.ram[1].size, 2UL << 30);
	/* Linux checks these to stay within the first gigabyte. */
	assert_int_equal(l.cmdline, GUEST_BOOT_TOP - 0x4000);
	assert_int_equal(guest_memory_map(&l, map), 5);
	assert_int_equal(map[3].addr, GUEST_BOOT_TOP);
	assert_int_equal(map[3].size, GUEST_LOW_TOP - GUEST_BOOT_TOP);
	assert_int_equal(map[3].type, MEM_RAM);
	assert_int_equal(map[4].addr, GUEST_HIGH_BASE);
	assert_int_equal(map[4].size, 2UL << 30);
	assert_int_equal(guest_layout(RAM, 0x1000, &dom, &l), 0);
	assert_int_equal(l.cmdline, RAM - 0x5000);
	assert_int_equal(guest_layout(4096, 0, &dom, &l), -EINVAL);
	assert_int_equal(guest_layout(RAM + 1, 0, &dom, &l), -EINVAL);
	assert_int_equal(guest_layout(RAM, 1UL << 20, &dom, &l), -EINVAL);
}

static const struct mem_range machine[] = {
	{ 0, 0x9fc00, MEM_RAM },	    { 0x9fc00, 0x400, MEM_RESERVED },
	{ 0xf0000, 0x10000, MEM_RESERVED }, { 0x100000, 0x3ff0000, MEM_RAM },
	{ 0x40f0000, 0x10000, MEM_ACPI },   { 0x4100000, 0x100000, MEM_UNCACHED },
	{ 0x4200000, 0x800, MEM_NVS },	    { 0x100000000, 0x40000000, MEM_RAM },
};

static void set_machine(unsigned n)
{
	boot_info.mem = (struct mem_range *)machine;
	boot_info.nr_mem = n;
}

/* RAM lies where the machine has it; all else but the unused RAM is as on the machine. */
static void test_machine_layout(void **state)
{
	static const struct e820_entry expected[] = {
		{ 0, 0x9f000, MEM_RAM },
		{ 0x9fc00, 0x400, MEM_RESERVED },
		{ 0xf0000, 0x10000, MEM_RESERVED },
		{ 0x100000, 0x3fee000, MEM_RAM },
		{ 0x40ee000, 0x1000, MEM_ACPI },
		{ 0x40ef000, 0x1000, MEM_RESERVED },
		{ 0x40f0000, 0x10000, MEM_ACPI },
		{ 0x4200000, 0x800, MEM_NVS },
		{ 0x100000000, 0x3f71000, MEM_RAM },
	};
	struct e820_entry map[MEMORY_MAP_MAX];
	struct guest_layout l;

	(void)state;
	set_machine(ARRAY_SIZE(machine));
	assert_int_equal(machine_layout(128UL << 20, 5, &dom, &l), 0);
	assert_int_equal(l.base, 0x100000);
	assert_int_equal(l.cmdline, 0x40ec000);
	assert_int_equal(machine_memory_map(&l, map), ARRAY_SIZE(expected));
	assert_memory_equal(map, expected, sizeof(expected));
	/* The largest range below a gigabyte has the kernel; none has more than is wanted. */
	assert_int_equal(machine_layout(2UL << 20, 5, &dom, &l), 0);
	assert_int_equal(l.nr_ram, 2);
	assert_int_equal(l.ram[1].size, 0x161000);
	assert_int_equal(l.top, 0x261000);
	assert_int_equal(machine_layout(2UL << 30, 5, &dom, &l), -EINVAL);
	assert_int_equal(machine_layout(0x9f000, 5, &dom, &l), -EINVAL);
}

/* A hole of 128 MiB below 4 GiB, the last that is aligned, unless all RAM is wanted. */
static void test_machine_hole(void **state)
{
	static const struct mem_range pc[] = {
		{ 0, 0x9f000, MEM_RAM },
		{ 0x100000, 0x7fe00000, MEM_RAM },
		{ 0x7ff00000, 0x100000, MEM_ACPI },
		{ 0x100000000, 0x40000000, MEM_RAM },
	};
	struct guest_layout l;

	(void)state;
	boot_info.mem = (struct mem_range *)pc;
	boot_info.nr_mem = ARRAY_SIZE(pc);
	assert_int_equal(machine_layout(0xa0000000, 5, &dom, &l), 0);
	assert_int_equal(l.nr_ram, 4);
	assert_int_equal(l.ram[1].addr + l.ram[1].size, 0x70000000);
	assert_int_equal(l.ram[2].addr, 0x78000000);
	assert_int_equal(l.ram[2].addr + l.ram[2].size, 0x7ff00000);
	assert_int_equal(l.ram[3].addr, 0x100000000);
	assert_int_equal(l.base, 0x100000);
	/* Less than what lies below the hole, and too much for one. */
	assert_int_equal(machine_layout(0x40000000, 5, &dom, &l), 0);
	assert_int_equal(l.nr_ram, 2);
	assert_int_equal(machine_layout(0xb8000000, 5, &dom, &l), 0);
	assert_int_equal(l.nr_ram, 3);
	assert_int_equal(l.ram[1].size, 0x7fe00000);
}

static void test_guest(void **state)
{
	static u8 initrd[0x1801];
	const struct hvm_start_info *si;
	const struct hvm_modlist_entry *mod;
	const struct hvm_memmap_table_entry *map;
	const struct vcpu_hvm_x86_32 *r = &context.cpu_regs.x86_32;

	(void)state;
	memset(initrd, 0x77, sizeof(initrd));
	bg.initrd = initrd;
	bg.initrd_size = sizeof(initrd);
	assert_int_equal(build(), 0);
	assert_silent();
	assert_int_equal(chunks, 4);
	assert_int_equal(singles, 0);
	assert_int_equal(dom.tot_pages, dom.max_pages);
	assert_int_equal(dom.max_gfn, (RAM >> PAGE_SHIFT) - 1);
	assert_int_equal(ram[KERNEL_AT], 0x5a);
	assert_int_equal(ram[KERNEL_AT + 0xff], 0x5a);
	assert_int_equal(ram[KERNEL_AT + 0x100], 0);

	assert_int_equal(context.mode, VCPU_HVM_MODE_32B);
	assert_int_equal(r->eip, KERNEL_AT + 0x10);
	assert_int_equal(r->cr0 & 0x80000001, 1);
	assert_int_equal(r->eflags, 2);
	assert_int_equal(r->cs_limit, 0xffffffff);
	si = (void *)(ram + r->ebx);
	assert_int_equal(si->magic, 0x336ec578);
	assert_int_equal(si->version, 1);
	assert_int_equal(si->flags, 0);
	assert_string_equal((char *)ram + si->cmdline_paddr, "console=hvc0 quiet");
	assert_memory_equal(ram + si->rsdp_paddr, "RSD PTR ", 8);
	assert_int_equal(si->nr_modules, 1);
	mod = (void *)(ram + si->modlist_paddr);
	assert_int_equal(mod->size, sizeof(initrd));
	assert_true(IS_ALIGNED(mod->paddr, PAGE_SIZE));
	assert_memory_equal(ram + mod->paddr, initrd, sizeof(initrd));
	map = (void *)(ram + si->memmap_paddr);
	assert_int_equal(si->memmap_entries, 3);
	assert_int_equal(map[0].addr, 0);
	/* The initrd, the command line and the start info do not overlap, and are in RAM. */
	assert_true(mod->paddr + mod->size <= si->cmdline_paddr);
	assert_true(si->cmdline_paddr + PAGE_SIZE <= r->ebx);
	assert_true(r->ebx + PAGE_SIZE <= map[0].size);
	assert_int_equal(si->rsdp_paddr, map[1].addr);
	assert_int_equal(dom.hvm_params[HVM_PARAM_CONSOLE_PFN], (RAM >> PAGE_SHIFT) - 1);
	assert_int_equal(dom.hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON], SHUTDOWN_reboot);
	assert_int_equal(attached, 1);
}

/* A guest that has no clock of Xen's learns the TSC's rate; a line one page long then takes two. */
static void test_tsc_rate(void **state)
{
	static char line[PAGE_SIZE];
	const struct hvm_start_info *si;

	(void)state;
	dom.native = true;
	x86.tsc_hz = 2999998000;
	assert_int_equal(build(), 0);
	si = (void *)(ram + context.cpu_regs.x86_32.ebx);
	assert_string_equal((char *)ram + si->cmdline_paddr,
			    "tsc_early_khz=2999998 console=hvc0 quiet");
	teardown(state);
	setup(state);
	dom.native = true;
	memset(line, 'a', sizeof(line) - 1);
	bg.spec.cmdline = line;
	assert_int_equal(build(), 0);
	si = (void *)(ram + context.cpu_regs.x86_32.ebx);
	assert_int_equal(si->cmdline_paddr, context.cpu_regs.x86_32.ebx - 2 * PAGE_SIZE);
	assert_string_equal((char *)ram + si->cmdline_paddr + strlen("tsc_early_khz=2999998 "),
			    line);
}

static void test_initial(void **state)
{
	const struct hvm_start_info *si;

	(void)state;
	bg.spec.initial = true;
	assert_int_equal(build(), 0);
	si = (void *)(ram + context.cpu_regs.x86_32.ebx);
	assert_int_equal(si->flags, SIF_INITDOMAIN | SIF_PRIVILEGED);
	assert_int_equal(si->nr_modules, 0);
	/* There is no ring, but the guest still gets input. */
	assert_int_equal(dom.hvm_params[HVM_PARAM_CONSOLE_PFN], 0);
	assert_int_equal(attached, 1);
}

static void test_memory_shapes(void **state)
{
	(void)state;
	bg.spec.mem = RAM - 3 * PAGE_SIZE;
	assert_int_equal(build(), 0);
	assert_int_equal(chunks, 3);
	assert_int_equal(singles, 509);
	/* The machine has no whole chunk left, only pages. */
	teardown(NULL);
	setup(NULL);
	bg.spec.mem = 2 * CHUNK_SIZE;
	pages_left = 2 * CHUNK_PAGES - 1;
	assert_int_equal(build(), -ENOMEM);
	assert_int_equal(chunks, 1);
	assert_int_equal(singles, CHUNK_PAGES - 1);
	assert_logged("guest g1");
}

static void test_errors(void **state)
{
	static u8 big[RAM];

	(void)state;
	dom.max_pages = 600;
	assert_int_equal(build(), -E2BIG);
	assert_logged("guest g1: no memory after");
	free(ram);
	setup(NULL);
	make_image(RAM - 0x4000, 0x1000);
	assert_int_equal(build(), -E2BIG);
	assert_logged("module 2 (guest g1):\n  its kernel wants");
	free(ram);
	setup(NULL);
	make_image(KERNEL_AT, 1UL << 40);
	assert_int_not_equal(build(), 0);
	assert_logged("guest g1");
	free(ram);
	setup(NULL);
	image[0x310 - 8] = 1;
	assert_int_equal(build(), -ENOEXEC);
	assert_logged("module 2 (guest g1): its kernel cannot be started");
	free(ram);
	setup(NULL);
	bg.initrd = big;
	bg.initrd_size = RAM - KERNEL_AT - 0x3000 - 0x3fff;
	assert_int_equal(build(), -E2BIG);
	assert_logged("no room for an initrd");
	free(ram);
	setup(NULL);
	bg.initrd = big;
	bg.initrd_size = RAM - KERNEL_AT - 0x3000 - 0x4000;
	assert_int_equal(build(), 0);
	bg.spec.mem = 1UL << 50;
	assert_int_equal(build(), -EINVAL);
	assert_logged("module 2 (guest g1):\n  cannot have");
}

static u8 tables[4 * PAGE_SIZE];
#define TABLES_AT 0x7ffc000UL

static const void *map_table(paddr_t pa, size_t len)
{
	if (pa < TABLES_AT || pa - TABLES_AT > sizeof(tables) ||
	    len > sizeof(tables) - (pa - TABLES_AT))
		return NULL;
	return tables + (pa - TABLES_AT);
}

/* Returns the table with this signature after checking its checksum. */
static const u8 *table(const char *signature)
{
	u64 xsdt_at = *(u64 *)(tables + 24), at;
	const u8 *xsdt = map_table(xsdt_at, 52), *t;

	assert_non_null(xsdt);
	for (unsigned int i = 36; i < *(const u32 *)(xsdt + 4); i += 8) {
		u8 sum = 0;

		memcpy(&at, xsdt + i, 8);
		t = map_table(at, 36);
		assert_non_null(t);
		assert_non_null(map_table(at, *(const u32 *)(t + 4)));
		for (u32 j = 0; j < *(const u32 *)(t + 4); j++)
			sum = (u8)(sum + t[j]);
		assert_int_equal(sum, 0);
		if (!memcmp(t, signature, 4))
			return t;
	}
	fail_msg("no %s", signature);
	return NULL;
}

static void test_acpi(void **state)
{
	static struct acpi_info info;
	static const u8 dsdt_aml[] = { 0x10, 0x06, '\\', '_', 'S', 'B', '_' };
	const u8 *fadt, *dsdt;
	u64 dsdt_at;

	(void)state;
	for (unsigned int n = 1; n <= 1024; n += 31) {
		host_log_clear();
		memset(tables, 0, sizeof(tables));
		dom.nr_vcpus = n;
		assert_in_range(acpi_size(&dom), 1, sizeof(tables));
		acpi_build(tables, TABLES_AT, &dom, false, &no_nodes);
		memset(&info, 0, sizeof(info));
		assert_int_equal(acpi_parse(tables, 36, map_table, &info), 0);
		assert_silent();
		assert_int_equal(info.nr_cpus, n);
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(info.cpus[i].apic_id, i);
			assert_int_equal(info.cpus[i].uid, i);
		}
		assert_int_equal(*(const u32 *)(table("APIC") + 36), 0xfee00000);
		assert_int_equal(info.nr_ioapics, 0);
		assert_int_equal(info.pm1a_cnt, 0);
	}
	fadt = table("FACP");
	assert_int_equal(fadt[8], 5);
	assert_true(*(const u32 *)(fadt + 112) & BIT(20));
	memcpy(&dsdt_at, fadt + 140, 8);
	assert_int_equal(*(const u32 *)(fadt + 40), dsdt_at);
	dsdt = map_table(dsdt_at, 36 + sizeof(dsdt_aml));
	assert_non_null(dsdt);
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_memory_equal(dsdt + 36, dsdt_aml, sizeof(dsdt_aml));
}

/* Packages of AML fill their scopes, resources their buffers. */
static void test_acpi_pci(void **state)
{
	static struct acpi_info info;
	const u8 *aml;
	u64 high[4];

	(void)state;
	host_log_clear();
	memset(tables, 0, sizeof(tables));
	acpi_build(tables, TABLES_AT, &dom, true, &no_nodes);
	memset(&info, 0, sizeof(info));
	assert_int_equal(acpi_parse(tables, 36, map_table, &info), 0);
	assert_silent();
	assert_int_equal(info.nr_ecam, 1);
	assert_int_equal(info.ecam[0].base, GUEST_PCI_ECAM);
	assert_int_equal(info.ecam[0].size, GUEST_PCI_ECAM_SIZE);
	aml = table("SSDT");
	assert_int_equal(*(const u32 *)(aml + 4), 36 + sizeof(guest_pci_aml));
	aml += 36;
	assert_int_equal((aml[1] & 0xf) | aml[2] << 4, sizeof(guest_pci_aml) - 1);	/* Scope */
	assert_int_equal((aml[10] & 0xf) | aml[11] << 4, 135);	/* Device (PCI0) */
	assert_int_equal((aml[42] & 0xf) | aml[43] << 4, 94);	/* Buffer */
	assert_int_equal(aml[134], 0x79);
	assert_int_equal(aml[137], 8);				/* Method (_OSC) */
	assert_int_equal(aml[147], 38);				/* Device (ECAM) */
	assert_int_equal(aml[sizeof(guest_pci_aml) - 2], 0x79);
	memcpy(high, aml + 102, sizeof(high));
	assert_int_equal(high[0], guest_pci_high());
	assert_int_equal(high[1] + 1 - high[0], high[3]);
}

/* The control domain's tables: a new root, the machine's own, and a MADT with its IO-APICs. */
static void test_acpi_machine(void **state)
{
	static struct acpi_info info;
	u64 xsdt_at;
	u64 entries[3];

	(void)state;
	boot_acpi = (struct acpi_info){
		.ioapics = { { 0, 0xfec00000, 3 }, { 24, 0xfec01000, 4 } }, .nr_ioapics = 2,
		.overrides = { { 0, 0, 2 }, { 9, 13, 9 } }, .nr_overrides = 2,
		.passed = { 0x12340000, 0x56780000 }, .nr_passed = 2,
	};
	for (unsigned n = 1; n <= 1024; n += 93) {
		host_log_clear();
		memset(tables, 0, sizeof(tables));
		dom.nr_vcpus = n;
		assert_in_range(acpi_machine_size(&dom), 1, sizeof(tables));
		acpi_machine_build(tables, TABLES_AT, &dom);
		memset(&info, 0, sizeof(info));
		assert_int_equal(acpi_parse(tables, 36, map_table, &info), 0);
		assert_int_equal(info.nr_cpus, n);
		assert_int_equal(info.nr_ioapics, 2);
		assert_memory_equal(info.ioapics, boot_acpi.ioapics, 2 * sizeof(info.ioapics[0]));
		assert_int_equal(info.nr_overrides, 2);
		assert_memory_equal(info.overrides, boot_acpi.overrides,
				    2 * sizeof(info.overrides[0]));
	}
	memcpy(&xsdt_at, tables + 24, sizeof(xsdt_at));
	assert_int_equal(*(const u32 *)map_table(xsdt_at + 4, 4), 36 + 3 * 8);
	memcpy(entries, map_table(xsdt_at + 36, sizeof(entries)), sizeof(entries));
	assert_memory_equal(map_table(entries[0], 4), "APIC", 4);
	assert_int_equal(entries[1], 0x12340000);
	assert_int_equal(entries[2], 0x56780000);
}

static const void *map_ram(paddr_t pa, size_t len)
{
	return pa > RAM || len > RAM - pa ? NULL : ram + pa;
}

/* A machine of two packages with two nodes each: CPUs 0 to 5 are on nodes 0 0 1 1 2 3. The guest has all but 0. */
static void set_nodes(void)
{
	static const u32 ids[CPUS] = { 0x100, 0x101, 0x110, 0x112, 0x400, 0x410 };
	static const u8 node[CPUS] = { 0, 0, 1, 1, 2, 3 };

	nr_nodes = 4;
	memset(&boot_acpi, 0, sizeof(boot_acpi));
	memset(&own, 0, sizeof(own));
	for (unsigned i = 0; i < CPUS; i++) {
		cpu[i] = (struct cpu){ .id = i, .apic_id = ids[i], .node = node[i] };
		cpus[i] = &cpu[i];
		if (i)
			cpu_set_add(&own, i);
	}
	for (unsigned i = 0; i < 4; i++)
		node_pages[i] = 1UL << 30;
	dom.native = true;
	dom.own_cpus = &own;
	dom.nr_vcpus = dom.max_vcpus = 5;
	kfree(dom.apic_ids);
	assert_int_equal(apic_ids_create(&dom), 0);
}

/* Builds the guest, whose kernel would take its last node's memory, and returns its ACPI tables. */
static struct acpi_info *build_nodes(void)
{
	static struct acpi_info info;
	const struct hvm_start_info *si;

	make_image(0x10000, 0x3000);
	assert_int_equal(build(), 0);
	assert_int_equal(dom.tot_pages, dom.max_pages);
	si = (void *)(ram + context.cpu_regs.x86_32.ebx);
	memset(&info, 0, sizeof(info));
	assert_int_equal(acpi_parse(ram + si->rsdp_paddr, 36, map_ram, &info), 0);
	assert_silent();
	assert_int_equal(info.nr_cpus, 5);
	return &info;
}

static void test_nodes(void **state)
{
	static const u8 nodes[] = { 0, 1, 1, 2, 3 };
	struct acpi_info *info;

	(void)state;
	set_nodes();
	boot_acpi.distance[1][3] = 21;
	boot_acpi.distance[3][1] = 255;
	info = build_nodes();
	assert_int_equal(info->nr_nodes, 4);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(info->cpus[i].apic_id, cpu[i + 1].apic_id - 0x100);
		assert_int_equal(info->cpus[i].uid, i);
		assert_int_equal(info->nodes[info->cpus[i].node], nodes[i]);
	}
	/* 8 MiB for 1, 2, 1 and 1 CPUs, by 2 MiB: the first has less than 2 */
	assert_int_equal(info->nr_mem, 3);
	assert_int_equal(info->mem[0].size, 4UL << 20);
	assert_int_equal(info->nodes[info->mem[0].node], 1);
	assert_int_equal(info->mem[1].base, 4UL << 20);
	assert_int_equal(info->nodes[info->mem[1].node], 2);
	assert_int_equal(info->mem[2].size, 2UL << 20);
	assert_int_equal(info->nodes[info->mem[2].node], 3);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 4; j++) {
			u32 a = info->nodes[i], b = info->nodes[j];

			assert_int_equal(info->distance[i][j], a == b           ? 10 :
							       a == 1 && b == 3 ? 21 :
							       a == 3 && b == 1 ? 255 :
										  20);
		}
}

/* A node lacks memory; the guest learns where its memory is in fact, and its nodes' numbers have no gaps. */
static void test_nodes_full(void **state)
{
	struct acpi_info *info;

	(void)state;
	set_nodes();
	for (unsigned i = 4; i < CPUS; i++)
		cpu_set_remove(&own, i);
	dom.nr_vcpus = dom.max_vcpus = 3;	/* on nodes 0, 1, 1 */
	cpu[1].node = 1;
	cpu_set_add(&own, 1);
	node_pages[1] = 512;
	bg.spec.vcpus = 3;
	make_image(0x10000, 0x3000);
	assert_int_equal(build(), 0);
	info = calloc(1, sizeof(*info));
	assert_int_equal(
		acpi_parse(ram + ((struct hvm_start_info *)(ram + context.cpu_regs.x86_32.ebx))
					   ->rsdp_paddr,
			   36, map_ram, info),
		0);
	assert_silent();
	assert_int_equal(info->nr_nodes, 2);
	assert_int_equal(info->nr_mem, 2);
	assert_int_equal(info->mem[0].size, 2UL << 20);
	assert_int_equal(info->nodes[info->mem[0].node], 0);
	assert_int_equal(info->mem[1].size, 6UL << 20);
	assert_int_equal(info->nodes[info->mem[1].node], 1);
	assert_int_equal(info->nodes[info->cpus[2].node], 0);
	free(info);
}

/* All on one node, a machine whose CPUs are on nodes that it does not have, or too many pieces: no tables. */
static void test_one_node(void **state)
{
	static struct guest_numa g;
	struct acpi_header *srat = (struct acpi_header *)tables;
	u64 left;

	(void)state;
	set_nodes();
	nr_nodes = 2;
	for (unsigned i = 0; i < CPUS; i++)
		cpu[i].node = (u8)(i & 1 ? 200 : 0);
	assert_int_equal(build_nodes()->nr_nodes, 1);
	assert_int_equal(dom.tot_pages, dom.max_pages);
	nr_nodes = 4;
	set_nodes();
	numa_begin(&g, &dom, 64UL << 20);
	assert_int_equal(numa_wanted(&g, 0, &left), 0);
	assert_int_equal(left, 12UL << 20);
	assert_int_equal(numa_wanted(&g, 63UL << 20, &left), 3);
	assert_int_equal(left, 1UL << 20);
	assert_int_equal(numa_wanted(&g, 64UL << 20, &left), NODE_ANY);
	for (unsigned i = 0; i < NUMA_RANGES; i++)
		numa_add(&g, i * 0x200000UL, 0x200000, i % 2 * NODE_MFNS);
	assert_non_null(acpi_numa(srat, &dom, &g));
	assert_in_range(srat->length, 1, acpi_numa_size(&dom));
	assert_silent();
	numa_add(&g, NUMA_RANGES * 0x200000UL, 0x200000, 0);
	assert_logged("it sees no nodes");
	assert_null(acpi_numa(srat, &dom, &g));
	numa_add(&g, NUMA_RANGES * 0x400000UL, 0x200000, 0);
	assert_null(acpi_numa(srat, &dom, &g));
}

/* Ids of any CPUs, in any order: each vCPU is found by its own, and by no other. */
static void test_apic_ids(void **state)
{
	static struct vcpu v[CPUS];
	static struct {
		struct domain d;
		struct vcpu *room[CPUS];
	} many;
	struct domain *d = &many.d;

	(void)state;
	set_nodes();
	cpu[2].apic_id = 0xfffffff7;
	cpu[3].apic_id = 0x7;
	cpu[5].apic_id = 0x107;
	for (unsigned trusted = 0; trusted < 2; trusted++) {
		memset(&many, 0, sizeof(many));
		d->own_cpus = &own;
		d->trusted = trusted;
		d->nr_vcpus = d->max_vcpus = 5;
		cpu_set_remove(&own, trusted ? 0 : 3);	/* the lowest id */
		if (!trusted)
			cpu_set_add(&own, 0);
		assert_int_equal(apic_ids_create(d), 0);
		for (unsigned i = 0; i < 5; i++) {
			v[i] = (struct vcpu){ .domain = d, .id = i };
			d->vcpus[i] = &v[i];
		}
		for (unsigned i = 0, n = 0; i < CPUS; i++) {
			u32 id = cpu[i].apic_id - (trusted ? 0 : 0x100);

			if (!cpu_set_has(&own, i))
				continue;
			assert_int_equal(vlapic_id(&v[n]), id);
			assert_ptr_equal(vlapic_find(d, id), &v[n++]);
			assert_null(vlapic_find(d, id + 0x20));
			assert_null(vlapic_find(d, id + 0x100000));
		}
		d->nr_vcpus = 1;	/* the others are not made yet */
		assert_null(vlapic_find(d, vlapic_id(&v[4])));
		kfree(d->apic_ids);
		cpu_set_add(&own, 3);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_layout),         TEST(test_guest),        TEST(test_initial),
		TEST(test_memory_shapes),  TEST(test_errors),       TEST(test_acpi),
		TEST(test_machine_layout), TEST(test_machine_hole), TEST(test_acpi_machine),
		TEST(test_acpi_pci),       TEST(test_nodes),        TEST(test_nodes_full),
		TEST(test_one_node),       TEST(test_apic_ids),     TEST(test_tsc_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
