/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds a PVH guest: RAM from 0 to at most 3 GiB and from 4 GiB up, the kernel's segments at the
 * addresses they ask for, the initrd as high as possible below 4 GiB, and above it the start info
 * and the pages that the memory map reserves (build.h). vCPU 0 starts in 32-bit flat mode with EBX
 * pointing to the start info. The control domain that has the machine's devices has RAM where the
 * machine has it, and the machine's memory map beside it. The build runs in bounded steps, one guest
 * at a time. On an error the caller destroys the domain. xen/arch-x86/hvm/start_info.h.
 */
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/elf.h>
#include <margay/guest_copy.h>
#include <x86/build.h>
#include <x86/features.h>
#include <x86/regs.h>

#define MIN_MEM (1UL << 20)
#define MAX_CMDLINE (64UL << 10)

/* Segment attributes of vcpu_hvm_context: type, S, P in bits 0-7, D/B bit 10, G bit 11. */
#define AR_CODE32 0xc9b
#define AR_DATA32 0xc93
#define AR_TSS32 0x8b
#define TSS_LIMIT 0x67

/* The contents of start_info's page. */
struct start_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry mod;
	struct hvm_memmap_table_entry map[MEMORY_MAP_MAX];
};

/* Places the builder's data below the end of the RAM from base to end that the kernel lies in. */
static int place_data(struct guest_layout *l, gpaddr_t base, gpaddr_t end, size_t cmdline_len)
{
	if (end < base + MIN_MEM || cmdline_len >= MAX_CMDLINE)
		return -EINVAL;
	l->base = base;
	l->top = min(end, GUEST_BOOT_TOP);
	l->console = l->top - PAGE_SIZE;
	l->acpi = l->console - l->acpi_size;
	l->start_info = l->acpi - PAGE_SIZE;
	l->cmdline = l->start_info - ALIGN_UP(cmdline_len + 1, PAGE_SIZE);
	return 0;
}

int guest_layout(u64 mem, size_t cmdline_len, const struct domain *d, struct guest_layout *l)
{
	if (!IS_ALIGNED(mem, PAGE_SIZE))
		return -EINVAL;
	l->nr_ram = mem > GUEST_LOW_TOP ? 2 : 1;
	l->ram[0] = (struct e820_entry){ 0, min(mem, GUEST_LOW_TOP), MEM_RAM };
	l->ram[1] = (struct e820_entry){ GUEST_HIGH_BASE, mem - l->ram[0].size, MEM_RAM };
	l->acpi_size = ALIGN_UP(acpi_size(d), PAGE_SIZE);
	return place_data(l, 0, l->ram[0].size, cmdline_len);
}

/*
 * Linux, before it knows where devices' BARs are, takes a hole of its memory map for the pages of
 * other domains, aligned to HOLE. Returns the last such one of the machine's RAM below 4 GiB that
 * the control domain can do without, or 0: such a one is not needed, or there is none.
 */
#define HOLE (128UL << 20)
static gpaddr_t hole_for_linux(u64 mem)
{
	gpaddr_t hole = 0;
	u64 total = 0;

	for (unsigned i = 0; i < boot_info.nr_mem; i++) {
		const struct mem_range *m = &boot_info.mem[i];
		gpaddr_t end = ALIGN_DOWN(min(m->base + m->size, GUEST_HIGH_BASE), HOLE);

		if (m->type != MEM_RAM)
			continue;
		total += m->size;
		if (end >= m->base + HOLE)
			hole = max(hole, end - HOLE);
	}
	return total >= mem + HOLE ? hole : 0;
}

/* Adds RAM from base to end, at most *mem, of which it takes away what it adds. */
static int take_ram(struct guest_layout *l, gpaddr_t base, gpaddr_t end, u64 *mem)
{
	if (end <= base || !*mem)
		return 0;
	if (l->nr_ram == ARRAY_SIZE(l->ram))
		return -E2BIG;
	l->ram[l->nr_ram] = (struct e820_entry){ base, min(end - base, *mem), MEM_RAM };
	*mem -= l->ram[l->nr_ram++].size;
	return 0;
}

