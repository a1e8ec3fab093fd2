/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the search of microcode files. An update that it finds lies within the file and is newer.
 * fuzz-sources: arch/x86/cpu/microcode_file.c
 */
#include "fuzz.h"

#include <x86/microcode.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (unsigned amd = 0; amd < 2; amd++) {
		const struct ucode_cpu cpu = { amd, amd ? 0x800f12 : 0x306d4, 2, 5 };
		struct ucode_update u;

		if (!ucode_find(data, size, &cpu, &u))
			continue;
		CHECK(u.revision > cpu.revision);
		CHECK(u.data >= data && u.data + 16 <= data + size);
	}
	return 0;
}
