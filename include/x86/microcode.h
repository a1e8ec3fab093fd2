/* SPDX-License-Identifier: BSD-2-Clause */
/* Microcode updates from a boot module. arch/x86/cpu/microcode.c, microcode_file.c */
#pragma once

#include <margay/types.h>

/* The properties that select an update, and the current revision. */
struct ucode_cpu {
	bool amd;
	u32 signature;		/* CPUID leaf 1, EAX */
	u8 platform;		/* Intel: the bit of IA32_PLATFORM_ID */
	u32 revision;
};

struct ucode_update {
	const u8 *data;		/* the address passed to the CPU */
	u32 revision;
};

/*
 * Finds the newest update for the CPU in a file of the vendor's format: consecutive Intel updates,
 * or AMD containers. Returns false if none is newer than cpu->revision. The file is not trusted.
 */
bool ucode_find(const u8 *file, size_t size, const struct ucode_cpu *cpu, struct ucode_update *out);

/* Finds the module and updates the boot CPU. Runs there, before features are read. */
void ucode_init(void);
/* Updates another CPU. Runs there, before anything else. */
void ucode_update_cpu(void);
/* The boot CPU's revision. */
extern u32 ucode_revision;
