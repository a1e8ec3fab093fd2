/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module loader: the result for a good module, every relocation, and every reason for refusal.
 * test_module_real.c has modules that the compiler made.
 * unit-sources: common/policy/loader.c common/policy/check.c common/policy/sha256.c test/unit/module_image.c
 */
#include "host.h"

#include "link_whole.h"
#include "module_image.h"

#include <margay/errno.h>

#define NOW_OFFSET 0x10000000UL
#define HIGH 0xffffffffc0000000UL

static struct image f;
static size_t file_size;
static u64 base;
static u8 *mem;
static size_t mem_size;
static struct module m;
static char reason[MODULE_REASON];
static const u8 *our_id;

unsigned nr_cpus = 4;

u64 module_export(const char *name)
{
	return strcmp(name, "policy_now") ? 0 : base + NOW_OFFSET;
}

const u8 *module_hypervisor_id(void)
{
	return our_id;
}

/* Links an exact copy into memory of the exact size, so that ASan detects any overrun. */
static int link_it(void)
{
	u8 *copy = malloc(file_size ? file_size : 1);
	int rc;

	free(mem);
	mem = malloc(mem_size ? mem_size : 1);
	memcpy(copy, &f, file_size);
	memset(reason, 0, sizeof(reason));
	rc = module_link(copy, file_size, base, mem, mem_size, &m, reason);
	free(copy);
	return rc;
}

static int setup(void **state)
{
	(void)state;
	image_make(&f);
	file_size = sizeof(f);
	base = HIGH;
	mem_size = 0x10000;
	our_id = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(mem);
	mem = NULL;
	return 0;
}

static void refused(const char *why)
{
	assert_int_equal(link_it(), -ENOEXEC);
	assert_string_equal(reason, why);
	setup(NULL);
}

static void links(void)
{
	if (link_it())
		fail_msg("refused: %s", reason);
}

static u64 word(u64 offset)
{
	u64 v;

	memcpy(&v, mem + offset, 8);
	return v;
}

static void test_good(void **state)
{
	u32 rel;
	struct sha256 sha = { 0 };

	(void)state;
	links();
	assert_string_equal(m.name, "lazy-1");
	assert_int_equal(m.base, base);
	assert_memory_equal(m.build_id, "abcdefghijklmnopqrst", 20);
	while (!sha256_step(&sha, &f, sizeof(f)))
		;
	assert_memory_equal(m.digest, sha.digest, 32);
	assert_int_equal(m.group[MODULE_TEXT], 0);
	assert_int_equal(m.size[MODULE_TEXT], 0x1000);
	assert_int_equal(m.group[MODULE_RODATA], 0x1000);
	assert_int_equal(m.size[MODULE_RODATA], 0x1000);
	assert_int_equal(m.group[MODULE_DATA], 0x2000);
	assert_int_equal(m.size[MODULE_DATA], 0x2000);
	assert_true((u64)m.desc == base + 0x1000);

	assert_int_equal(mem[0], 0x90);
	assert_int_equal(mem[64], 0xcc);
	assert_int_equal(mem[0x1000 + R_SIZE + 24 + 36], 0);
	assert_int_equal(mem[0x2000], 0xda);
	assert_int_equal(word(0x2040), 0);
	assert_int_equal(word(0x3138), 0);
	assert_true(word(0x1000) == base + 0x1000 + R_NAME);
	assert_true(word(0x1000 + R_IDLE) == base + 16);
	memcpy(&rel, mem + 8, 4);
	assert_int_equal(rel, 0x2040 + 0x10 - 4 - 8);
	memcpy(&rel, mem + 20, 4);
	assert_int_equal(rel, NOW_OFFSET - 4 - 20);
}