int machine_layout(u64 mem, size_t cmdline_len, const struct domain *d, struct guest_layout *l)
{
	const struct e820_entry *best = NULL;
	gpaddr_t hole = hole_for_linux(mem);
	int rc = 0;

	l->nr_ram = 0;
	for (unsigned i = 0; i < boot_info.nr_mem && !rc; i++) {
		const struct mem_range *m = &boot_info.mem[i];
		gpaddr_t base = ALIGN_UP(m->base, PAGE_SIZE);
		gpaddr_t end = ALIGN_DOWN(m->base + m->size, PAGE_SIZE);

		if (m->type != MEM_RAM)
			continue;
		if (hole && hole >= base && hole < end) {
			rc = take_ram(l, base, hole, &mem);
			base = hole + HOLE;
		}
		if (!rc)
			rc = take_ram(l, base, end, &mem);
	}
	if (rc)
		return rc;
	for (unsigned i = 0; i < l->nr_ram; i++)
		if (l->ram[i].addr < GUEST_BOOT_TOP && (!best || l->ram[i].size > best->size))
			best = &l->ram[i];
	if (mem || !best)
		return -EINVAL;
	l->acpi_size = ALIGN_UP(acpi_machine_size(d), PAGE_SIZE);
	return place_data(l, best->addr, best->addr + best->size, cmdline_len);
}

/* Adds an entry in the order of addresses, if it is not empty and there is room. */
static unsigned add_entry(struct e820_entry *map, unsigned n, u64 addr, u64 end, u32 type)
{
	unsigned i = n;

	if (addr == end || n == MEMORY_MAP_MAX)
		return n;
	for (; i && map[i - 1].addr > addr; i--)
		map[i] = map[i - 1];
	map[i] = (struct e820_entry){ addr, end - addr, type };
	return n + 1;
}

unsigned int guest_memory_map(const struct guest_layout *l, struct e820_entry *map)
{
	unsigned n = 0;

	for (const struct e820_entry *r = l->ram; r < l->ram + l->nr_ram; r++) {
		if (r->addr != l->base) {
			n = add_entry(map, n, r->addr, r->addr + r->size, MEM_RAM);
			continue;
		}
		n = add_entry(map, n, r->addr, l->acpi, MEM_RAM);
		n = add_entry(map, n, l->acpi, l->console, MEM_ACPI);
		n = add_entry(map, n, l->console, l->top, MEM_RESERVED);
		n = add_entry(map, n, l->top, r->addr + r->size, MEM_RAM);
	}
	return n;
}

unsigned machine_memory_map(const struct guest_layout *l, struct e820_entry *map)
{
	unsigned n = guest_memory_map(l, map);

	for (unsigned i = 0; i < boot_info.nr_mem; i++) {
		const struct mem_range *m = &boot_info.mem[i];

		if (m->type != MEM_RAM && m->type != MEM_UNCACHED)
			n = add_entry(map, n, m->base, m->base + m->size, m->type);
	}
	if (n == MEMORY_MAP_MAX)
		pr_warn("memory map: more than %u ranges: a guest does not know the others\n", n);
	return n;
}

#define COPY_STEP (256UL << 10)

/* The guest being built, and its progress. */
static struct {
	struct guest_layout l;
	struct elf_image elf;
	struct guest_numa numa;
	unsigned segment, range;
	u64 done;	/* bytes done of the current range of RAM, segment or initrd */
	struct hvm_modlist_entry initrd;
	char tsc_rate[32]; /* a word that precedes the kernel's command line, or empty */
} now_building;

/*
 * Allocates a block, as large as *order if there is one: from that node if it has 2 MiB, else from any.
 */
static int take_block(struct domain *d, u8 node, unsigned *order, mfn_t *mfn)
{
	unsigned o = *order;
	int rc = -ENOMEM;

	if (node != NODE_ANY) {
		while ((rc = dom_alloc_on(d, node, o, mfn)) == -ENOMEM && o > 9)
			o -= 9;
		if (!rc)
			*order = o;
	}
	if (rc != -ENOMEM)
		return rc;
	while ((rc = dom_alloc(d, *order, mfn)) == -ENOMEM && *order)
		*order -= 9;
	return rc;
}

/* Adds one part of the RAM in [base, base + size): the largest mapping that fits. */
static int add_ram(struct domain *d, gpaddr_t base, u64 size)
{
	gpaddr_t gpa = base + now_building.done, end = base + size;
	unsigned order = x86.nested_page1g ? 18 : 9;
	u64 left;
	u8 node = numa_wanted(&now_building.numa, d->tot_pages << PAGE_SHIFT, &left);
	mfn_t mfn;
	int rc;

	if (gpa == end)
		return 0;
	left = min(left, end - gpa);
	while (order && (!IS_ALIGNED(gpa, PAGE_SIZE << order) || left < PAGE_SIZE << order))
		order -= 9;
	rc = take_block(d, node, &order, &mfn);
	if (rc == -EAGAIN)
		return -ERESTART;
	if (rc) {
		pr_err("guest %s: no memory after %lu of %lu MiB%s\n", d->name,
		       d->tot_pages >> (20 - PAGE_SHIFT), d->max_pages >> (20 - PAGE_SHIFT),
		       rc == -E2BIG ? ", its limit" : "");
		return rc;
	}
	rc = p2m_map(d, gpa >> PAGE_SHIFT, mfn, order, P2M_RAM);
	if (rc) {
		for (u64 i = 0; i < 1UL << order; i += CHUNK_PAGES)
			dom_free(d, mfn + i, min(order, 9U));
		pr_err("guest %s: no memory for its page tables\n", d->name);
		return rc;
	}
	numa_add(&now_building.numa, gpa, PAGE_SIZE << order, mfn);
	now_building.done += PAGE_SIZE << order;
	return -ERESTART;
}

