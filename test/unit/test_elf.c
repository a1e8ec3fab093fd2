/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest kernel images: both ELF classes, notes, and malformed files.
 * unit-sources: common/boot/elf.c
 */
#include "host.h"

#include <elf.h>

#include <margay/elf.h>
#include <margay/errno.h>
#include <margay/lib.h>

#define NOTE_PVH 18

static u8 file[8192];
static size_t file_size;
static struct elf_image img;

/* Parses an exact copy, so that ASan detects any overrun. */
static int parse(void)
{
	u8 *copy = malloc(file_size ? file_size : 1);
	int ret;

	memcpy(copy, file, file_size);
	ret = elf_parse(copy, file_size, &img);
	free(copy);
	return ret;
}

static void assert_refused(const char *why)
{
	assert_int_equal(parse(), -ENOEXEC);
	assert_string_equal(img.why, why);
}

static size_t note(u8 *p, const char *name, u32 type, const void *desc, u32 descsz)
{
	u32 head[3] = { strlen(name) + 1, descsz, type };
	size_t at = 12;

	memcpy(p, head, 12);
	memcpy(p + at, name, head[0]);
	at += ALIGN_UP(head[0], 4U);
	memcpy(p + at, desc, descsz);
	return at + ALIGN_UP(descsz, 4U);
}

#define EHDR ((Elf64_Ehdr *)file)
#define PHDR ((Elf64_Phdr *)(file + 64))
#define NOTES (file + 0x400)

/* Builds a file like a Linux kernel: two segments, and notes of which PVH is not the first. */
static int setup64(void **state)
{
	u64 pvh = 0x1000040;
	size_t n;

	(void)state;
	memset(file, 0, sizeof(file));
	file_size = 0x1800;
	memcpy(file, "\177ELF\2\1\1", 7);
	EHDR->e_type = ET_EXEC;
	EHDR->e_machine = EM_X86_64;
	EHDR->e_entry = 0xffffffff81000000;
	EHDR->e_phoff = 64;
	EHDR->e_phentsize = 56;
	EHDR->e_phnum = 3;
	PHDR[0] =
		(Elf64_Phdr){ PT_LOAD, 5, 0x1000, 0xffffffff81000000, 0x1000000, 0x700, 0x1000, 0 };
	PHDR[1] =
		(Elf64_Phdr){ PT_LOAD, 6, 0x1700, 0xffffffff82000000, 0x2000000, 0x100, 0x9000, 0 };
	n = note(NOTES, "GNU", NOTE_PVH, "\1\2\3\4", 4);
	n += note(NOTES + n, "Xen", 6, "linux\0", 6);
	n += note(NOTES + n, "Xen", NOTE_PVH, &pvh, 8);
	n += note(NOTES + n, "Xen", 5, "xen-3.0", 8);
	PHDR[2] = (Elf64_Phdr){ PT_NOTE, 4, 0x400, 0, 0, n, n, 4 };
	return 0;
}

static void test_64(void **state)
{
	(void)state;
	assert_int_equal(parse(), 0);
	assert_null(img.why);
	assert_true(img.is64);
	assert_int_equal(img.pvh_entry, 0x1000040);
	assert_int_equal(img.nr_segs, 2);
	assert_int_equal(img.start, 0x1000000);
	assert_int_equal(img.end, 0x2009000);
	assert_int_equal(img.seg[1].paddr, 0x2000000);
	assert_int_equal(img.seg[1].offset, 0x1700);
	assert_int_equal(img.seg[1].filesz, 0x100);
	assert_int_equal(img.seg[1].memsz, 0x9000);
}