/* Groups may be empty: no text, no data. Sections of one group share its pages. */
static void test_groups(void **state)
{
	(void)state;
	f.sh[S_DATA].sh_type = f.sh[S_BSS].sh_type = SHT_NULL;
	f.sh[S_DATA].sh_flags = f.sh[S_BSS].sh_flags = 0;
	f.rela_text[0] = f.rela_text[1];
	links();
	assert_int_equal(m.size[MODULE_DATA], 0);
	mem_size = 0x2000;
	links();

	setup(NULL);
	f.sh[S_BSS].sh_addralign = 4096;
	f.sh[S_DATA].sh_addralign = 0;
	links();
	assert_int_equal(m.size[MODULE_DATA], 0x3000);
	mem_size = 0x5000;
	links();
}

static const char *kind_refused(u32 type, u32 sym, s64 addend)
{
	f.rela_text[0] = (Elf64_Rela){ 8, ELF64_R_INFO(sym, type), addend };
	return link_it() ? reason : NULL;
}

static void fits(u32 type, u32 sym, s64 addend, u64 value, unsigned width)
{
	u64 expected = width == 8 ? value : (u32)value, found = 0;

	if (kind_refused(type, sym, addend))
		fail_msg("type %u addend %lx: %s", type, (long)addend, reason);
	memcpy(&found, mem + 8, width);
	if (found != expected)
		fail_msg("type %u: %lx, not %lx", type, found, expected);
	assert_int_equal(mem[8 + width], 0x90);
}

static void overflows(u32 type, u32 sym, s64 addend)
{
	const char *why = kind_refused(type, sym, addend);

	assert_string_equal(why ? why : "links",
			    "section .text: symbol .data is out of reach at 0x8");
}

static void test_absolute_relocations(void **state)
{
	(void)state;
	fits(R_X86_64_64, Y_DATA, 3, HIGH + 0x2003, 8);
	fits(R_X86_64_64, Y_DATA, -(s64)HIGH - 0x2000 - 1, ~0UL, 8);
	overflows(R_X86_64_64, Y_DATA, -(s64)HIGH - 0x2000);	/* 2^64 */
	overflows(R_X86_64_64, Y_DATA, INT64_MAX);
	fits(R_X86_64_32S, Y_DATA, 3, HIGH + 0x2003, 4);
	fits(R_X86_64_32S, Y_DATA, 0x80000000 - 0xc0000000L - 0x2000, 0xffffffff80000000, 4);
	overflows(R_X86_64_32S, Y_DATA, 0x80000000 - 0xc0000000L - 0x2000 - 1);
	overflows(R_X86_64_32, Y_DATA, 0);

	base = 0x7fff0000;
	fits(R_X86_64_32, Y_DATA, 0x8000d000 + 0xfff, 0xffffffff, 4);
	overflows(R_X86_64_32, Y_DATA, 0x8000d000 + 0x1000);
	fits(R_X86_64_32, Y_DATA, -0x7fff2000L, 0, 4);
	overflows(R_X86_64_32, Y_DATA, -0x7fff2001L);
	fits(R_X86_64_32S, Y_DATA, 0xdfff, 0x7fffffff, 4);
	overflows(R_X86_64_32S, Y_DATA, 0xe000);
	overflows(R_X86_64_64, Y_DATA, INT64_MIN);
}

static void test_relative_relocations(void **state)
{
	static const u32 types[] = { R_X86_64_PC32, R_X86_64_PLT32 };

	(void)state;
	base = 0x100000000;
	for (unsigned i = 0; i < 2; i++) {
		fits(types[i], Y_DATA, -4, 0x2000 - 4 - 8, 4);
		fits(types[i], Y_DATA, 0x7fffffffL - 0x2000 + 8, 0x7fffffff, 4);
		overflows(types[i], Y_DATA, 0x80000000L - 0x2000 + 8);
		fits(types[i], Y_DATA, -0x80000000L - 0x2000 + 8, 0x80000000, 4);
		overflows(types[i], Y_DATA, -0x80000001L - 0x2000 + 8);
		overflows(types[i], Y_DATA, INT64_MAX);
		overflows(types[i], Y_DATA, INT64_MIN);
	}
	fits(R_X86_64_PC64, Y_DATA, -4, 0x2000 - 4 - 8, 8);
	fits(R_X86_64_PC64, Y_DATA, INT64_MAX - 0x2000 + 8, INT64_MAX, 8);
	overflows(R_X86_64_PC64, Y_DATA, INT64_MAX - 0x2000 + 9);
	fits(R_X86_64_PC64, Y_DATA, -(s64)base - 0x2000, -base - 8, 8);
	overflows(R_X86_64_PC64, Y_DATA, -(s64)base - 0x2000 - 1);
}

