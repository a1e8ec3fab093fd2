/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSRs that a guest may access: the local APIC's and one table; all others raise #GP. Features
 * that CPUID hides (MCA, TSC_ADJUST, OSVW, LS_CFG for SSBD, SVM) have no entry, so that a kernel
 * which probes the MSRs reaches the same conclusion as from CPUID. Performance counters: pmu.c.
 */
#include <margay/guest_copy.h>
#include <x86/cpuid_policy.h>
#include <x86/direct.h>
#include <x86/microcode.h>
#include <x86/mtrr.h>
#include <x86/pmu.h>
#include <x86/spec.h>

#include "guest.h"

#define HYPERCALL_SLOT 32
#define HWCR_TSC_FREQ_SEL BIT(24)
#define FEATURE_CONTROL_LOCK BIT(0)
#define MISC_ENABLE_FAST_STRING BIT(0)
#define MISC_ENABLE_NO_BTS BIT(11)
#define MISC_ENABLE_NO_PEBS BIT(12)

struct msr_rule {
	u32 first, last;
	u64 value; /* read value when rd is NULL */
	struct msr_read (*rd)(struct vcpu *v);
	int (*wr)(struct vcpu *v, u32 msr, u64 val); /* NULL: #GP */
	enum { INTEL_ONLY = X86_VENDOR_INTEL, AMD_ONLY = X86_VENDOR_AMD, ANY } vendor;
};

const u32 direct_msrs[NR_DIRECT_MSRS] = {
	MSR_STAR,	  MSR_LSTAR,	    MSR_CSTAR,	      MSR_SFMASK,  MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_CS,  MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE,
};

void each_direct_msr(int (*set)(u8 *map, u32 msr, bool rd, bool wr), u8 *map)
{
	for (unsigned i = 0; i < NR_DIRECT_MSRS; i++)
		set(map, direct_msrs[i], false, false);
	if (spec.guest_ibpb)
		set(map, MSR_PRED_CMD, true, false);
	if (spec.guest_l1d_flush)
		set(map, MSR_FLUSH_CMD, true, false);
}

static struct msr_read msr_value(u64 val)
{
	return (struct msr_read){ val, 0 };
}

static int drop(struct vcpu *v __unused, u32 msr __unused, u64 val __unused)
{
	return 0;
}

