/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the hvm_start_info at the entry of a guest, its memory map and the ACPI root. */
#include "guest.h"

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const struct hvm_memmap_table_entry *entry_of(uint64_t addr)
{
	for (unsigned int i = 0; i < memory_map_entries; i++)
		if (addr >= memory_map[i].addr && addr - memory_map[i].addr < memory_map[i].size)
			return &memory_map[i];
	return NULL;
}

static void check_map(void)
{
	for (unsigned int i = 0; i < memory_map_entries; i++) {
		const struct hvm_memmap_table_entry *e = &memory_map[i];

		CHECK(e->size && e->addr + e->size > e->addr, "map entry %u: %lx + %lx", i, e->addr,
		      e->size);
		CHECK(e->type >= XEN_HVM_MEMMAP_TYPE_RAM && e->type <= XEN_HVM_MEMMAP_TYPE_PMEM,
		      "map entry %u has type %u", i, e->type);
		if (i)
			CHECK(e->addr >= e[-1].addr + e[-1].size,
			      "map entries %u and %u overlap or are not in order", i - 1, i);
	}
	CHECK(ram_bytes() >= 16ul << 20, "only %lu bytes of RAM", ram_bytes());
}

/* Checks that both sources of the map agree. */
static void check_hypercall_map(void)
{
	static struct e820_entry e820[MAX_MAP_ENTRIES];
	struct xen_memory_map arg = { .nr_entries = MAX_MAP_ENTRIES };

	set_xen_guest_handle(arg.buffer, e820);
	CHECK_RET(memory_op(XENMEM_memory_map, &arg), 0);
	CHECK(arg.nr_entries == memory_map_entries, "%u entries by hypercall, %u in start info",
	      arg.nr_entries, memory_map_entries);
	for (unsigned int i = 0; i < arg.nr_entries; i++)
		CHECK(e820[i].addr == memory_map[i].addr && e820[i].size == memory_map[i].size &&
			      e820[i].type == memory_map[i].type,
		      "map entry %u differs", i);
}

int main(void)
{
	const struct hvm_modlist_entry *mod = (const void *)start_info->modlist_paddr;
	const struct hvm_memmap_table_entry *e;
	const uint8_t *rsdp = (const uint8_t *)start_info->rsdp_paddr;
	extern uint8_t image_start[];

	CHECK(start_info->magic == XEN_HVM_START_MAGIC_VALUE, "magic %x", start_info->magic);
	CHECK(start_info->version <= 1, "version %u", start_info->version);
	if (start_info->flags & SIF_INITDOMAIN)
		CHECK(start_info->flags & SIF_PRIVILEGED, "initial domain, flags %x",
		      start_info->flags);
	CHECK(strlen(cmdline()) < PAGE_SIZE, "command line has no end");
	CHECK(!((uintptr_t)start_info & 3), "start info at %p", (const void *)start_info);

	check_map();
	check_hypercall_map();
	e = entry_of((uintptr_t)image_start);
	CHECK(e && e->type == XEN_HVM_MEMMAP_TYPE_RAM, "this image is not in RAM");
	e = entry_of((uintptr_t)start_info);
	CHECK(!e || e->type <= XEN_HVM_MEMMAP_TYPE_ACPI, "start info at %p is in memory of type %u",
	      (const void *)start_info, e ? e->type : 0);
	for (unsigned int i = 0; i < start_info->nr_modules; i++) {
		e = entry_of(mod[i].paddr);
		CHECK(e && e->type == XEN_HVM_MEMMAP_TYPE_RAM && mod[i].size &&
			      mod[i].paddr + mod[i].size <= e->addr + e->size,
		      "module %u at %lx + %lx is not in RAM", i, mod[i].paddr, mod[i].size);
	}

	CHECK(rsdp && !memcmp(rsdp, "RSD PTR ", 8), "no RSDP at %p", (const void *)rsdp);
	CHECK(!sum(rsdp, 20), "RSDP checksum");
	CHECK(rsdp[15] >= 2 && !sum(rsdp, 36), "extended RSDP checksum");
	CHECK(cpu_count() >= 1, "no vCPU in the MADT");
	pass();
}