static void test_relocation_refusals(void **state)
{
	(void)state;
	f.rela_text[0].r_offset = 61;
	refused("section .text: a relocation at 0x3d, outside of it");
	f.rela_text[0].r_offset = 60;
	links();
	setup(NULL);
	f.rela_text[0].r_offset = 57;
	f.rela_text[0].r_info = ELF64_R_INFO(Y_DATA, R_X86_64_64);
	refused("section .text: a relocation at 0x39, outside of it");
	f.rela_text[0].r_offset = ~0UL;
	refused("section .text: a relocation at 0xffffffffffffffff, outside of it");
	f.rela_text[0].r_info = ELF64_R_INFO(NR_IMAGE_SYMBOLS, R_X86_64_64);
	refused("section .text: a relocation to symbol 8, which does not exist");
	f.rela_text[0].r_info = ELF64_R_INFO(Y_DATA, R_X86_64_GOTPCREL);
	refused("section .text: a relocation of unknown type 9");
	f.rela_text[0].r_info = ELF64_R_INFO(Y_DATA, R_X86_64_NONE);
	refused("section .text: a relocation of unknown type 0");
	f.rela_text[0].r_info = ELF64_R_INFO(Y_NULL, R_X86_64_64);
	refused("symbol  is not exported to modules");

	f.sh[S_RELA_TEXT].sh_type = SHT_REL;
	refused("section .rela.text: not a table of relocations with addends");
	f.sh[S_RELA_TEXT].sh_entsize = 16;
	refused("section .rela.text: not a table of relocations with addends");
	f.sh[S_RELA_TEXT].sh_size--;
	refused("section .rela.text: not a table of relocations with addends");
	f.sh[S_RELA_TEXT].sh_link = S_STRTAB;
	refused("section .rela.text: not a table of relocations with addends");
	f.sh[S_RELA_TEXT].sh_info = NR_IMAGE_SECTIONS;
	refused("section .rela.text: for section 13, which does not exist");
	/* Relocations of sections that are not loaded, such as debug information, are ignored. */
	f.sh[S_RELA_TEXT].sh_info = S_COMMENT;
	f.rela_text[0].r_info = ~0UL;
	links();
}

static void test_header_refusals(void **state)
{
	static const char broken[] = "not a little-endian ELF file of 64 bits";
	static const char object[] = "not a relocatable object for x86-64";

	(void)state;
	file_size = 63;
	refused("not an ELF file: too short");
	f.e.e_ident[1] = 'e';
	refused(broken);
	f.e.e_ident[EI_CLASS] = ELFCLASS32;
	refused(broken);
	f.e.e_ident[EI_DATA] = ELFDATA2MSB;
	refused(broken);
	f.e.e_type = ET_DYN;
	refused(object);
	f.e.e_machine = EM_AARCH64;
	refused(object);
	f.e.e_shentsize = 40;
	refused("13 sections of 40 bytes; expected 1 to 64 of 64");
	f.e.e_shnum = 0;
	refused("0 sections of 64 bytes; expected 1 to 64 of 64");
	f.e.e_shnum = 65;
	refused("65 sections of 64 bytes; expected 1 to 64 of 64");
	f.e.e_shnum = 14;
	refused("the section headers lie beyond the end of the file");
	f.e.e_shoff = ~0UL;
	refused("the section headers lie beyond the end of the file");
	f.e.e_shstrndx = 13;
	refused("there is no section 13 for names");
	f.e.e_shstrndx = S_TEXT;
	refused("section 1 is not a string table");
	f.sh[S_SHSTRTAB].sh_type = SHT_PROGBITS;
	refused("section 11 is not a string table");
	f.names[159] = 'x';
	refused("section 11 is not a string table");
	f.sh[S_SHSTRTAB].sh_size = 0;
	refused("section 11 is not a string table");
	f.sh[S_SHSTRTAB].sh_size = -f.sh[S_SHSTRTAB].sh_offset + 1;
	refused("section 11 is not a string table");
}