/* PAT has eight entries; types 2, 3 and above 7 are reserved. SDM 3A 12.12.2. */
bool pat_valid(u64 val)
{
	for (unsigned i = 0; i < 8; i++) {
		u8 type = (u8)(val >> i * 8);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static int write_pat(struct vcpu *v, u32 msr, u64 val)
{
	if (!pat_valid(val))
		return -EPERM;
	hvm->set_msr(v, msr, val);
	return 0;
}

static int write_efer(struct vcpu *v, u32 msr, u64 val)
{
	struct vcpu_mode m;

	if (val & ~cpuid_efer_allowed(v->domain))
		return -EPERM;
	hvm->mode(v, &m);
	if ((m.cr0 & CR0_PG) && ((val ^ m.efer) & EFER_LME))
		return -EPERM;
	/* LMA is the AND of LME and CR0.PG; writes to it are ignored. */
	hvm->set_msr(v, msr, (val & ~EFER_LMA) | (m.efer & EFER_LMA));
	return 0;
}

static int write_apic_base(struct vcpu *v, u32 msr, u64 val)
{
	int rc = vlapic_wrmsr(v, msr, val);

	cpuid_follow(v);
	return rc;
}

static bool has_mtrr(const struct vcpu *v) { return cpuid_latent(v->domain) & CPUID_MTRR; }

/* Linux uses the PAT only if there are MTRRs. There are none to set; all is write-back. */
static struct msr_read read_mtrr(struct vcpu *v)
{
	return (struct msr_read){ msr_slot((u32)v->regs.rcx)->value, has_mtrr(v) ? 0 : -EPERM };
}

static int write_mtrr(struct vcpu *v, u32 msr __unused, u64 val __unused)
{
	return has_mtrr(v) ? 0 : -EPERM;
}

static struct msr_read read_tsc(struct vcpu *v)
{
	return msr_value(rdtsc() + v->tsc_offset);
}

/*
 * Sets v->tsc_offset, which the back-end loads before the next entry; pvclock and the deadline
 * timer follow.
 */
static int write_tsc(struct vcpu *v, u32 msr __unused, u64 val)
{
	u64 deadline;

	direct_timer(v, false);
	deadline = vlapic_read_deadline(v).val;
	v->tsc_offset = val - rdtsc();
	atomic_or(&v->pending, VCPU_WORK_TIME);
	if (deadline)
		vlapic_wrmsr(v, MSR_TSC_DEADLINE, deadline);
	direct_timer(v, true);
	return 0;
}

static struct msr_read read_tsc_aux(struct vcpu *v)
{
	return (struct msr_read){ v->msr_tsc_aux, x86.tsc_aux ? 0 : -EPERM };
}

/* The CPU holds the guest's value while the vCPU is loaded. */
static int write_tsc_aux(struct vcpu *v, u32 msr __unused, u64 val)
{
	if (val >> 32 || !x86.tsc_aux)
		return -EPERM;
	v->msr_tsc_aux = val;
	wrmsr(MSR_TSC_AUX, val);
	return 0;
}

static struct msr_read read_patch_level(struct vcpu *v __unused)
{
	return msr_value(x86.vendor == X86_VENDOR_AMD ? ucode_revision : (u64)ucode_revision << 32);
}

static struct msr_read read_spec_ctrl(struct vcpu *v)
{
	return (struct msr_read){ v->spec_ctrl, spec.guest_ctrl ? 0 : -EPERM };
}

/*
 * Sets the guest's SPEC_CTRL, which the CPU gets at the next entry. A guest that uses it accesses
 * the CPU's from then on, unless there is no memory for its own map of intercepted MSRs.
 */
static int write_spec_ctrl(struct vcpu *v, u32 msr, u64 val)
{
	if (!spec.guest_ctrl || (val & ~(u64)spec.guest_ctrl))
		return -EPERM;
	v->spec_ctrl = (u32)val;
	if (val && !hvm->msr_exits(v, msr, false, false))
		v->spec_ctrl_direct = !x86.virt_spec_ctrl;
	return 0;
}

static struct msr_read read_arch_caps(struct vcpu *v __unused)
{
	return (struct msr_read){ spec_arch_caps, spec_arch_caps ? 0 : -EPERM };
}

/* Without counters of its own, the four of the K7 do not count, as on Xen: no CPUID bit hides them. */
static struct msr_read read_k7(struct vcpu *v)
{
	return v->pmu ? pmu_rdmsr(v, (u32)v->regs.rcx) : msr_value(0);
}

static int write_k7(struct vcpu *v, u32 msr, u64 val)
{
	return v->pmu ? pmu_wrmsr(v, msr, val) : 0;
}

static struct msr_read read_constant(struct vcpu *v)
{
	return msr_value(msr_slot((u32)v->regs.rcx)->value);
}

/* Reports LFENCE as serializing where Margay could set it, so that the guest need not set it. */
static struct msr_read read_de_cfg(struct vcpu *v __unused)
{
	return msr_value(x86.lfence_serializes ? DE_CFG_LFENCE_SERIALIZE : 0);
}

/*
 * Writes the hypercall page: slot n holds `mov eax, n; vmmcall or vmcall; ret`; the slot of
 * HYPERVISOR_iret holds `ud2`. The low bits of val select the page, of which there is one.
 */
static int write_hypercall_page(struct vcpu *v, u32 msr __unused, u64 val)
{
	u8 slot[HYPERCALL_SLOT];
	struct vcpu_mode mode;

	if (val & ~PAGE_MASK)
		return -EPERM;
	for (u32 nr = 0; nr < PAGE_SIZE / HYPERCALL_SLOT; nr++) {
		memset(slot, 0xcc, sizeof(slot));
		if (nr == __HYPERVISOR_iret) {
			slot[0] = 0x0f;
			slot[1] = 0x0b;
		} else {
			slot[0] = 0xb8;
			memcpy(slot + 1, &nr, sizeof(nr));
			memcpy(slot + 5, hvm->call_insn, sizeof(hvm->call_insn));
			slot[8] = 0xc3;
		}
		if (copy_to_gpa(v->domain, val + nr * HYPERCALL_SLOT, slot, sizeof(slot)))
			return -EPERM;
	}
	hvm->mode(v, &mode);
	domain_set_layout(v->domain, mode.width != 64);
	return 0;
}

static const struct msr_rule rules[] = {
	{ MSR_TSC, MSR_TSC, 0, read_tsc, write_tsc, ANY },
	{ MSR_APIC_BASE, MSR_APIC_BASE, 0, vlapic_read_base, write_apic_base, ANY },
	{ MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, 0, vlapic_read_deadline, vlapic_wrmsr, ANY },
	{ MSR_PAT, MSR_PAT, 0, NULL, write_pat, ANY },
	{ MSR_MTRR_CAP, MSR_MTRR_CAP, 0, read_mtrr, NULL, ANY },
	{ MSR_MTRR_DEF, MSR_MTRR_DEF, MTRR_DEF_ON | MEMTYPE_WB, read_mtrr, write_mtrr, ANY },
	{ MSR_EFER, MSR_EFER, 0, NULL, write_efer, ANY },
	{ MSR_TSC_AUX, MSR_TSC_AUX, 0, read_tsc_aux, write_tsc_aux, ANY },
	{ MSR_XEN_HYPERCALL, MSR_XEN_HYPERCALL, 0, NULL, write_hypercall_page, ANY },
	{ MSR_SPEC_CTRL, MSR_SPEC_CTRL, 0, read_spec_ctrl, write_spec_ctrl, ANY },
	{ MSR_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES, 0, read_arch_caps, NULL, INTEL_ONLY },
	{ MSR_PATCH_LEVEL, MSR_PATCH_LEVEL, 0, read_patch_level, drop, ANY },
	{ MSR_DEBUGCTL, MSR_DEBUGCTL, 0, NULL, drop, ANY },
	{ MSR_PLATFORM_ID, MSR_PLATFORM_ID, 0, NULL, NULL, INTEL_ONLY },
	{ MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, 0, NULL, NULL, INTEL_ONLY },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK, NULL, NULL, INTEL_ONLY },
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE,
	  MISC_ENABLE_FAST_STRING | MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS, NULL, drop,
	  INTEL_ONLY },
	/* Linux warns if the TSC does not count at the P0 rate. */
	{ MSR_HWCR, MSR_HWCR, HWCR_TSC_FREQ_SEL, NULL, drop, AMD_ONLY },
	{ MSR_DE_CFG, MSR_DE_CFG, 0, read_de_cfg, drop, AMD_ONLY },
	{ MSR_K7_EVNTSEL0, MSR_K7_PERFCTR3, 0, read_k7, write_k7, AMD_ONLY },
	{ MSR_SYSCFG, MSR_SYSCFG, 0, NULL, drop, AMD_ONLY },
	{ MSR_NB_CFG, MSR_NB_CFG, 0, NULL, drop, AMD_ONLY },
	{ MSR_INT_PENDING, MSR_INT_PENDING, 0, NULL, drop, AMD_ONLY },
	{ MSR_MMIO_CONF_BASE, MSR_MMIO_CONF_BASE, 0, NULL, drop, AMD_ONLY },
};

