/* SPDX-License-Identifier: BSD-2-Clause */
/* Microcode updates from a boot module. arch/x86/cpu/microcode.c, microcode_file.c */
#ifndef X86_MICROCODE_H
#define X86_MICROCODE_H

#include <margay/types.h>

/* What chooses an update, and the one that runs. */
struct ucode_cpu {
	bool amd;
	u32 signature;		/* CPUID leaf 1, EAX */
	u8 platform;		/* Intel: the bit of IA32_PLATFORM_ID */
	u32 revision;
};

struct ucode_update {
	const u8 *data;		/* what the CPU is given the address of */
	u32 revision;
};

/*
 * Finds the newest update for the CPU in a file of the vendor's form: Intel's updates one behind another, or
 * AMD's containers. False when there is none that is newer than cpu->revision. The file is not trusted.
 */
bool ucode_find(const u8 *file, size_t size, const struct ucode_cpu *cpu, struct ucode_update *out);

/* On the boot CPU, before features are read: finds the module and updates this CPU. */
void ucode_init(void);
/* On each other CPU, before anything else. */
void ucode_update_cpu(void);
/* That of the boot CPU. */
extern u32 ucode_revision;

#endif
