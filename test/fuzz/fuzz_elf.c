/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the guest kernel parser. Every segment that it returns must lie within the file.
 * fuzz-sources: common/boot/elf.c
 */
#include "fuzz.h"

#include <margay/elf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image img;
	unsigned int i;

	if (elf_parse(data, size, &img)) {
		CHECK(img.why);
		return 0;
	}
	CHECK(!img.why && img.nr_segs && img.nr_segs <= ELF_MAX_SEGMENTS);
	CHECK(img.pvh_entry >= img.start && img.pvh_entry < img.end);
	for (i = 0; i < img.nr_segs; i++) {
		const struct elf_segment *s = &img.seg[i];

		CHECK(s->filesz <= s->memsz && s->offset <= size && s->filesz <= size - s->offset);
		CHECK(s->paddr >= img.start && s->paddr + s->memsz <= img.end);
		CHECK(s->paddr + s->memsz > s->paddr);
	}
	return 0;
}