static void test_section_refusals(void **state)
{
	(void)state;
	f.sh[S_DATA].sh_name = 160;
	refused("section 3: its name is out of range");
	f.sh[S_DATA].sh_offset = sizeof(f) - 31;
	refused("section .data lies beyond the end of the file");
	f.sh[S_COMMENT].sh_size = ~0UL;
	refused("section .comment lies beyond the end of the file");
	f.sh[S_TEXT].sh_flags |= SHF_WRITE;
	refused("section .text is writable and executable");
	f.sh[S_DATA].sh_type = SHT_INIT_ARRAY;
	refused("section .data: modules have no sections of type 0xe");
	f.sh[S_NULL].sh_flags = SHF_ALLOC;
	refused("section : modules have no sections of type 0");
	f.sh[S_BSS].sh_flags |= SHF_TLS;
	refused("section .bss: unknown flags 0x403");
	f.sh[S_RODATA].sh_flags |= SHF_COMPRESSED;
	refused("section .rodata: unknown flags 0x802");
	f.sh[S_DATA].sh_addralign = 8192;
	refused("section .data: alignment of 0x2000");
	f.sh[S_DATA].sh_addralign = 24;
	refused("section .data: alignment of 0x18");
	f.sh[S_BSS].sh_size = mem_size - 0x2040 + 1;
	refused("section .bss: more than 65536 bytes of memory");
	f.sh[S_BSS].sh_size = ~0UL;
	refused("section .bss: more than 65536 bytes of memory");
	f.sh[S_BSS].sh_size = 1UL << 32;
	refused("section .bss: more than 65536 bytes of memory");
	mem_size = 0x3f00;
	refused("more than 16128 bytes of memory");
	mem_size = 0x2f00;	/* aligned, .bss begins past the end, and its size wraps around */
	f.sh[S_BSS].sh_addralign = 4096;
	f.sh[S_BSS].sh_size = -0x800UL;
	refused("section .bss: more than 12032 bytes of memory");
	mem_size = 0;
	refused("section .text: more than 0 bytes of memory");
	mem_size = MODULE_MEM_MAX + 0x10000;
	f.sh[S_BSS].sh_size = MODULE_MEM_MAX;
	refused("section .bss: more than 524288 bytes of memory");
	memcpy(f.names + f.sh[S_TEXT].sh_name, "\33[2J\n", 5);
	f.sh[S_TEXT].sh_flags |= SHF_WRITE;
	refused("section ?[2J? is writable and executable");
	memset(f.names + f.sh[S_TEXT].sh_name, 'x', 140);
	f.sh[S_TEXT].sh_flags |= SHF_WRITE;
	assert_int_equal(link_it(), -ENOEXEC);
	assert_int_equal(strlen(reason), MODULE_REASON - 1);
}

