/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links a policy module: turns a relocatable ELF file for x86-64 (System V ABI chapter 4, AMD64
 * supplement 4.4) into code and data in three groups of pages. The file is not trusted: offsets,
 * sizes, names and indices are checked where they are used, and unknown features are refused.
 */
#include <stdarg.h>

#include <margay/arch.h>
#include <margay/bytes.h>
#include <margay/errno.h>

#include "loader.h"

#define ET_REL 1
#define EM_X86_64 62
#define SHT_NULL 0
#define SHT_PROGBITS 1
#define SHT_SYMTAB 2
#define SHT_STRTAB 3
#define SHT_RELA 4
#define SHT_NOTE 7
#define SHT_NOBITS 8
#define SHT_REL 9
#define SHF_WRITE 1
#define SHF_ALLOC 2
#define SHF_EXECINSTR 4
#define SHF_MERGE 0x10
#define SHF_STRINGS 0x20
#define SHF_INFO_LINK 0x40
#define SHN_UNDEF 0
#define SHN_LORESERVE 0xff00
#define SHN_ABS 0xfff1
#define SHN_COMMON 0xfff2
#define STB_LOCAL 0
#define STT_OBJECT 1
#define STT_SECTION 3
#define NT_GNU_BUILD_ID 3
#define NOTE_ABI 1	/* Margay's: see POLICY_MODULE_NOTE */
#define NOTE_BUILD 2	/* the build-id of the only Margay that may load it */
#define R_X86_64_64 1
#define R_X86_64_PC32 2
#define R_X86_64_PLT32 4
#define R_X86_64_32 10
#define R_X86_64_32S 11
#define R_X86_64_PC64 24

#define PER_CPU_PREFIX ".bss.percpu."	/* of PER_CPU() */
#define PER_CPU_LEN (sizeof(PER_CPU_PREFIX) - 1)
#define MAX_SYMBOLS 4096
#define NOT_LOADED (~0U)

#define EHDR_SIZE 64
#define NHDR_SIZE 12

/* Bounds of a step */
#define STEP_BYTES 16384UL
#define STEP_SYMBOLS 256
#define STEP_RELAS 32
#define NOTES_MAX 4096

/* Elf64_Shdr, Sym, Rela */
struct shdr {
	u32 name, type;
	u64 flags, addr, offset, size;
	u32 link, info;
	u64 align, entsize;
};
struct sym {
	u32 name;
	u8 info, other;
	u16 shndx;
	u64 value, size;
};
struct rela {
	u64 offset;
	u32 type, sym;
	s64 addend;
};
int module_refuse(char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, MODULE_REASON, fmt, ap);
	va_end(ap);
	for (char *p = reason; *p; p++)	/* names come from the file and may reach a terminal */
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -ENOEXEC;
}

#define refuse(l, ...) module_refuse((l)->reason, __VA_ARGS__)

/*
 * Read elements of the file's tables, which may be unaligned. The index must be in bounds. A
 * PER_CPU() section shrinks to this machine's number of CPUs.
 */
static struct shdr section(const struct module_link *l, unsigned i)
{
	struct shdr s;

	memcpy(&s, l->file + l->shoff + i * sizeof(s), sizeof(s));
	if (s.type == SHT_NOBITS && s.name < l->names.size &&
	    strnlen(l->names.p + s.name, PER_CPU_LEN) == PER_CPU_LEN &&
	    !memcmp(l->names.p + s.name, PER_CPU_PREFIX, PER_CPU_LEN))
		s.size = s.size / POLICY_MAX_CPUS * nr_cpus;
	return s;
}

static struct sym symbol(const struct module_link *l, unsigned i)
{
	struct sym s;

	memcpy(&s, l->file + l->syms + i * sizeof(s), sizeof(s));
	return s;
}

static const char *section_name(const struct module_link *l, unsigned i)
{
	return l->names.p + section(l, i).name;
}

static const char *symbol_name(const struct module_link *l, const struct sym *s)
{
	if ((s->info & 15) == STT_SECTION && s->shndx < l->nr_sections)
		return section_name(l, s->shndx);
	return l->symnames.p + s->name;
}

static int read_strings(struct module_link *l, u32 i, struct module_strings *out)
{
	struct shdr s;

	if (i >= l->nr_sections)
		return refuse(l, "there is no section %u for names", i);
	s = section(l, i);
	if (s.type != SHT_STRTAB || s.offset > l->len || s.size > l->len - s.offset || !s.size ||
	    l->file[s.offset + s.size - 1])
		return refuse(l, "section %u is not a string table", i);
	*out = (struct module_strings){ (const char *)l->file + s.offset, s.size };
	return 0;
}

