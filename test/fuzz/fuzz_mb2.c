/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the multiboot2 parser. Its output must be sorted, whatever the input is.
 * fuzz-sources: arch/x86/boot/multiboot2.c common/boot/memmap.c arch/x86/mm/mtrr.c
 */
#include "fuzz.h"

#include <margay/boot.h>

static struct boot_info bi;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int i;
	size_t len = 0;

	host_log_clear();
	if (mb2_parse(data, size, &bi))
		return 0;
	CHECK(bi.nr_mem && bi.nr_mem <= 2048 && bi.nr_mods <= BOOT_MAX_MODULES);
	for (i = 0; i < bi.nr_mem; i++) {
		const struct mem_range *r = &bi.mem[i];

		CHECK(r->size && r->size <= (1UL << 52) - r->base);
		CHECK(!i || r[-1].base + r[-1].size <= r->base);
	}
	len = strlen(bi.cmdline);
	for (i = 0; i < bi.nr_mods; i++) {
		const struct boot_module *m = &bi.mods[i];

		len += strlen(m->args);
		CHECK(m->bad || mem_is_ram(bi.mem, bi.nr_mem, m->start, m->size));
	}
	CHECK(len <= size);
	if (bi.rsdp)
		CHECK((const uint8_t *)bi.rsdp + bi.rsdp_size <= data + size);

	boot_protect(&bi, 0x100000, 0x200000, "Margay");
	for (i = 0; i < bi.nr_mods; i++) {
		const struct boot_module *m = &bi.mods[i];

		CHECK(m->bad || m->start >= 0x300000 || m->start + m->size <= 0x100000);
	}
	return 0;
}
