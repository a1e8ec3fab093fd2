/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy modules after linking. common/policy/loader.c */
#pragma once

#include <public/policy.h>

#define MODULE_FILE_MAX (512UL << 10)
#define MODULE_MEM_MAX (512UL << 10)	/* all sections; each group is rounded up to pages */
#define MODULE_SECTIONS 64
#define MODULE_REASON 120
#define BUILD_ID_SIZE 20	/* SHA-1 */

/* Sections are laid out in three groups of whole pages, in this order. */
enum module_group { MODULE_TEXT, MODULE_RODATA, MODULE_DATA, MODULE_GROUPS };

struct module {
	const struct policy_module *desc;	/* in the module, checked */
	char name[32];
	u8 digest[32];				/* SHA-256 of the file */
	u8 build_id[BUILD_ID_SIZE];		/* of its GNU note; zero if it has none */
	u64 base;				/* address of its slot, where it runs */
	u64 group[MODULE_GROUPS];		/* offsets from base */
	u64 size[MODULE_GROUPS];		/* bytes, a multiple of the page size; may be 0 */
};

/* SHA-256, FIPS 180-4. */
struct sha256 {
	size_t done;		/* bytes */
	u32 h[8];
	u8 digest[32];
};
/* Digests some more of the data. s starts zeroed. Returns true when the digest is complete. */
bool sha256_step(struct sha256 *s, const void *data, size_t len);

/* The link of a module in bounded steps. The caller sets the first part, the rest is zero. */
struct module_link {
	const u8 *file;		/* a relocatable ELF file; it does not change */
	size_t len;
	u64 base;		/* the address to link for */
	u8 *to;     /* set once `end` is: room for the result, without another mapping */
	size_t max;		/* the most bytes of the result */
	struct module *m;
	char *reason;		/* MODULE_REASON bytes */

	unsigned stage, item;	/* what is done: stages, and items of the current one */
	u64 done;		/* bytes of the item */
	u64 shoff, syms, desc;
	u64 end;		/* bytes of the result, in whole pages; 0: not known yet */
	unsigned nr_sections, symtab, nr_syms;
	struct module_strings {
		const char *p;
		u64 size;
	} names, symnames;
	u32 at[MODULE_SECTIONS];	/* offset of a loaded section in memory */
	struct sha256 sha;
};
/*
 * Does a step of a link. Returns 0 when the module is linked, -ERESTART when there is more to do,
 * or negative errno with a line in the reason that names the section or symbol. Calls no code of
 * the module. Pure, for unit tests and fuzzing.
 */
int module_link_step(struct module_link *l);

/* Returns the address of an export for modules; 0 if there is none of that name. */
u64 module_export(const char *name);

/* Returns the 20 bytes of this hypervisor's build-id note; NULL if it was linked without one. */
const u8 *module_hypervisor_id(void);