static void test_symbol_refusals(void **state)
{
	Elf64_Sym *extra = &f.sym[NR_IMAGE_SYMBOLS];

	(void)state;
	f.sh[S_SYMTAB].sh_type = SHT_NULL;
	refused("there is no symbol table");
	f.sh[S_COMMENT].sh_type = SHT_SYMTAB;
	refused("section .comment: a second symbol table");
	f.sh[S_SYMTAB].sh_entsize = 16;
	refused("section .symtab: not a table of at most 4096 symbols");
	f.sh[S_SYMTAB].sh_size++;
	refused("section .symtab: not a table of at most 4096 symbols");
	f.sh[S_SYMTAB].sh_link = S_TEXT;
	refused("section 1 is not a string table");
	f.strings[63] = 'x';
	refused("section 10 is not a string table");
	f.sym[Y_FUNCTION].st_name = 64;
	refused("symbol 5: its name is out of range");
	f.sh[S_SYMTAB].sh_size += sizeof(*extra);
	*extra = f.sym[Y_NOW];
	extra->st_shndx = SHN_COMMON;
	refused("symbol policy_now is a common one (compile with -fno-common)");

	f.sym[Y_NOW].st_name = f.sym[Y_MODULE].st_name + 7;
	refused("symbol module is not exported to modules");
	f.sym[Y_NOW].st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
	f.sym[Y_NOW].st_name = f.sym[Y_FUNCTION].st_name;
	refused("symbol decide is not exported to modules");
	f.sym[Y_FUNCTION].st_shndx = SHN_ABS;
	refused("symbol decide is an absolute address");
	f.sym[Y_FUNCTION].st_shndx = NR_IMAGE_SECTIONS;
	refused("symbol decide has a type that modules cannot have");
	f.sym[Y_FUNCTION].st_shndx = SHN_XINDEX;
	refused("symbol decide has a type that modules cannot have");
	f.sym[Y_FUNCTION].st_info = ELF64_ST_INFO(STB_LOCAL, STT_GNU_IFUNC);
	refused("symbol decide has a type that modules cannot have");
	f.sym[Y_FUNCTION].st_info = ELF64_ST_INFO(STB_LOCAL, STT_TLS);
	refused("symbol decide has a type that modules cannot have");
	f.sym[Y_FUNCTION].st_shndx = S_COMMENT;
	refused("symbol decide is in section .comment, which is not loaded");
	f.sym[Y_FUNCTION].st_value = 65;
	refused("symbol decide lies outside of section .text");
	f.sym[Y_FUNCTION].st_value = ~0UL;
	refused("symbol decide lies outside of section .text");

	f.sym[Y_MODULE].st_name++;
	refused("there is no symbol policy_module");
	f.sym[Y_MODULE].st_info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
	refused("there is no symbol policy_module");
	f.sym[Y_MODULE].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
	refused("symbol policy_module is not a struct policy_module");
	f.sym[Y_MODULE].st_size = sizeof(struct policy_module) - 1;
	refused("symbol policy_module is not a struct policy_module");
	f.sym[Y_MODULE].st_shndx = SHN_UNDEF;
	refused("symbol policy_module is not a struct policy_module");
	f.sym[Y_MODULE].st_shndx = SHN_ABS;
	refused("symbol policy_module is not a struct policy_module");
	f.sym[Y_MODULE].st_shndx = S_COMMENT;
	refused("symbol policy_module is not a struct policy_module");
	f.sym[Y_MODULE].st_shndx = S_DATA;
	refused("symbol policy_module is not in the module's read-only data");
	f.sym[Y_MODULE].st_shndx = S_TEXT;
	refused("symbol policy_module is not in the module's read-only data");
	f.sym[Y_MODULE].st_value = 1;
	refused("symbol policy_module is not in the module's read-only data");
	f.sym[Y_MODULE].st_value = 0x1000 - 0x38;
	refused("symbol policy_module is not in the module's read-only data");
	f.sym[Y_MODULE].st_value = ~7UL;
	refused("symbol policy_module is not in the module's read-only data");
}