static int read_header(struct module_link *l)
{
	const u8 *h = l->file;

	memset(l->m, 0, sizeof(*l->m));
	l->m->base = l->base;
	if (l->len > MODULE_FILE_MAX)
		return refuse(l, "the file has more than %lu bytes", MODULE_FILE_MAX);
	if (l->len < EHDR_SIZE)
		return refuse(l, "not an ELF file: too short");
	if (memcmp(h, "\177ELF\2\1", 6))
		return refuse(l, "not a little-endian ELF file of 64 bits");
	if (get_u16(h + 16) != ET_REL || get_u16(h + 18) != EM_X86_64)
		return refuse(l, "not a relocatable object for x86-64");
	l->shoff = get_u64(h + 40);
	l->nr_sections = get_u16(h + 60);
	if (get_u16(h + 58) != sizeof(struct shdr) || !l->nr_sections ||
	    l->nr_sections > MODULE_SECTIONS)
		return refuse(l, "%u sections of %u bytes; expected 1 to %u of 64", l->nr_sections,
			      get_u16(h + 58), MODULE_SECTIONS);
	if (l->shoff > l->len || l->nr_sections * sizeof(struct shdr) > l->len - l->shoff)
		return refuse(l, "the section headers lie beyond the end of the file");
	return read_strings(l, get_u16(h + 62), &l->names);
}

static int read_symtab(struct module_link *l, unsigned i, const struct shdr *s)
{
	if (l->symtab)
		return refuse(l, "section %s: a second symbol table", section_name(l, i));
	if (s->entsize != sizeof(struct sym) || s->size % sizeof(struct sym) ||
	    s->size / sizeof(struct sym) > MAX_SYMBOLS)
		return refuse(l, "section %s: not a table of at most %u symbols",
			      section_name(l, i), MAX_SYMBOLS);
	l->symtab = i;
	l->syms = s->offset;
	l->nr_syms = (unsigned)(s->size / sizeof(struct sym));
	return read_strings(l, s->link, &l->symnames);
}

static int check_loaded(struct module_link *l, const char *name, const struct shdr *s)
{
	if (s->type != SHT_PROGBITS && s->type != SHT_NOBITS && s->type != SHT_NOTE)
		return refuse(l, "section %s: modules have no sections of type %#x", name, s->type);
	if ((s->flags & SHF_WRITE) && (s->flags & SHF_EXECINSTR))
		return refuse(l, "section %s is writable and executable", name);
	if (s->flags &
	    ~(u64)(SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_MERGE | SHF_STRINGS | SHF_INFO_LINK))
		return refuse(l, "section %s: unknown flags %#lx", name, (unsigned long)s->flags);
	if (s->align > PAGE_SIZE || (s->align & (s->align - 1)))
		return refuse(l, "section %s: alignment of %#lx", name, (unsigned long)s->align);
	return 0;
}

static int read_sections(struct module_link *l)
{
	int rc = 0;

	for (unsigned i = 0; i < l->nr_sections && !rc; i++) {
		struct shdr s = section(l, i);

		if (s.name >= l->names.size)
			return refuse(l, "section %u: its name is out of range", i);
		if (s.type != SHT_NULL && s.type != SHT_NOBITS &&
		    (s.offset > l->len || s.size > l->len - s.offset))
			return refuse(l, "section %s lies beyond the end of the file",
				      section_name(l, i));
		if (s.flags & SHF_ALLOC)
			rc = check_loaded(l, section_name(l, i), &s);
		else if (s.type == SHT_SYMTAB)
			rc = read_symtab(l, i, &s);
	}
	if (!rc && !l->symtab)
		rc = refuse(l, "there is no symbol table");
	return rc;
}

static enum module_group group_of(const struct shdr *s)
{
	if (s->flags & SHF_EXECINSTR)
		return MODULE_TEXT;
	return s->flags & SHF_WRITE ? MODULE_DATA : MODULE_RODATA;
}

static int lay_out_sections(struct module_link *l)
{
	u64 end = 0, max = min(l->max, MODULE_MEM_MAX);

	memset(l->at, 0xff, sizeof(l->at));
	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		l->m->group[g] = end;
		for (unsigned i = 0; i < l->nr_sections; i++) {
			struct shdr s = section(l, i);

			if (!(s.flags & SHF_ALLOC) || group_of(&s) != g)
				continue;
			end = ALIGN_UP(end, max(s.align, 1UL));
			if (end > max || s.size > max - end)
				return refuse(l, "section %s: more than %lu bytes of memory",
					      section_name(l, i), (unsigned long)max);
			l->at[i] = (u32)end;
			end += s.size;
		}
		end = ALIGN_UP(end, PAGE_SIZE);
		if (end > max)
			return refuse(l, "more than %lu bytes of memory", (unsigned long)max);
		l->m->size[g] = end - l->m->group[g];
	}
	l->end = end;
	return 0;
}

