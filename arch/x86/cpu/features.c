/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU's features, read once on the boot CPU, and the control registers of every CPU. */
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/msr.h>

struct x86_features x86;

static u64 cr4_bits = CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

#define INTEL_EBX 0x756e6547U	/* Genu(ineIntel): errata depend on the maker */

/* The XSAVE components that Margay switches. */
#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)

void cpuid_machine(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	cpuid_count(leaf, subleaf, &out->eax, &out->ebx, &out->ecx, &out->edx);
}

/*
 * Returns true on CPUs where an instruction fetch through a large page that was split can cause a
 * machine check: all Intel CPUs before Ice Lake except the Atoms (PSCHANGE_MC_NO in the SDM reports
 * a CPU as unaffected).
 */
static bool __init has_itlb_multihit(bool arch_caps)
{
	static const u8 atoms[] = { 0x1c, 0x26, 0x27, 0x35, 0x36, 0x37, 0x4a, 0x4c, 0x4d, 0x57,
				    0x5a, 0x5c, 0x5d, 0x5f, 0x75, 0x7a, 0x85, 0x86, 0x8a, 0x96,
				    0x9c };
	u32 a, b, c, d, model;
	u64 caps = 0;

	cpuid_count(0, 0, &a, &b, &c, &d);
	if (b != INTEL_EBX || (arch_caps && rdmsr_safe(MSR_ARCH_CAPABILITIES, &caps) &&
			       (caps & ARCH_CAP_PSCHANGE_MC_NO)))
		return false;
	cpuid_count(1, 0, &a, &b, &c, &d);
	model = (a >> 4 & 15) | (a >> 12 & 0xf0);
	return (a >> 8 & 15) == 6 && !memchr(atoms, (int)model, sizeof(atoms));
}

bool __init under_tcg(void)
{
	u32 a, b, c, d;

	cpuid_count(0x40000000, 0, &a, &b, &c, &d);
	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447;	/* TCGTCGTCGTCG */
}

void __init features_init(void)
{
	u32 a, b, c, d, max;

	cpuid_count(0, 0, &max, &b, &c, &d);
	cpuid_count(1, 0, &a, &b, &c, &d);
	x86.x2apic = c >> 21 & 1;
	x86.tsc_deadline = c >> 24 & 1;
	x86.xsave = c >> 26 & 1;
	x86.xsave_size = FXSAVE_SIZE + XSAVE_HEADER_SIZE;
	if (x86.xsave)
		cr4_bits |= CR4_OSXSAVE;
	if (max >= 7) {
		cpuid_count(7, 0, &a, &b, &c, &d);
		x86.tsc_adjust = b >> 1 & 1;
		x86.tsc_aux = c >> 22 & 1;	/* RDPID */
		cr4_bits |= (b >> 7 & 1 ? CR4_SMEP : 0) | (b >> 20 & 1 ? CR4_SMAP : 0) |
			    (c >> 2 & 1 ? CR4_UMIP : 0);
		x86.itlb_multihit = has_itlb_multihit(d >> 29 & 1);
	}
	cpuid_count(0x80000001, 0, &a, &b, &c, &d);
	x86.vendor = c >> 2 & 1 ? X86_VENDOR_AMD : X86_VENDOR_INTEL; /* SVM */
	x86.page1g = d >> 26 & 1;
	x86.tsc_aux |= d >> 27 & 1;	/* RDTSCP */
	/* Every CPU with nested paging has these leaves. */
	cpuid_count(0x80000007, 0, &a, &b, &c, &d);
	x86.invariant_tsc = d >> 8 & 1;
	cpuid_count(0x80000008, 0, &a, &b, &c, &d);
	x86.phys_bits = (u8)a;
	x86.fip_leaks = x86.vendor == X86_VENDOR_AMD && !(b >> 2 & 1);
	if (x86.xsave) {
		cpuid_count(0xd, 0, &a, &b, &c, &d);
		x86.xcr0_mask = ((u64)d << 32 | a) & XCR0_KNOWN;
		/* Keep all three parts of AVX-512, or none. */
		if ((x86.xcr0_mask & XCR0_AVX512) != XCR0_AVX512)
			x86.xcr0_mask &= ~XCR0_AVX512;
	}
}

/* Makes LFENCE wait for all earlier instructions: some firmware leaves that off. */
static void serialize_lfence(void)
{
	u64 cfg;

	if (x86.vendor != X86_VENDOR_AMD || !rdmsr_safe(MSR_DE_CFG, &cfg))
		return;
	x86.lfence_serializes = wrmsr_safe(MSR_DE_CFG, cfg | DE_CFG_LFENCE_SERIALIZE) &&
				(rdmsr(MSR_DE_CFG) & DE_CFG_LFENCE_SERIALIZE);
}

void features_init_cpu(void)
{
	u32 a, c, d;

	/* Some firmware and emulators start with caches off; TS and EM would make XSAVE fault. */
	write_cr0((read_cr0() & ~(CR0_CD | CR0_NW | CR0_TS | CR0_EM)) | CR0_WP | CR0_NE | CR0_MP);
	write_cr4(cr4_bits);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
	wrmsr(MSR_PAT, 0x0007010600070106);
	serialize_lfence();
	if (x86.xsave) {
		write_xcr0(x86.xcr0_mask);
		cpuid_count(0xd, 0, &a, &x86.xsave_size, &c, &d);
	}
}