static void test_notes(void **state)
{
	static const u8 id[20] = "0123456789012345678";

	(void)state;
	f.sh[S_NOTE].sh_flags = 0;
	refused("no note with the policy ABI (.note.margay)");
	f.note.name[0] = 'm';
	refused("no note with the policy ABI (.note.margay)");
	f.note.namesz = 8;
	refused("no note with the policy ABI (.note.margay)");
	f.note.desc[0]++;
	refused("section .note.margay: built for policy ABI 5, this is 4");
	f.note.desc[3] = 1;
	refused("section .note.margay: built for policy ABI 16777220, this is 4");
	f.note.type = 9;
	refused("section .note.margay: unknown note 9 of 4 bytes");
	f.note.descsz = 3;
	refused("section .note.margay: unknown note 1 of 3 bytes");
	f.note.descsz = 5;
	refused("section .note.margay: a broken note");
	f.note.namesz = ~0U;
	refused("section .note.margay: a broken note");
	f.sh[S_NOTE].sh_size = 11;
	refused("section .note.margay: a broken note");
	f.sh[S_NOTE].sh_offset = sizeof(f) - 4;	/* nothing follows it */
	f.sh[S_NOTE].sh_size = 4;
	refused("section .note.margay: a broken note");

	/* Replaces the second note by one that ties the module to a build of Margay. */
	memcpy(&f.build_id, &f.note, 20);
	f.build_id.descsz = 20;
	f.build_id.type = 2;
	f.sh[S_BUILD_ID].sh_size = 40;
	memcpy(f.build_id.desc, id, 20);
	our_id = id;
	links();
	our_id = NULL;
	assert_int_equal(link_it(), -ENOEXEC);
	our_id = id;
	f.build_id.desc[19] ^= 1;
	refused("section .note.gnu.build-id: built for another build of Margay");
	/* A GNU note of another length does not cause a refusal. */
	f.build_id.descsz = 8;
	f.sh[S_BUILD_ID].sh_size = 24;
	links();
	assert_memory_equal(m.build_id, "abcdefgh\0\0\0", 12);
	f.build_id.descsz = 0;
	f.sh[S_BUILD_ID].sh_size = 16;
	links();
}

#define FIELD(name) offsetof(struct policy_module, name)

/* Points the i-th word of .rodata by its relocation. */
static void point(unsigned i, u64 at, u32 sym, s64 addend)
{
	f.sh[S_RELA_RODATA].sh_size = 24 * (i < 5 ? 5 : i + 1);
	f.rela_rodata[i] = (Elf64_Rela){ at, ELF64_R_INFO(sym, R_X86_64_64), addend };
}

/* Makes .comment the last n bytes of a read-only group of one page. */
static void last_bytes(u64 n)
{
	f.sh[S_BSS].sh_flags = SHF_ALLOC;
	f.sh[S_BSS].sh_addralign = 1;
	f.sh[S_BSS].sh_size = 4096 - R_SIZE - 24 - 36 - n;
	f.sh[S_COMMENT].sh_flags = SHF_ALLOC;
	f.sh[S_COMMENT].sh_size = n;
}

/* Makes .data read-only. */
static void constant_data(void)
{
	f.sh[S_DATA].sh_flags = SHF_ALLOC;
}

