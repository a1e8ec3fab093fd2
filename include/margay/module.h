/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy modules after linking. common/policy/loader.c */
#pragma once

#include <public/policy.h>

#define MODULE_FILE_MAX (1UL << 20)
#define MODULE_MEM_MAX (1UL << 20)	/* all sections; each group is rounded up to pages */
#define MODULE_REASON 120

/* Sections are laid out in three groups of whole pages, in this order. */
enum module_group { MODULE_TEXT, MODULE_RODATA, MODULE_DATA, MODULE_GROUPS };

struct module {
	const struct policy_module *desc;	/* in the module, checked */
	char name[32];
	u8 digest[32];				/* SHA-256 of the file */
	u8 build_id[20];			/* of its GNU note; zero if it has none */
	u64 base;				/* address of its slot, where it runs */
	u64 group[MODULE_GROUPS];		/* offsets from base */
	u64 size[MODULE_GROUPS];		/* bytes, a multiple of the page size; may be 0 */
};

/*
 * Links the relocatable ELF file of len bytes at file (not modified) for address base. Writes the
 * result to `to`, which has room for max bytes and has no other mapping yet. Returns 0, or negative
 * errno with a line in reason (MODULE_REASON bytes) that names the section or symbol. Calls no code
 * of the module. Pure, for unit tests and fuzzing.
 */
int module_link(const void *file, size_t len, u64 base, u8 *to, size_t max, struct module *m,
		char *reason);

/* Returns the address of an export for modules; 0 if there is none of that name. */
u64 module_export(const char *name);

/* Returns the 20 bytes of this hypervisor's build-id note; NULL if it was linked without one. */
const u8 *module_hypervisor_id(void);

/* SHA-256, FIPS 180-4. */
void sha256(const void *data, size_t len, u8 digest[32]);
