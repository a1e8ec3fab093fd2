/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x: checks the CPU's capabilities and sets up each CPU. SDM 3C 24.7, 3D A. */
#include <margay/cmdline.h>
#include <x86/apic_regs.h>

#include "vmx.h"

#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMXON BIT(2)

/* #DB #AC (infinite loops) and #MC */
#define EXCEPTIONS (BIT(1) | BIT(17) | BIT(18))

struct vmx_caps vmx_caps;
static u8 *msr_bitmap, *apicv_bitmap;

/* The controls that Margay needs, and those that it uses if the CPU has them. */
static const struct control {
	u32 msr;
	u32 need, want;
	u32 *out;
	const char *what;
} controls[] = {
	{ MSR_VMX_TRUE_PINBASED, PIN_EXTINT | PIN_NMI | PIN_VIRTUAL_NMI, 0, &vmx_caps.controls.pin,
	  "pin-based controls (virtual NMIs)" },
	{ MSR_VMX_TRUE_PROCBASED,
	  CPU_TSC_OFFSET | CPU_HLT | CPU_MWAIT | CPU_RDPMC | CPU_TPR_SHADOW | CPU_IO |
		  CPU_MSR_BITMAP | CPU_MONITOR | CPU_SECONDARY,
	  0, &vmx_caps.controls.cpu, "processor-based controls (TPR shadow, MSR bitmaps)" },
	{ MSR_VMX_PROCBASED2, CPU2_EPT, CPU2_UNRESTRICTED, &vmx_caps.controls.cpu2,
	  "extended page tables" },
	{ MSR_VMX_PROCBASED2, CPU2_EPT | CPU2_UNRESTRICTED | CPU2_WBINVD,
	  CPU2_RDTSCP | CPU2_VPID | CPU2_INVPCID | CPU2_PAUSE_LOOP, &vmx_caps.controls.cpu2,
	  "unrestricted guest" },
	{ MSR_VMX_TRUE_EXIT,
	  EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |
		  EXIT_LOAD_EFER,
	  EXIT_ACK, &vmx_caps.controls.exit, "VM-exit controls (PAT and EFER)" },
	{ MSR_VMX_TRUE_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, 0,
	  &vmx_caps.controls.entry, "VM-entry controls (PAT and EFER)" },
};

/*
 * Sets *c->out. A capability MSR holds the must-be-1 bits in its low half, the may-be-1 bits in its
 * high half. A.3.
 */
static bool __init choose_controls(const struct control *c)
{
	u64 cap = rdmsr(c->msr);
	u32 must = (u32)cap, may = (u32)(cap >> 32);

	*c->out = must | c->need | (c->want & may);
	if (!(*c->out & ~may))
		return true;
	pr_err("this CPU's VT-x lacks %s (bits %x of MSR %x)\n", c->what, *c->out & ~may, c->msr);
	return false;
}

static bool __init has_secondary(void)
{
	if (rdmsr(MSR_VMX_BASIC) & BASIC_TRUE &&
	    rdmsr(MSR_VMX_TRUE_PROCBASED) >> 32 & CPU_SECONDARY)
		return true;
	pr_err("this CPU's VT-x has no extended page tables\n");
	return false;
}

/* Enables VMX if firmware left the MSR unlocked. */
static bool feature_control(void)
{
	u64 fc = rdmsr(MSR_FEATURE_CONTROL);

	if (!(fc & FEATURE_CONTROL_LOCK)) {
		wrmsr(MSR_FEATURE_CONTROL, fc | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON);
		return true;
	}
	return fc & FEATURE_CONTROL_VMXON;
}