static void test_32(void **state)
{
	Elf32_Ehdr *e = (Elf32_Ehdr *)file;
	Elf32_Phdr *p = (Elf32_Phdr *)(file + 52);
	u32 pvh = 0x100010;

	(void)state;
	memset(file, 0, sizeof(file));
	file_size = 0x1000;
	memcpy(file, "\177ELF\1\1\1", 7);
	e->e_type = ET_EXEC;
	e->e_machine = EM_386;
	e->e_entry = 0x100000;
	e->e_phoff = 52;
	e->e_phentsize = 32;
	e->e_phnum = 2;
	p[1] = (Elf32_Phdr){ PT_LOAD, 0x800, 0xc0100000, 0x100000, 0x800, 0x800, 7, 0 };
	p[0] = (Elf32_Phdr){ PT_NOTE, 0x400, 0, 0, 0, 0, 4, 4 };
	p[0].p_filesz = note(NOTES, "Xen", NOTE_PVH, &pvh, 4);
	assert_int_equal(parse(), 0);
	assert_false(img.is64);
	assert_int_equal(img.pvh_entry, 0x100010);
	assert_int_equal(img.nr_segs, 1);
	assert_int_equal(img.start, 0x100000);
	assert_int_equal(img.end, 0x100800);
	assert_int_equal(img.seg[0].offset, 0x800);

	/* x32: a 32-bit class with a 64-bit machine */
	e->e_machine = EM_X86_64;
	assert_int_equal(parse(), 0);
	file_size = 51;
	assert_refused("file ends within the ELF header");
}

static void test_header(void **state)
{
	u32 i;

	(void)state;
	file_size = 0;
	assert_refused("not an ELF file");
	for (i = 1; i < 64; i++) {
		file_size = i;
		assert_int_equal(parse(), -ENOEXEC);
		assert_non_null(img.why);
	}
	assert_string_equal(img.why, "file ends within the ELF header");
	setup64(NULL);
	memcpy(file, "MZ\220\0", 4); /* a vmlinuz */
	assert_refused("not an ELF file");
	setup64(NULL);
	file[5] = 2;
	assert_refused("not a little-endian ELF file of 32 or 64 bits");
	setup64(NULL);
	EHDR->e_machine = 183;
	assert_refused("not for x86");
	EHDR->e_machine = EM_386;
	assert_refused("not for x86");
	setup64(NULL);
	EHDR->e_type = ET_DYN;
	assert_refused("not an executable with fixed addresses (ET_EXEC)");
}

static void test_phdrs(void **state)
{
	(void)state;
	EHDR->e_phentsize = 32;
	assert_refused("wrong size of program headers");
	setup64(NULL);
	EHDR->e_phnum = 0xffff;
	assert_refused("program headers beyond the end of the file");
	setup64(NULL);
	EHDR->e_phoff = file_size - 100;
	assert_refused("program headers beyond the end of the file");
	EHDR->e_phoff = ~0UL - 10;
	assert_refused("program headers beyond the end of the file");
	setup64(NULL);
	EHDR->e_phnum = 0;
	assert_refused("no loadable segment");
	setup64(NULL);
	PHDR[0].p_memsz = PHDR[1].p_memsz = PHDR[0].p_filesz = PHDR[1].p_filesz = 0;
	assert_refused("no loadable segment");
}

static void test_segments(void **state)
{
	u32 i;

	(void)state;
	PHDR[1].p_offset++;
	assert_refused("a segment lies beyond the end of the file");
	PHDR[1].p_offset = ~0UL - 0x10;
	assert_refused("a segment lies beyond the end of the file");
	setup64(NULL);
	PHDR[2].p_filesz = file_size;
	assert_refused("a segment lies beyond the end of the file");
	setup64(NULL);
	PHDR[0].p_filesz = PHDR[0].p_memsz + 1;
	PHDR[0].p_offset = 0;
	assert_refused("a segment's file size exceeds its memory size");
	setup64(NULL);
	PHDR[0].p_memsz = ~0UL;
	assert_refused("a segment's physical address is out of range");
	PHDR[0].p_memsz = 0x1000;
	PHDR[0].p_paddr = ~0UL - 0xfff;
	assert_refused("a segment's physical address is out of range");

	setup64(NULL);
	EHDR->e_phoff = 0x800;
	for (i = 0; i < ELF_MAX_SEGMENTS + 1; i++)
		((Elf64_Phdr *)(file + 0x800))[i] = PHDR[0];
	((Elf64_Phdr *)(file + 0x800))[i] = PHDR[2];
	EHDR->e_phnum = i + 1;
	assert_refused("too many segments");
	((Elf64_Phdr *)(file + 0x800))[0].p_type = PT_NULL;
	assert_int_equal(parse(), 0);
	assert_int_equal(img.nr_segs, ELF_MAX_SEGMENTS);
}