static void test_names(void **state)
{
	static const char name[] = "policy_module.name is not 1 to 31 letters, digits, - or _";
	static const char summary[] =
		"policy_module.summary is not a line of at most 100 characters";

	(void)state;
	point(0, FIELD(counter), Y_FUNCTION, 0);	/* name stays NULL */
	refused(name);
	point(0, FIELD(name), Y_TEXT, 0);
	refused(name);
	point(0, FIELD(name), Y_RODATA, R_NAME + 6);
	refused(name);
	point(0, FIELD(name), Y_NOW, 0);
	refused(name);
	f.rodata[R_NAME + 1] = '/';
	refused(name);
	f.rodata[R_NAME + 1] = 0xff;
	refused(name);
	strcpy((char *)f.data, "good");
	point(0, FIELD(name), Y_DATA, 0);
	refused(name);
	constant_data();
	memset(f.data, 'n', 32);
	point(0, FIELD(name), Y_DATA, 0);
	refused(name);
	constant_data();
	memset(f.data, 'n', 32);
	f.data[31] = 0;
	point(0, FIELD(name), Y_DATA, 0);
	links();
	assert_string_equal(m.name, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
	setup(NULL);
	/* The 16 letters end at the module's end. */
	last_bytes(16);
	memset(f.comment, 'n', 16);
	point(0, FIELD(name), Y_RODATA, 4096 - 16);
	refused(name);
	last_bytes(16);
	strcpy(f.comment, "nnnnnnnnnnnnnnn");
	point(0, FIELD(name), Y_RODATA, 4096 - 16);
	links();
	setup(NULL);
	point(0, FIELD(name), Y_BSS, 0x10ff);
	refused(name);

	point(1, FIELD(counter), Y_FUNCTION, 0);
	refused(summary);
	f.rodata[R_SUMMARY + 2] = '\n';
	refused(summary);
	for (u32 n = 100; n < 102; n++) {	/* in two sections; a zero follows the second */
		memset(f.text, 's', sizeof(f.text));
		constant_data();
		f.sh[S_DATA].sh_offset = offsetof(struct image, text);
		f.sh[S_DATA].sh_size = 64;
		f.sh[S_BSS].sh_type = SHT_PROGBITS;
		f.sh[S_BSS].sh_flags = SHF_ALLOC;
		f.sh[S_BSS].sh_addralign = 1;
		f.sh[S_BSS].sh_size = n - 64 + 1;
		f.sh[S_BSS].sh_offset = offsetof(struct image, rodata) - (n - 64);
		point(1, FIELD(summary), Y_DATA, 0);
		if (n > 100)
			refused(summary);
		else
			links();
	}
}

static void test_tables(void **state)
{
	(void)state;
	point(2, FIELD(counter), Y_FUNCTION, 0);
	refused("policy_module has no table of functions");
	point(2, FIELD(idle), Y_TEXT, 0);
	refused("policy_module.idle is not in the module's read-only data");
	point(2, FIELD(idle), Y_RODATA, R_IDLE + 4);
	refused("policy_module.idle is not in the module's read-only data");
	point(2, FIELD(idle), Y_RODATA, -0x100000);
	refused("policy_module.idle is not in the module's read-only data");
	point(2, FIELD(idle), Y_DATA, 0);
	refused("policy_module.idle is not in the module's read-only data");
	point(2, FIELD(idle), Y_RODATA, 0x1000);	/* one past the end */
	refused("policy_module.idle is not in the module's read-only data");
	point(2, FIELD(sched), Y_RODATA, 0x1000 - sizeof(struct sched_policy) + 8);
	refused("policy_module.sched is not in the module's read-only data");
	point(2, FIELD(sched), Y_RODATA, 0x1000 - sizeof(struct sched_policy));
	refused("sched.enqueue is missing");
	point(2, FIELD(place), Y_NOW, 0);
	refused("policy_module.place is not in the module's read-only data");
	point(3, R_IDLE, Y_RODATA, 0);
	refused("idle.idle is not a function of the module");
	point(3, R_IDLE, Y_NOW, 0);
	refused("idle.idle is not a function of the module");
	point(3, R_IDLE, Y_TEXT, 0x1000);
	refused("idle.idle is not a function of the module");
	point(4, FIELD(start), Y_DATA, 0);
	refused("policy_module.start is not a function of the module");
	point(4, FIELD(counter), Y_TEXT, -1);
	refused("policy_module.counter is not a function of the module");
	point(2, FIELD(exit), Y_RODATA, R_SCHED);
	refused("exit.exit is missing");
}

static void test_sched_table(void **state)
{
	static const char *const fns[] = { "enqueue", "dequeue", "pick", "charge",
					   "preempts", "place", "set", "domain_gone" };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		char why[64];

		point(2, FIELD(sched), Y_RODATA, R_SCHED);
		point(3, R_SCHED, Y_FUNCTION, 0);
		point(4, R_SCHED + 8, Y_FUNCTION, 1);
		point(5, R_SCHED + 16, Y_FUNCTION, 2);
		links();
		if (i < 3)
			f.rela_rodata[3 + i].r_offset = R_SCHED + 24;
		else
			point(6, R_SCHED + 8 * i, Y_DATA, 0);
		snprintf(why, sizeof(why), "sched.%s is %s", fns[i],
			 i < 3 ? "missing" : "not a function of the module");
		refused(why);
	}
}