/* Copies the next part of the n bytes at src to gpa. */
static int copy_step(struct domain *d, gpaddr_t gpa, const u8 *src, u64 n)
{
	u64 done = now_building.done, part = min(n - done, COPY_STEP);
	int rc;

	if (done == n)
		return 0;
	rc = copy_to_gpa(d, gpa + done, src + done, part);
	now_building.done += part;
	return rc ? rc : -ERESTART;
}

static int build_begin(struct domain *d, const struct boot_guest *bg)
{
	struct guest_layout *l = &now_building.l;
	struct elf_image *elf = &now_building.elf;
	size_t cmdline_len = strlen(bg->spec.cmdline);
	const struct e820_entry *last;
	int rc;

	/* Linux has no PIT here, and measures the TSC too briefly by the PM timer. */
	now_building.tsc_rate[0] = 0;
	if (d->native)
		cmdline_len += (size_t)snprintf(now_building.tsc_rate,
						sizeof(now_building.tsc_rate), "tsc_early_khz=%lu ",
						x86.tsc_hz / 1000);
	rc = (d->hardware ? machine_layout : guest_layout)(bg->spec.mem, cmdline_len, d, l);
	last = &l->ram[rc ? 0 : l->nr_ram - 1];
	if (rc || (last->addr + last->size - 1) >> x86.phys_bits) {
		pr_err("%s:\n  cannot have %lu MiB of memory and a command line of %lu bytes\n",
		       bg->spec.label, bg->spec.mem >> 20, cmdline_len);
		return -EINVAL;
	}
	rc = elf_parse(bg->image, bg->image_size, elf);
	if (rc) {
		pr_err("%s: its kernel cannot be started:\n  %s\n", bg->spec.label, elf->why);
		return rc;
	}
	for (unsigned i = 0; i < elf->nr_segs; i++) {
		const struct elf_segment *s = &elf->seg[i];

		if (s->memsz > l->cmdline || s->paddr > l->cmdline - s->memsz ||
		    s->paddr < l->base) {
			pr_err("%s:\n  its kernel wants %lx to %lx, its memory is %lx to %lx\n",
			       bg->spec.label, s->paddr, s->paddr + s->memsz, l->base, l->cmdline);
			return -E2BIG;
		}
	}
	numa_begin(&now_building.numa, d, bg->spec.mem);
	now_building.initrd = (struct hvm_modlist_entry){ 0 };
	now_building.segment = now_building.range = 0;
	now_building.done = 0;
	if (!bg->initrd_size)
		return 0;
	if (bg->initrd_size > l->cmdline ||
	    l->cmdline - bg->initrd_size < ALIGN_UP(elf->end, PAGE_SIZE)) {
		pr_err("%s: no room for an initrd of %lu MiB in %lu MiB\n", bg->spec.label,
		       ALIGN_UP(bg->initrd_size, 1UL << 20) >> 20, bg->spec.mem >> 20);
		return -E2BIG;
	}
	/* The initrd ends just below the command line. */
	now_building.initrd.paddr = ALIGN_DOWN(l->cmdline - bg->initrd_size, PAGE_SIZE);
	now_building.initrd.size = bg->initrd_size;
	return 0;
}

static int add_all_ram(struct domain *d, const struct boot_guest *bg __unused)
{
	const struct e820_entry *r = &now_building.l.ram[now_building.range];
	int rc = add_ram(d, r->addr, r->size);

	if (rc)
		return rc;
	now_building.done = 0;
	return ++now_building.range < now_building.l.nr_ram ? -ERESTART : 0;
}

/* Copies the kernel's segments. Memory is already zero, so the BSS needs no clearing. */
static int copy_kernel(struct domain *d, const struct boot_guest *bg)
{
	const struct elf_segment *s = &now_building.elf.seg[now_building.segment];
	int rc = copy_step(d, s->paddr, (const u8 *)bg->image + s->offset, s->filesz);

	if (rc)
		return rc;
	now_building.done = 0;
	return ++now_building.segment < now_building.elf.nr_segs ? -ERESTART : 0;
}

