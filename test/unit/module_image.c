/* SPDX-License-Identifier: BSD-2-Clause */
/* The module of module_image.h: an idle policy with one function, data, notes and relocations. */
#include <stdio.h>
#include <string.h>

#include "module_image.h"

#define AT(field) offsetof(struct image, field)

static const char *const section_names[] = {
	"", ".text", ".rodata", ".data", ".bss", ".note.margay", ".note.gnu.build-id", ".rela.text",
	".rela.rodata", ".symtab", ".strtab", ".shstrtab", ".comment",
};

static void section(struct image *f, unsigned i, u32 type, u64 flags, u64 offset, u64 size,
		    u64 align)
{
	f->sh[i].sh_type = type;
	f->sh[i].sh_flags = flags;
	f->sh[i].sh_offset = offset;
	f->sh[i].sh_size = size;
	f->sh[i].sh_addralign = align;
}

static void link_to(struct image *f, unsigned i, u32 link, u32 info, u64 entsize)
{
	f->sh[i].sh_link = link;
	f->sh[i].sh_info = info;
	f->sh[i].sh_entsize = entsize;
}

static void rela(Elf64_Rela *r, u64 offset, u32 type, u32 sym, s64 addend)
{
	*r = (Elf64_Rela){ offset, ELF64_R_INFO(sym, type), addend };
}

static void make_sections(struct image *f)
{
	u32 at = 0;

	section(f, S_TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, AT(text), sizeof(f->text), 16);
	section(f, S_RODATA, SHT_PROGBITS, SHF_ALLOC, AT(rodata), R_SIZE, 32);
	section(f, S_DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, AT(data), sizeof(f->data), 8);
	section(f, S_BSS, SHT_NOBITS, SHF_ALLOC | SHF_WRITE, AT(note), 0x1100, 64);
	section(f, S_NOTE, SHT_NOTE, SHF_ALLOC, AT(note), 24, 4);
	section(f, S_BUILD_ID, SHT_NOTE, SHF_ALLOC, AT(build_id), 36, 4);
	section(f, S_RELA_TEXT, SHT_RELA, SHF_INFO_LINK, AT(rela_text), sizeof(f->rela_text), 8);
	section(f, S_RELA_RODATA, SHT_RELA, SHF_INFO_LINK, AT(rela_rodata), 5 * 24, 8);
	section(f, S_SYMTAB, SHT_SYMTAB, 0, AT(sym), NR_IMAGE_SYMBOLS * sizeof(Elf64_Sym), 8);
	section(f, S_STRTAB, SHT_STRTAB, 0, AT(strings), sizeof(f->strings), 1);
	section(f, S_SHSTRTAB, SHT_STRTAB, 0, AT(names), sizeof(f->names), 1);
	section(f, S_COMMENT, SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, AT(comment), 16, 1);
	link_to(f, S_RELA_TEXT, S_SYMTAB, S_TEXT, sizeof(Elf64_Rela));
	link_to(f, S_RELA_RODATA, S_SYMTAB, S_RODATA, sizeof(Elf64_Rela));
	link_to(f, S_SYMTAB, S_STRTAB, Y_MODULE, sizeof(Elf64_Sym));
	for (unsigned i = 0; i < NR_IMAGE_SECTIONS; i++) {
		f->sh[i].sh_name = at;
		at += sprintf(f->names + at, "%s", section_names[i]) + 1;
	}
}

static void make_symbols(struct image *f)
{
	static const struct {
		const char *name;
		u8 bind, type;
		u16 section;
		u64 value, size;
	} s[NR_IMAGE_SYMBOLS] = {
		{ "", 0, 0, 0, 0, 0 },
		{ "", STB_LOCAL, STT_SECTION, S_TEXT, 0, 0 },
		{ "", STB_LOCAL, STT_SECTION, S_RODATA, 0, 0 },
		{ "", STB_LOCAL, STT_SECTION, S_DATA, 0, 0 },
		{ "", STB_LOCAL, STT_SECTION, S_BSS, 0, 0 },
		{ "decide", STB_LOCAL, STT_FUNC, S_TEXT, 16, 8 },
		{ "policy_module", STB_GLOBAL, STT_OBJECT, S_RODATA, R_MODULE,
		  sizeof(struct policy_module) },
		{ "policy_now", STB_GLOBAL, STT_NOTYPE, SHN_UNDEF, 0, 0 },
	};
	u32 at = 1;

	for (unsigned i = 0; i < NR_IMAGE_SYMBOLS; i++) {
		f->sym[i] = (Elf64_Sym){ 0, ELF64_ST_INFO(s[i].bind, s[i].type), 0, s[i].section,
					 s[i].value, s[i].size };
		if (!*s[i].name)
			continue;
		f->sym[i].st_name = at;
		at += sprintf(f->strings + at, "%s", s[i].name) + 1;
	}
	strcpy(f->strings + at, "extra");	/* for tests that add a symbol */
}

void image_make(struct image *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->e.e_ident, "\177ELF\2\1\1", 7);
	f->e.e_type = ET_REL;
	f->e.e_machine = EM_X86_64;
	f->e.e_shoff = AT(sh);
	f->e.e_shentsize = sizeof(Elf64_Shdr);
	f->e.e_shnum = NR_IMAGE_SECTIONS;
	f->e.e_shstrndx = S_SHSTRTAB;
	memset(f->text, 0x90, sizeof(f->text));
	memset(f->data, 0xda, sizeof(f->data));
	strcpy((char *)f->rodata + R_NAME, "lazy-1");
	strcpy((char *)f->rodata + R_SUMMARY, "halts");
	f->note = (typeof(f->note)){ 7, 4, 1, "Margay", { POLICY_ABI } };
	f->build_id.namesz = 4;
	f->build_id.descsz = 20;
	f->build_id.type = 3;
	memcpy(f->build_id.name, "GNU\0abcdefghijklmnopqrst", 24);
	make_sections(f);
	make_symbols(f);
	rela(&f->rela_text[0], 8, R_X86_64_PC32, Y_BSS, 0x10 - 4);
	rela(&f->rela_text[1], 20, R_X86_64_PLT32, Y_NOW, -4);
	rela(&f->rela_rodata[0], offsetof(struct policy_module, name), R_X86_64_64, Y_RODATA,
	     R_NAME);
	rela(&f->rela_rodata[1], offsetof(struct policy_module, summary), R_X86_64_64, Y_RODATA,
	     R_SUMMARY);
	rela(&f->rela_rodata[2], offsetof(struct policy_module, idle), R_X86_64_64, Y_RODATA,
	     R_IDLE);
	rela(&f->rela_rodata[3], R_IDLE, R_X86_64_64, Y_FUNCTION, 0);
	rela(&f->rela_rodata[4], offsetof(struct policy_module, start), R_X86_64_64, Y_FUNCTION, 4);
}