/* Fills pages of code with breakpoints, others with zeros. */
static int fill_groups(struct module_link *l)
{
	u64 text = l->m->size[MODULE_TEXT], end = l->done < text ? text : l->end;
	u64 n = min(end - l->done, STEP_BYTES);

	memset(l->to + l->done, l->done < text ? 0xcc : 0, n);
	l->done += n;
	return l->done < l->end ? -ERESTART : 0;
}

static int copy_sections(struct module_link *l)
{
	struct shdr s = section(l, l->item);
	bool loaded = l->at[l->item] != NOT_LOADED;
	u64 n = loaded ? min(s.size - l->done, STEP_BYTES) : 0;

	if (n && s.type != SHT_NOBITS)
		memcpy(l->to + l->at[l->item] + l->done, l->file + s.offset + l->done, n);
	else if (n)
		memset(l->to + l->at[l->item] + l->done, 0, n);
	l->done += n;
	if (!loaded || l->done == s.size) {
		l->done = 0;
		l->item++;
	}
	return l->item < l->nr_sections ? -ERESTART : 0;
}

static int read_note(struct module_link *l, const char *name, const u8 *note, const u8 *desc,
		     bool *abi)
{
	u32 namesz = get_u32(note), size = get_u32(note + 4), type = get_u32(note + 8);
	const u8 *who = note + NHDR_SIZE, *ours = module_hypervisor_id();

	if (namesz == 4 && !memcmp(who, "GNU", 4) && type == NT_GNU_BUILD_ID)
		memcpy(l->m->build_id, desc, min(size, (u32)sizeof(l->m->build_id)));
	if (namesz != 7 || memcmp(who, "Margay", 7))
		return 0;
	if (type == NOTE_ABI && size == 4) {
		if (get_u32(desc) != POLICY_ABI)
			return refuse(l, "section %s: built for policy ABI %u, this is %u", name,
				      get_u32(desc), POLICY_ABI);
		*abi = true;
	} else if (type == NOTE_BUILD && size == 20) {
		if (!ours || memcmp(ours, desc, 20))
			return refuse(l, "section %s: built for another build of Margay", name);
	} else {
		return refuse(l, "section %s: unknown note %u of %u bytes", name, type, size);
	}
	return 0;
}

static int read_notes(struct module_link *l)
{
	bool abi = false;
	u64 total = 0;
	int rc = 0;

	for (unsigned i = 0; i < l->nr_sections && !rc; i++) {
		struct shdr s = section(l, i);
		u64 at = 0, desc, end;

		if (l->at[i] == NOT_LOADED || s.type != SHT_NOTE)
			continue;
		total += s.size;
		if (total > NOTES_MAX)
			return refuse(l, "section %s: more than %u bytes of notes",
				      section_name(l, i), NOTES_MAX);
		for (; at < s.size && !rc; at = end) {
			const u8 *note = l->file + s.offset + at;

			if (s.size - at < NHDR_SIZE)
				return refuse(l, "section %s: a broken note", section_name(l, i));
			desc = NHDR_SIZE + ALIGN_UP((u64)get_u32(note), 4);
			end = at + desc + ALIGN_UP((u64)get_u32(note + 4), 4);
			if (end > s.size)
				return refuse(l, "section %s: a broken note", section_name(l, i));
			rc = read_note(l, section_name(l, i), note, note + desc, &abi);
		}
	}
	if (!rc && !abi)
		rc = refuse(l, "no note with the policy ABI (.note.margay)");
	return rc;
}

/* Checks the name of symbol i. Finds the address of the module's description. */
static int read_symbol(struct module_link *l, unsigned i)
{
	struct sym s = symbol(l, i);

	if (s.name >= l->symnames.size)
		return refuse(l, "symbol %u: its name is out of range", i);
	if (s.shndx == SHN_COMMON)
		return refuse(l, "symbol %s is a common one (compile with -fno-common)",
			      symbol_name(l, &s));
	if (s.info >> 4 == STB_LOCAL || strcmp(l->symnames.p + s.name, "policy_module"))
		return 0;
	if ((s.info & 15) != STT_OBJECT || s.shndx >= l->nr_sections ||
	    l->at[s.shndx] == NOT_LOADED || s.size < sizeof(struct policy_module))
		return refuse(l, "symbol policy_module is not a struct policy_module");
	l->desc = l->base + l->at[s.shndx] + s.value;
	return 0;
}

static int read_symbols(struct module_link *l)
{
	int rc = 0;

	for (unsigned i = 0; i < STEP_SYMBOLS && l->item < l->nr_syms && !rc; i++)
		rc = read_symbol(l, l->item++);
	if (!rc && l->item < l->nr_syms)
		return -ERESTART;
	if (!rc && !l->desc)
		rc = refuse(l, "there is no symbol policy_module");
	return rc;
}