bool __init vmx_probe(void)
{
	const u64 ept_need = EPT_CAP_4_LEVELS | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_INVEPT |
			     EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL;
	u32 a, b, c, d;

	cpuid_count(1, 0, &a, &b, &c, &d);
	if (!(c >> 5 & 1))
		return false;
	if (!feature_control()) {
		pr_err("VT-x is disabled by firmware (FEATURE_CONTROL): enable it in its setup\n");
		return false;
	}
	if (!has_secondary())
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++)
		if (!choose_controls(&controls[i]))
			return false;
	vmx_caps.controls.exceptions = EXCEPTIONS;
	vmx_caps.basic = rdmsr(MSR_VMX_BASIC);
	vmx_caps.ept = rdmsr(MSR_VMX_EPT_VPID_CAP);
	if ((vmx_caps.ept & ept_need) != ept_need) {
		pr_err("this CPU's VT-x has EPT without 2 MiB pages, write-back or INVEPT\n");
		return false;
	}
	vmx_caps.preemption_timer = rdmsr(MSR_VMX_TRUE_PINBASED) >> 32 & PIN_PREEMPTION_TIMER;
	vmx_caps.apicv = (rdmsr(MSR_VMX_PROCBASED2) >> 32 & CPU2_APICV) == CPU2_APICV;
	x86.posting = vmx_caps.apicv && (vmx_caps.controls.exit & EXIT_ACK) &&
		      (rdmsr(MSR_VMX_TRUE_PINBASED) >> 32 & PIN_POSTED) && !opt.noposting;
	x86.nested_page1g = vmx_caps.ept & EPT_CAP_1G;
	x86.nested_dirty = vmx_caps.ept & EPT_CAP_AD ? EPT_D : EPT_W;
	pr_info("VT-x: %s1 GiB pages%s%s%s%s\n", x86.nested_page1g ? "" : "no ",
		vmx_caps.ept & EPT_CAP_AD ? ", accessed and dirty bits" : "",
		vmx_caps.controls.cpu2 & CPU2_VPID ? ", VPID" : "",
		vmx_caps.apicv ? ", interrupt delivery" : "",
		x86.posting ? ", posted interrupts" : "");
	return true;
}

/* Builds the bitmap for hardware that keeps x2APIC registers in the vLAPIC's page. SDM 3C 30.5. */
static void __init make_apicv_bitmap(void)
{
	memcpy(apicv_bitmap, msr_bitmap, PAGE_SIZE);
	vmx_bitmap_set(apicv_bitmap, MSR_X2APIC_BASE + APIC_TPR / 16, false, false);
	vmx_bitmap_set(apicv_bitmap, MSR_X2APIC_BASE + APIC_PPR / 16, false, true);
	vmx_bitmap_set(apicv_bitmap, MSR_X2APIC_BASE + APIC_EOI / 16, true, false);
	vmx_bitmap_set(apicv_bitmap, MSR_X2APIC_BASE + APIC_SELF_IPI / 16, true, false);
	for (u32 i = 0; i < 8; i++)
		vmx_bitmap_set(apicv_bitmap, MSR_X2APIC_BASE + APIC_ISR / 16 + i, false, true);
}

static void __init make_bitmaps(void)
{
	msr_bitmap = alloc_page();
	apicv_bitmap = alloc_page();
	if (!msr_bitmap || !apicv_bitmap)
		panic("no memory for VT-x's MSR bitmaps\n");
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	each_direct_msr(vmx_bitmap_set, msr_bitmap);
	make_apicv_bitmap();
}

paddr_t vmx_msr_bitmap(struct vmx_vcpu *s)
{
	u8 *shared = s->by_hardware ? apicv_bitmap : msr_bitmap;

	if (!s->msr_bitmap)
		return virt_to_phys(shared);
	/* Copy the bits of the x2APIC MSRs, reads and writes. */
	memcpy(s->msr_bitmap + MSR_X2APIC_BASE / 8, shared + MSR_X2APIC_BASE / 8, 32);
	memcpy(s->msr_bitmap + 2048 + MSR_X2APIC_BASE / 8, shared + 2048 + MSR_X2APIC_BASE / 8, 32);
	return virt_to_phys(s->msr_bitmap);
}

int vmx_cpu_init(struct cpu *c)
{
	u32 *region = alloc_pages(1, c->node);

	if (!region)
		return -ENOMEM;
	if (!msr_bitmap)
		make_bitmaps();
	if (!feature_control()) {
		pr_err("CPU %u: VT-x is disabled by the firmware\n", c->id);
		return -EINVAL;
	}
	*region = (u32)(vmx_caps.basic & BASIC_REVISION);
	write_cr4(read_cr4() | CR4_VMXE);
	if (vmxon(virt_to_phys(region))) {
		pr_err("CPU %u: VMXON failed\n", c->id);
		return -EINVAL;
	}
	/* Earlier users of VT-x may have left translations. */
	invept(INV_ALL, 0);
	if (vmx_caps.ept & EPT_CAP_INVVPID_ALL)
		invvpid(INV_ALL, 0);
	return 0;
}
