/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest kernel images: x86 ELF files (32 or 64 bit, ET_EXEC) with a PVH entry note. Nothing is
 * copied or allocated: the result describes what to copy where.
 */
#pragma once

#include <margay/types.h>

#define ELF_MAX_SEGMENTS 32

struct elf_segment {
	gpaddr_t paddr;
	u64 offset;    /* in the file */
	u64 filesz;
	u64 memsz; /* >= filesz; the rest is zeroed */
};

struct elf_image {
	bool is64;
	u32 pvh_entry;	    /* guest-physical, inside a segment */
	gpaddr_t start, end; /* [start, end) covers all segments */
	struct elf_segment seg[ELF_MAX_SEGMENTS];
	unsigned int nr_segs;
	const char *why; /* after an error: the reason */
};

/*
 * Checks the file of `size` bytes at `img` and describes it in `out`. -ENOEXEC, with out->why set,
 * if it is not a bootable kernel; the caller reports it with the guest's name.
 */
int elf_parse(const void *img, size_t size, struct elf_image *out);