static int resolve(struct module_link *l, u32 i, u64 *value)
{
	struct sym s = symbol(l, i);
	const char *name = symbol_name(l, &s);

	if (s.shndx == SHN_UNDEF) {
		*value = *name ? module_export(name) : 0;
		return *value ? 0 : refuse(l, "symbol %s is not exported to modules", name);
	}
	if (s.shndx == SHN_ABS)
		return refuse(l, "symbol %s is an absolute address", name);
	if (s.shndx >= l->nr_sections || (s.info & 15) > STT_SECTION)
		return refuse(l, "symbol %s has a type that modules cannot have", name);
	if (l->at[s.shndx] == NOT_LOADED)
		return refuse(l, "symbol %s is in section %s, which is not loaded", name,
			      section_name(l, s.shndx));
	if (s.value > section(l, s.shndx).size)
		return refuse(l, "symbol %s lies outside of section %s", name,
			      section_name(l, s.shndx));
	*value = l->base + l->at[s.shndx] + s.value;
	return 0;
}

/* Applies one relocation, at offset r->offset of section t. AMD64 supplement, table 4.9. */
static int relocate(struct module_link *l, unsigned t, const struct rela *r)
{
	bool wide = r->type == R_X86_64_64 || r->type == R_X86_64_PC64, bad;
	u64 size = section(l, t).size, value;
	s64 relative;
	int rc;

	if (r->offset > size || size - r->offset < (wide ? 8 : 4))
		return refuse(l, "section %s: a relocation at %#lx, outside of it",
			      section_name(l, t), (unsigned long)r->offset);
	if (r->sym >= l->nr_syms)
		return refuse(l, "section %s: a relocation to symbol %u, which does not exist",
			      section_name(l, t), r->sym);
	rc = resolve(l, r->sym, &value);
	if (rc)
		return rc;
	bad = __builtin_add_overflow(value, r->addend, &value);
	switch (r->type) {
	case R_X86_64_64:
		break;
	case R_X86_64_32:
		bad |= value != (u32)value;
		break;
	case R_X86_64_32S:
		bad |= (s64)value != (s32)value;
		break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_PC64:
		bad |= __builtin_sub_overflow(value, l->base + l->at[t] + r->offset, &relative);
		bad |= !wide && relative != (s32)relative;
		value = (u64)relative;
		break;
	default:
		return refuse(l, "section %s: a relocation of unknown type %u", section_name(l, t),
			      r->type);
	}
	if (bad) {
		struct sym s = symbol(l, r->sym);

		return refuse(l, "section %s: symbol %s is out of reach at %#lx",
			      section_name(l, t), symbol_name(l, &s), (unsigned long)r->offset);
	}
	memcpy(l->to + l->at[t] + r->offset, &value, wide ? 8 : 4);
	return 0;
}

/* Applies the next relocations of section s. */
static int relocate_some(struct module_link *l, const struct shdr *s)
{
	struct rela r;
	int rc = 0;

	if (s->info >= l->nr_sections)
		return refuse(l, "section %s: for section %u, which does not exist",
			      section_name(l, l->item), s->info);
	if (l->at[s->info] == NOT_LOADED) {
		l->done = s->size;
		return 0;
	}
	if (s->type != SHT_RELA || s->entsize != sizeof(r) || s->size % sizeof(r) ||
	    s->link != l->symtab)
		return refuse(l, "section %s: not a table of relocations with addends",
			      section_name(l, l->item));
	for (unsigned i = 0; i < STEP_RELAS && l->done < s->size && !rc; i++) {
		memcpy(&r, l->file + s->offset + l->done, sizeof(r));
		rc = relocate(l, s->info, &r);
		l->done += sizeof(r);
	}
	return rc;
}

static int relocate_all(struct module_link *l)
{
	struct shdr s = section(l, l->item);
	bool relocates = s.type == SHT_RELA || s.type == SHT_REL;
	int rc = relocates ? relocate_some(l, &s) : 0;

	if (rc)
		return rc;
	if (!relocates || l->done == s.size) {
		l->done = 0;
		l->item++;
	}
	return l->item < l->nr_sections ? -ERESTART : 0;
}

static int check(struct module_link *l)
{
	return module_check(l->to, l->desc, l->m, l->reason);
}

static int digest(struct module_link *l)
{
	if (!sha256_step(&l->sha, l->file, l->len))
		return -ERESTART;
	memcpy(l->m->digest, l->sha.digest, sizeof(l->m->digest));
	return 0;
}

int module_link_step(struct module_link *l)
{
	static int (*const stages[])(struct module_link *l) = {
		read_header, read_sections, lay_out_sections, fill_groups, copy_sections,
		read_notes, read_symbols, relocate_all, check, digest,
	};
	int rc = stages[l->stage](l);

	if (rc)
		return rc;
	l->item = 0;
	l->done = 0;
	return ++l->stage < ARRAY_SIZE(stages) ? -ERESTART : 0;
}