static int copy_initrd(struct domain *d, const struct boot_guest *bg)
{
	return copy_step(d, now_building.initrd.paddr, bg->initrd, bg->initrd_size);
}

static int load_acpi(struct domain *d, const struct guest_layout *l, bool pci)
{
	void *tables = kzalloc(l->acpi_size);
	int rc;

	if (!tables)
		return -ENOMEM;
	if (d->hardware)
		acpi_machine_build(tables, l->acpi, d);
	else
		acpi_build(tables, l->acpi, d, pci, &now_building.numa);
	rc = copy_to_gpa(d, l->acpi, tables, l->acpi_size);
	kfree(tables);
	return rc;
}

static int load_start_info(struct domain *d, const struct boot_guest *bg,
			   const struct guest_layout *l, const struct hvm_modlist_entry *mod)
{
	struct start_page sp = { .info = { .magic = XEN_HVM_START_MAGIC_VALUE, .version = 1 } };
	int rc;

	sp.info.cmdline_paddr = l->cmdline;
	sp.info.rsdp_paddr = l->acpi;
	if (bg->spec.initial)
		sp.info.flags = SIF_INITDOMAIN | SIF_PRIVILEGED;
	if (mod->size) {
		sp.mod = *mod;
		sp.info.nr_modules = 1;
		sp.info.modlist_paddr = l->start_info + offsetof(struct start_page, mod);
	}
	d->nr_memory_map = (d->hardware ? machine_memory_map : guest_memory_map)(l, d->memory_map);
	for (unsigned i = 0; i < d->nr_memory_map; i++) {
		const struct e820_entry *e = &d->memory_map[i];

		sp.map[i] = (struct hvm_memmap_table_entry){ e->addr, e->size, e->type, 0 };
	}
	sp.info.memmap_entries = d->nr_memory_map;
	sp.info.memmap_paddr = l->start_info + offsetof(struct start_page, map);
	rc = copy_to_gpa(d, l->cmdline, now_building.tsc_rate, strlen(now_building.tsc_rate));
	rc = rc ? rc :
		  copy_to_gpa(d, l->cmdline + strlen(now_building.tsc_rate), bg->spec.cmdline,
			      strlen(bg->spec.cmdline) + 1);
	return rc ? rc : copy_to_gpa(d, l->start_info, &sp, sizeof(sp));
}

static int start_vcpu0(struct domain *d, u32 entry, gpaddr_t start_info)
{
	struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_32B };
	struct vcpu_hvm_x86_32 *r = &ctx.cpu_regs.x86_32;

	r->eip = entry;
	r->ebx = (u32)start_info;
	r->eflags = 2;
	r->cr0 = CR0_PE | CR0_ET;
	r->cs_limit = r->ds_limit = r->ss_limit = r->es_limit = ~0U;
	r->tr_limit = TSS_LIMIT;
	r->cs_ar = AR_CODE32;
	r->ds_ar = r->ss_ar = r->es_ar = AR_DATA32;
	r->tr_ar = AR_TSS32;
	return arch_vcpu_set_context(d->vcpus[0], &ctx);
}

/* Builds the small parts: tables, the first vCPU's state, the console. */
static int build_end(struct domain *d, const struct boot_guest *bg)
{
	const struct guest_layout *l = &now_building.l;
	int rc = load_acpi(d, l, bg->spec.pci);

	if (!rc)
		rc = load_start_info(d, bg, l, &now_building.initrd);
	if (!rc)
		rc = start_vcpu0(d, now_building.elf.pvh_entry, l->start_info);
	if (rc) {
		pr_err("guest %s: cannot be prepared to start (error %d)\n", d->name, -rc);
		return rc;
	}

	/*
	 * There is no xenstore, so its parameters stay 0. The initial domain uses console_io, as on
	 * Xen.
	 */
	d->hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
	if (!bg->spec.initial)
		d->hvm_params[HVM_PARAM_CONSOLE_PFN] = l->console >> PAGE_SHIFT;
	rc = console_attach(d);
	if (rc)
		pr_err("guest %s: no console (error %d)\n", d->name, -rc);
	return rc;
}

int arch_build_guest(struct domain *d, struct boot_guest *bg)
{
	static int (*const stages[])(struct domain *d, const struct boot_guest *bg) = {
		build_begin, add_all_ram, copy_kernel, copy_initrd, build_end,
	};
	int rc = stages[bg->stage - 1](d, bg);

	if (rc)
		return rc;
	now_building.done = 0;
	return ++bg->stage <= ARRAY_SIZE(stages) ? -ERESTART : 0;
}