static void test_notes(void **state)
{
	static const char none[] = "no PVH note (XEN_ELFNOTE_PHYS32_ENTRY)";
	static const char outside[] = "PVH entry is outside of the loaded segments";
	u64 pvh = 0x1000040;
	u32 whole;

	(void)state;
	PHDR[2].p_type = PT_NULL;
	assert_refused(none);
	setup64(NULL);
	PHDR[2].p_filesz = 0;
	assert_refused(none);

	/* Truncated notes */
	setup64(NULL);
	PHDR[2].p_filesz = whole = note(NOTES, "Xen", NOTE_PVH, &pvh, 8);
	assert_int_equal(parse(), 0);
	while (PHDR[2].p_filesz) {
		PHDR[2].p_filesz--;
		assert_refused(none);
	}
	/* At the very end of the file */
	PHDR[2].p_filesz = note(NOTES, "GNU", 3, "build-id", 8);
	PHDR[2].p_filesz += note(NOTES + PHDR[2].p_filesz, "Xen", 6, "linux", 6);
	PHDR[2].p_offset = file_size;
	memcpy(file + file_size, NOTES, PHDR[2].p_filesz);
	file_size += PHDR[2].p_filesz;
	assert_refused(none);
	/* Sizes that overflow */
	setup64(NULL);
	note(NOTES, "Xen", NOTE_PVH, &pvh, 8);
	PHDR[2].p_filesz = whole;
	((u32 *)NOTES)[0] = 0xffffffff;
	assert_refused(none);
	((u32 *)NOTES)[0] = 4;
	((u32 *)NOTES)[1] = 0xfffffffc;
	assert_refused(none);
	/* A size that no entry point has */
	PHDR[2].p_filesz = note(NOTES, "Xen", NOTE_PVH, "abcdef", 6);
	assert_refused(none);
	/* Names with a common prefix */
	PHDR[2].p_filesz = note(NOTES, "Xenon", NOTE_PVH, &pvh, 8);
	assert_refused(none);
	PHDR[2].p_filesz = note(NOTES, "Xe", NOTE_PVH, &pvh, 8);
	assert_refused(none);

	pvh = 0x1000700; /* beyond the file's part of the segment */
	PHDR[2].p_filesz = note(NOTES, "Xen", NOTE_PVH, &pvh, 8);
	assert_refused(outside);
	pvh = 0x1000000UL + (1UL << 32);
	PHDR[2].p_filesz = note(NOTES, "Xen", NOTE_PVH, &pvh, 8);
	assert_refused(outside);
}

/* Two program headers each have a note segment. The parser reads both. */
static void test_two_note_segments(void **state)
{
	u64 pvh = 0x1000000;

	(void)state;
	PHDR[3] = PHDR[2];
	PHDR[2].p_filesz = note(NOTES, "GNU", 3, "build-id", 8);
	PHDR[3].p_offset = 0x600;
	PHDR[3].p_filesz = note(file + 0x600, "Xen", NOTE_PVH, &pvh, 8);
	EHDR->e_phnum = 4;
	assert_int_equal(parse(), 0);
	assert_int_equal(img.pvh_entry, 0x1000000);
}

/* A truncated file is refused. */
static void test_cut(void **state)
{
	(void)state;
	assert_int_equal(parse(), 0);
	while (file_size) {
		file_size--;
		assert_int_equal(parse(), -ENOEXEC);
		assert_non_null(img.why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_64, setup64),
		cmocka_unit_test_setup(test_32, setup64),
		cmocka_unit_test_setup(test_header, setup64),
		cmocka_unit_test_setup(test_phdrs, setup64),
		cmocka_unit_test_setup(test_segments, setup64),
		cmocka_unit_test_setup(test_notes, setup64),
		cmocka_unit_test_setup(test_two_note_segments, setup64),
		cmocka_unit_test_setup(test_cut, setup64),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
