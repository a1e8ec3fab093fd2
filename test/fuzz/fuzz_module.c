/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the policy module loader. A module that links must satisfy what the core relies on: groups
 * of whole pages within the memory provided, a valid name, and tables and functions inside the
 * module.
 * fuzz-sources: common/policy/loader.c common/policy/check.c common/policy/sha256.c
 */
#include <margay/arch.h>
#include <margay/types.h>
#include "fuzz.h"
#include "../unit/link_whole.h"

#include <margay/module.h>

void arch_poll_irqs(void)
{
}

#define BASE 0xffffffffc0000000UL
#define MEM 0x20000UL

unsigned nr_cpus = 4;

u64 module_export(const char *name)
{
	if (!strcmp(name, "policy_now") || !strcmp(name, "memset"))
		return 0xffffffff80001000UL;
	return strcmp(name, "policy_resched") ? 0 : 0xffffffff80002000UL;
}

const u8 *module_hypervisor_id(void)
{
	return (const u8 *)"abcdefghijklmnopqrst";
}

static u8 *mem;

static void check_group(const struct module *m, unsigned g, u64 addr, u64 size)
{
	u64 start = BASE + m->group[g];

	CHECK(addr >= start && addr < start + m->size[g] && size <= start + m->size[g] - addr);
}

static u64 word(u64 addr)
{
	u64 v;

	memcpy(&v, mem + (addr - BASE), 8);
	return v;
}

static void check_text(const struct module *m, u64 fn)
{
	check_group(m, MODULE_TEXT, fn, 1);
}

/* Checks a table of nr functions, the first `required` of which must be present. */
static void check_table(const struct module *m, u64 table, unsigned nr, unsigned required)
{
	if (!table)
		return;
	check_group(m, MODULE_RODATA, table, 8 * nr);
	CHECK(table % 8 == 0);
	for (unsigned i = 0; i < nr; i++)
		if (word(table + 8 * i) || i < required)
			check_text(m, word(table + 8 * i));
}

static void check_linked(const struct module *m)
{
	u64 end = 0, desc = (u64)m->desc, summary;

	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		CHECK(m->group[g] == end && m->size[g] % PAGE_SIZE == 0);
		end += m->size[g];
	}
	CHECK(end <= MEM && m->base == BASE);
	CHECK(strlen(m->name) > 0 && strlen(m->name) < sizeof(m->name));
	check_group(m, MODULE_RODATA, desc, sizeof(*m->desc));
	summary = word(desc + offsetof(struct policy_module, summary));
	check_group(m, MODULE_RODATA, summary, 1);
	check_group(m, MODULE_RODATA, summary, strlen((char *)mem + (summary - BASE)) + 1);
	check_table(m, word(desc + offsetof(struct policy_module, sched)), 8, 3);
	check_table(m, word(desc + offsetof(struct policy_module, idle)), 1, 1);
	check_table(m, word(desc + offsetof(struct policy_module, place)), 1, 1);
	check_table(m, word(desc + offsetof(struct policy_module, exit)), 1, 1);
	if (word(desc + offsetof(struct policy_module, start)))
		check_text(m, word(desc + offsetof(struct policy_module, start)));
	if (word(desc + offsetof(struct policy_module, counter)))
		check_text(m, word(desc + offsetof(struct policy_module, counter)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char reason[MODULE_REASON] = "";
	struct module m;

	if (!mem)
		mem = malloc(MEM);
	if (module_link(data, size, BASE, mem, MEM, &m, reason)) {
		CHECK(reason[0] && memchr(reason, 0, sizeof(reason)));
		for (const char *p = reason; *p; p++)
			CHECK(*p >= ' ' && *p <= '~');
	} else {
		check_linked(&m);
	}
	return 0;
}
