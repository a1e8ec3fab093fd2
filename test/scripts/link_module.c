/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's module loader as a program, for tests. Prints each file's module name or its refusal. */
#include <stdio.h>
#include <string.h>

#include <margay/arch.h>
#include <margay/module.h>

#include "../unit/link_whole.h"

#define BASE 0xffffffffc0000000UL

unsigned nr_cpus = 4;

u64 module_export(const char *name)
{
	static const char *const names[] = { "policy_now", "policy_resched", "policy_log",
					     "policy_exit_name", "memcpy", "memset", "memcmp" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name))
			return 0xffffffff80001000UL + 16 * i;
	return 0;
}

void arch_poll_irqs(void)
{
}

/* The build-id of the test's replacement for Margay. */
const u8 *module_hypervisor_id(void)
{
	return (const u8 *)"ABCDEFGHIJKLMNOPQRST";
}

int main(int argc, char **argv)
{
	static u8 file[MODULE_FILE_MAX], mem[MODULE_MEM_MAX];
	char reason[MODULE_REASON];
	struct module m;

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t size = f ? fread(file, 1, sizeof(file), f) : 0;

		if (f)
			fclose(f);
		if (module_link(file, size, BASE, mem, sizeof(mem), &m, reason))
			printf("refused: %s\n", reason);
		else
			printf("%s\n", m.name);
	}
	return 0;
}