/* A truncated file is refused. */
static void test_cut(void **state)
{
	(void)state;
	while (file_size) {
		file_size--;
		assert_int_equal(link_it(), -ENOEXEC);
		assert_true(reason[0]);
	}
	file_size = sizeof(f);
	links();
}

/* A changed byte leads to a refusal with a reason or to a link, never to an overrun (ASan). */
static void test_changed(void **state)
{
	static const u8 change[] = { 1, 2, 4, 8, 0x10, 0x40, 0x80, 0xff };
	unsigned refusals = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(f); i++)
		for (unsigned j = 0; j < sizeof(change); j++) {
			((u8 *)&f)[i] ^= change[j];
			if (link_it()) {
				refusals++;
				assert_true(reason[0]);
			}
			((u8 *)&f)[i] ^= change[j];
		}
	assert_true(refusals > sizeof(f));
	links();
}

/* A PER_CPU() section takes memory for the present CPUs; no symbol or relocation exceeds it. */
static void test_per_cpu(void **state)
{
	u64 size;

	(void)state;
	f.sh[S_BSS].sh_size = 0;
	links();
	size = m.size[MODULE_DATA];
	strcpy(f.names + sizeof(f.names) - 16, ".bss.percpu.x");
	f.sh[S_BSS].sh_name = sizeof(f.names) - 16;
	f.sh[S_BSS].sh_size = POLICY_MAX_CPUS * 4096UL;
	f.sh[S_BSS].sh_addralign = 4096;
	mem_size = 0x10000;
	links();
	assert_int_equal(m.size[MODULE_DATA], size + nr_cpus * 4096UL);
	f.sym[Y_BSS].st_value = nr_cpus * 4096UL + 8;
	f.rela_text[0].r_info = ELF64_R_INFO(Y_BSS, R_X86_64_PC32);
	assert_int_equal(link_it(), -ENOEXEC);
	assert_non_null(strstr(reason, "lies outside of section .bss.percpu.x"));
}

static void test_limits(void **state)
{
	u8 *file = calloc(1, MODULE_FILE_MAX + 1);
	u64 symbols = 0x40000;

	(void)state;
	mem = malloc(mem_size);
	memcpy(file, &f, sizeof(f));
	assert_int_equal(module_link(file, MODULE_FILE_MAX, base, mem, mem_size, &m, reason), 0);
	assert_int_equal(module_link(file, MODULE_FILE_MAX + 1, base, mem, mem_size, &m, reason),
			 -ENOEXEC);
	assert_string_equal(reason, "the file has more than 524288 bytes");

	/* The most symbols that the loader reads, and one more. */
	memcpy(file + symbols, f.sym, sizeof(f.sym));
	f.sh[S_SYMTAB].sh_offset = symbols;
	for (u64 n = 4096; n <= 4097; n++) {
		f.sh[S_SYMTAB].sh_size = n * sizeof(Elf64_Sym);
		memcpy(file, &f, sizeof(f));
		assert_int_equal(module_link(file, MODULE_FILE_MAX, base, mem, mem_size, &m,
					     reason),
				 n > 4096 ? -ENOEXEC : 0);
	}
	assert_string_equal(reason, "section .symtab: not a table of at most 4096 symbols");
	free(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good), TEST(test_groups), TEST(test_absolute_relocations),
		TEST(test_relative_relocations), TEST(test_relocation_refusals),
		TEST(test_header_refusals), TEST(test_section_refusals), TEST(test_symbol_refusals),
		TEST(test_notes), TEST(test_names), TEST(test_tables), TEST(test_sched_table),
		TEST(test_cut), TEST(test_changed), TEST(test_per_cpu), TEST(test_limits),
	};

	return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