struct msr_slot msr_slots[1 << MSR_SLOT_BITS];

void __init msr_rules_init(void)
{
	msr_slots[0].msr = 1; /* no empty slot matches: MSR 0 belongs to slot 0 */
	for (const struct msr_rule *r = rules; r < rules + ARRAY_SIZE(rules); r++) {
		for (u32 msr = r->first; msr <= r->last; msr++) {
			struct msr_slot *s = msr_slot(msr);

			if (r->vendor != ANY && r->vendor != x86.vendor)
				continue;
			BUG_ON(s->rd); /* MSR_SLOT_FACTOR must keep all MSRs apart */
			*s = (struct msr_slot){ msr, r->value, r->rd ? r->rd : read_constant,
						r->wr };
		}
	}
	/* The back-end holds these two. */
	msr_slot(MSR_PAT)->rd = msr_slot(MSR_EFER)->rd = hvm->get_msr;
}

/*
 * MSRs that are 0 and do nothing, of a guest that came with the features: Xen's MTRRs (8 pairs, and
 * the fixed ones), and its machine checks (2 banks).
 */
static bool latent_msr(const struct vcpu *v, u32 msr)
{
	static const struct {
		u32 first, last, feature;
	} ranges[] = {
		{ 0x200, 0x20f, CPUID_MTRR }, { 0x250, 0x250, CPUID_MTRR },
		{ 0x258, 0x259, CPUID_MTRR }, { 0x268, 0x26f, CPUID_MTRR },
		{ 0x179, 0x17b, CPUID_MCA },  { 0x400, 0x407, CPUID_MCA },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		if (msr >= ranges[i].first && msr <= ranges[i].last)
			return !v->domain->vpci && cpuid_latent(v->domain) & ranges[i].feature;
	return false;
}

struct msr_read guest_rdmsr_other(struct vcpu *v, u32 msr)
{
	return latent_msr(v, msr) ? msr_value(0) : pmu_rdmsr(v, msr);
}

int guest_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
	const struct msr_slot *s = msr_slot(msr);

	if (msr - MSR_X2APIC_BASE < 0x100)
		return vlapic_wrmsr(v, msr, val);
	if (s->msr != msr)
		return latent_msr(v, msr) ? 0 : pmu_wrmsr(v, msr, val);
	return s->wr ? s->wr(v, msr, val) : -EPERM;
}
