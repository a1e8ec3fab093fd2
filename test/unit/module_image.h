/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small handmade policy module for tests of the loader. A test can corrupt each of its fields.
 * Defined in module_image.c.
 */
#ifndef TEST_UNIT_MODULE_IMAGE_H
#define TEST_UNIT_MODULE_IMAGE_H

#include <elf.h>

#include <margay/module.h>

enum image_section {
	S_NULL, S_TEXT, S_RODATA, S_DATA, S_BSS, S_NOTE, S_BUILD_ID, S_RELA_TEXT, S_RELA_RODATA,
	S_SYMTAB, S_STRTAB, S_SHSTRTAB, S_COMMENT, NR_IMAGE_SECTIONS
};
enum image_symbol {
	Y_NULL, Y_TEXT, Y_RODATA, Y_DATA, Y_BSS, Y_FUNCTION, Y_MODULE, Y_NOW, NR_IMAGE_SYMBOLS
};

/* Offsets in .rodata */
#define R_MODULE 0
#define R_IDLE 0x48
#define R_SCHED 0x50
#define R_NAME 0xa0
#define R_SUMMARY 0xb0
#define R_SIZE 0xc0

struct image {
	Elf64_Ehdr e;
	u8 text[64], rodata[R_SIZE], data[32];
	struct {
		u32 namesz, descsz, type;
		char name[8];
		u8 desc[20];
	} note, build_id;	/* the first uses 4 bytes of desc */
	Elf64_Rela rela_text[2], rela_rodata[8];
	Elf64_Sym sym[NR_IMAGE_SYMBOLS + 1];
	char strings[64], names[160], comment[16];
	Elf64_Shdr sh[NR_IMAGE_SECTIONS];	/* at the end, so that any truncation cuts them */
};

void image_make(struct image *f);

#endif
