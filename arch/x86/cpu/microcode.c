/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Microcode updates: loads the newest update of the boot module `microcode` on each CPU before its
 * features are read, and reports the revision that runs. SDM 3A 10.11, AMD's MSRs 8Bh and
 * C001_0020h.
 */
#include <margay/boot_state.h>
#include <x86/microcode.h>
#include <x86/msr.h>
#include <x86/regs.h>

u32 ucode_revision;
static const u8 *file;
static size_t file_size;

static u32 running_revision(bool amd)
{
	u64 rev = 0;
	u32 a, b, c, d;

	/* Intel CPUs load the revision into the MSR when CPUID is executed. */
	if (!amd && wrmsr_safe(MSR_PATCH_LEVEL, 0))
		cpuid_count(1, 0, &a, &b, &c, &d);
	rdmsr_safe(MSR_PATCH_LEVEL, &rev);
	return (u32)(amd ? rev : rev >> 32);
}

static struct ucode_cpu this_one(void)
{
	struct ucode_cpu cpu = { .amd = false };
	u64 platform = 0;
	u32 a, b, c, d;

	cpuid_count(0x80000001, 0, &a, &b, &c, &d);
	cpu.amd = c >> 2 & 1;
	cpuid_count(1, 0, &cpu.signature, &b, &c, &d);
	if (!cpu.amd)
		rdmsr_safe(MSR_PLATFORM_ID, &platform);
	cpu.platform = (u8)(1 << (platform >> 50 & 7));
	cpu.revision = running_revision(cpu.amd);
	return cpu;
}

void ucode_update_cpu(void)
{
	struct ucode_cpu cpu = this_one();
	struct ucode_update u;
	u32 now;

	if (ucode_find(file, file_size, &cpu, &u)) {
		wrmsr_safe(cpu.amd ? MSR_AMD_PATCH_LOADER : MSR_UPDATE_TRIGGER, (u64)u.data);
		now = running_revision(cpu.amd);
		if (now == u.revision)
			pr_debug("microcode: %#x -> %#x\n", cpu.revision, now);
		else
			pr_warn("microcode: the CPU refuses %#x and stays at %#x\n", u.revision,
				now);
		cpu.revision = now;
	}
	/* A sibling may have updated this core already, but all CPUs must run the same revision. */
	if (ucode_revision && cpu.revision != ucode_revision)
		pr_warn("microcode: CPUs run %#x and %#x\n", ucode_revision, cpu.revision);
	ucode_revision = cpu.revision;
}

void __init ucode_init(void)
{
	for (unsigned i = 0; i < boot_info.nr_mods; i++) {
		struct boot_module *m = &boot_info.mods[i];

		if (m->bad || strcmp(m->args, "microcode"))
			continue;
		file = phys_to_virt(m->start);
		file_size = m->size;
		m->bad = "is microcode";	/* not a guest */
	}
	ucode_update_cpu();
	pr_info("microcode: revision %#x%s\n", ucode_revision, file ? "" : ", no module");
}
