/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: a vCPU's VMCS. One CPU at a time holds it, from vmx_load() to vmx_save(), and only that CPU
 * writes it: a state set while v is not loaded is stored until v is loaded. SDM 3C 25, 27.3.1.
 */
#include <x86/cpuid_policy.h>
#include <x86/pmu.h>
#include <x86/posting.h>
#include <x86/spec.h>
#include <x86/traps.h>

#include "vmx.h"

/* PAUSEs at most this gap apart, for this window, in TSC ticks: a spin loop. SDM 3C 26.1.3. */
#define PAUSE_GAP_TICKS 128
#define PAUSE_WINDOW_TICKS 4096

static bool is_loaded(const struct vcpu *v)
{
	return this_cpu()->loaded == v;
}

/* Writes the fields that are constant for the vCPU. No field has a value before it is written. */
static void write_constants(struct vcpu *v, struct vmx_vcpu *s)
{
	static const u16 zero[] = {
		PF_ERROR_MASK,	      PF_ERROR_MATCH,	   CR3_TARGET_COUNT,
		EXIT_MSR_STORE_COUNT, EXIT_MSR_LOAD_COUNT, ENTRY_MSR_LOAD_COUNT,
		TSC_OFFSET,	      TPR_THRESHOLD,	   GUEST_DEBUGCTL,
		ACTIVITY,	      HOST_SYSENTER_CS,	   HOST_SYSENTER_ESP,
		HOST_SYSENTER_EIP,    HOST_FS_BASE,	   HOST_FS_SEL,
		HOST_GS_SEL,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
		vmwrite(zero[i], 0);
	if (v->pmu) {
		vmwrite(EXIT_MSR_STORE_AT, virt_to_phys(&v->pmu->global[0]));
		vmwrite(ENTRY_MSR_LOAD_AT, virt_to_phys(&v->pmu->global[0]));
		vmwrite(EXIT_MSR_LOAD_AT, virt_to_phys(&v->pmu->global[1]));
		vmwrite(EXIT_MSR_STORE_COUNT, 1);
		vmwrite(ENTRY_MSR_LOAD_COUNT, 1);
		vmwrite(EXIT_MSR_LOAD_COUNT, 1);
	}
	vmwrite(PIN_CONTROLS, s->controls.pin);
	vmwrite(CPU_CONTROLS, s->cpu_controls);
	vmwrite(CPU_CONTROLS2, s->controls.cpu2);
	vmwrite(EXIT_CONTROLS, s->controls.exit);
	vmwrite(EXCEPTION_BITMAP, s->controls.exceptions);
	vmwrite(MSR_BITMAP, vmx_msr_bitmap(s));
	vmwrite(VIRTUAL_APIC_PAGE, virt_to_phys(vlapic_page(v)));
	for (unsigned i = 0; vmx_caps.apicv && i < 4; i++)
		vmwrite(EOI_EXIT0 + 2 * i, 0);
	vmwrite(EPT_POINTER, s->eptp);
	vmwrite(LINK_POINTER, ~0UL);
	/* The EPT root also tags translations, so ids need only be unique in a domain. */
	if (s->controls.cpu2 & CPU2_VPID)
		vmwrite(VPID, v->id + 1);
	if (s->controls.cpu2 & CPU2_PAUSE_LOOP) {
		vmwrite(PAUSE_GAP, PAUSE_GAP_TICKS);
		vmwrite(PAUSE_WINDOW, PAUSE_WINDOW_TICKS);
	}
	vmwrite(CR0_MASK, CR0_OWNED);
	vmwrite(CR4_MASK, ~cpuid_cr4_allowed(v->domain));
	vmwrite(HOST_CS_SEL, SEL_CODE);
	vmwrite(HOST_SS_SEL, SEL_DATA);
	vmwrite(HOST_DS_SEL, SEL_DATA);
	vmwrite(HOST_ES_SEL, SEL_DATA);
	vmwrite(HOST_TR_SEL, SEL_TSS);
	vmwrite(HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_PAT, rdmsr(MSR_PAT));
	if (spec.actions & SPEC_SWITCH)
		s->slow |= VMX_SPEC;
	vmwrite(HOST_RIP, (u64)(s->slow & VMX_SPEC ? vmx_exit_spec : vmx_exit));
	s->written = true;
}

/* Writes the host fields that differ between CPUs. */
static void write_host(const struct cpu *c, struct vmx_vcpu *s)
{
	vmwrite(HOST_CR0, read_cr0());
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(HOST_CR4, read_cr4());
	vmwrite(HOST_GS_BASE, (u64)c);
	vmwrite(HOST_TR_BASE, gdt_tss_base(c));
	vmwrite(HOST_GDTR_BASE, gdt_base(c));
	vmwrite(HOST_IDTR_BASE, idt_base());
	s->host_rsp = 0;
	s->slow |= VMX_FLUSH;
	s->in_cpu = c;
}

/* Loads the registers that the VMCS does not hold; the CPU holds them while v is loaded. */
static void load_registers(const struct vmx_vcpu *s)
{
	for (unsigned i = 0; i < NR_SWITCHED_MSRS; i++)
		wrmsr(direct_msrs[i], s->switched_msrs[i]);
	write_cr2(s->cr2);
	write_dr6(s->dr6);
}

static void save_registers(struct vmx_vcpu *s)
{
	for (unsigned i = 0; i < NR_SWITCHED_MSRS; i++)
		s->switched_msrs[i] = rdmsr(direct_msrs[i]);
	s->cr2 = read_cr2();
	s->dr6 = read_dr6();
}

static void write_start_state(struct vcpu *v, struct vmx_vcpu *s)
{
	vmx_write_state(v, &s->start);
	memcpy(s->switched_msrs, s->start.msr, sizeof(s->switched_msrs));
	s->cr2 = s->start.cr2;
	s->dr6 = s->start.dr6;
	if (vmx_caps.ept & EPT_CAP_INVVPID_SINGLE)
		invvpid(INV_SINGLE, v->id + 1);
	s->started = true;
}

static void vmx_set_state(struct vcpu *v, const struct vcpu_state *st)
{
	struct vmx_vcpu *s = vmx(v);

	s->start = *st;
	s->started = false;
	if (is_loaded(v)) {
		write_start_state(v, s);
		load_registers(s);
	}
}

/* Makes v's VMCS current for a short time if v is not loaded. */
static void borrow_vmcs(struct vcpu *v)
{
	if (!is_loaded(v))
		BUG_ON(vmptrld(vmx(v)->pa));
}

static void return_vmcs(struct vcpu *v)
{
	struct vcpu *loaded = this_cpu()->loaded;

	if (loaded == v)
		return;
	vmclear(vmx(v)->pa);
	if (loaded)
		BUG_ON(vmptrld(vmx(loaded)->pa));
}

static void vmx_get_state(struct vcpu *v, struct vcpu_state *st)
{
	struct vmx_vcpu *s = vmx(v);

	*st = s->start;
	if (!s->started)
		return;
	if (is_loaded(v))
		save_registers(s);
	borrow_vmcs(v);
	vmx_read_state(v, st);
	return_vmcs(v);
	memcpy(st->msr, s->switched_msrs, sizeof(s->switched_msrs));
	st->cr2 = s->cr2;
	st->dr6 = s->dr6;
}

static int vmx_msr_exits(struct vcpu *v, u32 msr, bool rd, bool wr)
{
	struct vmx_vcpu *s = vmx(v);

	if (!s->msr_bitmap) {
		u8 *own = dom_alloc_meta(v->domain, 1);

		if (!own)
			return -ENOMEM;
		memcpy(own, phys_to_virt(vmx_msr_bitmap(s)), PAGE_SIZE);
		s->msr_bitmap = own;
		borrow_vmcs(v);
		vmwrite(MSR_BITMAP, vmx_msr_bitmap(s));
		return_vmcs(v);
	}
	return vmx_bitmap_set(s->msr_bitmap, msr, rd, wr);
}

static void vmx_load(struct vcpu *v)
{
	struct vmx_vcpu *s = vmx(v);
	struct cpu *c = this_cpu();

	BUG_ON(vmptrld(s->pa));
	if (!s->written)
		write_constants(v, s);
	if (s->in_cpu != c)
		write_host(c, s);
	if (!s->started)
		write_start_state(v, s);
	load_registers(s);
	posting_load(v);
}

static void vmx_save(struct vcpu *v)
{
	struct vmx_vcpu *s = vmx(v);

	posting_save(v);
	save_registers(s);
	vmclear(s->pa);
	s->launched = false;
}

/* What ends a shared guest's turn and goes on in a direct one; CR8 and its TPR are the CPU's. */
#define SHARED (CPU_HLT | CPU_MWAIT | CPU_MONITOR | CPU_TPR_SHADOW)

static void vmx_direct(struct vcpu *v, bool on)
{
	const struct vmx_controls *all = &vmx_caps.controls;
	struct vmx_vcpu *s = vmx(v);

	if (s->by_hardware)
		vmx_intr_delivery(s, false);
	s->controls.pin = on ? all->pin & ~PIN_EXTINT : all->pin;
	s->controls.cpu = on ? s->controls.cpu & ~SHARED : s->controls.cpu | (all->cpu & SHARED);
	s->controls.cpu2 = on ? all->cpu2 & ~CPU2_PAUSE_LOOP : all->cpu2;
	vmwrite(PIN_CONTROLS, s->controls.pin);
	vmwrite(CPU_CONTROLS, s->cpu_controls = s->controls.cpu);
	vmwrite(CPU_CONTROLS2, s->controls.cpu2);
	vmwrite(ACTIVITY, 0);	/* a HLT ends, as on AMD-V */
	s->tpr_threshold = ~0U;
}

/*
 * There is no GIF: an NMI that comes between the last look for work and the entry ends the guest at
 * once. In an NMI handler.
 */
static void vmx_nmi(struct vcpu *v)
{
	if (!vmx_caps.preemption_timer)
		return;
	vmwrite(PREEMPTION_TIMER, 0);
	vmwrite(PIN_CONTROLS, vmx(v)->controls.pin | PIN_PREEMPTION_TIMER);
}

static int vmx_vcpu_init(struct vcpu *v)
{
	struct vmx_vcpu *s = kzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	v->hvm = s;
	s->vmcs = dom_alloc_meta(v->domain, 1);
	if (!s->vmcs)
		return -ENOMEM;
	s->pa = virt_to_phys(s->vmcs);
	*s->vmcs = (u32)(vmx_caps.basic & BASIC_REVISION);
	vmclear(s->pa);
	s->controls = vmx_caps.controls;
	if (v->domain->pmu)
		s->controls.cpu &= ~CPU_RDPMC;
	s->cpu_controls = s->controls.cpu;
	s->eptp = virt_to_phys(v->domain->p2m.pt.root) | EPTP_WB | EPTP_4_LEVELS |
		  (vmx_caps.ept & EPT_CAP_AD ? EPTP_AD : 0);
	return 0;
}

static void vmx_vcpu_free(struct vcpu *v)
{
	struct vmx_vcpu *s = vmx(v);

	if (!s)
		return;
	if (s->vmcs)
		dom_free_meta(v->domain, s->vmcs, 1);
	if (s->msr_bitmap)
		dom_free_meta(v->domain, s->msr_bitmap, 1);
	kfree(s);
	v->hvm = NULL;
}

static u64 vmx_cr4(struct vcpu *v)
{
	return vmread(GUEST_CR4) & cpuid_cr4_allowed(v->domain);
}

static void vmx_mode(struct vcpu *v, struct vcpu_mode *out)
{
	u64 cs = vmread(GUEST_CS_RIGHTS);

	out->cr0 = vmx_cr0();
	out->cr2 = read_cr2();
	out->cr3 = vmread(GUEST_CR3);
	out->cr4 = vmx_cr4(v);
	out->efer = vmread(GUEST_EFER);
	out->cpl = (vmread(GUEST_SS_RIGHTS) & RIGHTS_DPL) >> 5;
	out->width = (out->efer & EFER_LMA) && (cs & RIGHTS_L) ? 64 : cs & RIGHTS_D ? 32 : 16;
	out->cs_base = out->width == 64 ? 0 : vmread(GUEST_CS_BASE);
}

static bool vmx_refresh_paging_state(struct vcpu *v)
{
	struct paging_state *p = &v->paging, is = { vmread(GUEST_CR0), vmread(GUEST_CR3),
						    vmread(GUEST_CR4), vmread(GUEST_EFER) };
	bool same = p->cr0 == is.cr0 && p->cr4 == is.cr4 && p->efer == is.efer;

	*p = is;
	return !same;
}

static enum vmcs_field msr_field(u32 msr)
{
	return msr == MSR_EFER ? GUEST_EFER : GUEST_PAT;
}

static struct msr_read vmx_get_msr(struct vcpu *v)
{
	return (struct msr_read){ vmread(msr_field((u32)v->regs.rcx)), 0 };
}

static void vmx_set_msr(struct vcpu *v __unused, u32 msr, u64 val)
{
	vmwrite(msr_field(msr), val);
}

static void vmx_skip_shadow(struct vcpu *v)
{
	vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) & ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	if (unlikely(v->regs.rflags & RFLAGS_TF)) {
		vmwrite(PENDING_DEBUG, 0);
		write_dr6(read_dr6() | DR6_BS);
	}
}

static void vmx_set_cr2(struct vcpu *v __unused, u64 cr2)
{
	write_cr2(cr2);
}

static void vmx_request_flush(struct vcpu *v)
{
	vmx(v)->slow |= VMX_FLUSH;
}

static void vmx_dump(struct vcpu *v __unused)
{
	printk("exit %#lx qualification %lx gpa %lx\n"
	       "event %lx idt-event %lx insn %lu error %lu\n",
	       vmread(EXIT_REASON), vmread(QUALIFICATION), vmread(GUEST_PHYSICAL),
	       vmread(EXIT_EVENT), vmread(IDT_EVENT), vmread(EXIT_INSN_LEN), vmread(INSN_ERROR));
	printk("entry event %lx blocked %lx controls %lx %lx %lx\n"
	       "controls of exits %lx, of entries %lx\n",
	       vmread(ENTRY_EVENT), vmread(INTERRUPTIBILITY), vmread(PIN_CONTROLS),
	       vmread(CPU_CONTROLS), vmread(CPU_CONTROLS2), vmread(EXIT_CONTROLS),
	       vmread(ENTRY_CONTROLS));
}

/*
 * Memory type write-back, or uncached where the field is 0. EPT does not use
 * the MTRRs: they agree, since RAM that they do not make write-back is left out. SDM 3C 29.3.7.
 */
#define EPT_R BIT(0)
#define EPT_X BIT(2)
#define EPT_WB (6UL << 3)
#define EPT_AD (BIT(8) | EPT_D)

const struct hvm_ops vmx_ops = {
	.name = "VT-x",
	.call_insn = { 0x0f, 0x01, 0xc1 }, /* VMCALL */
	.leaf = {
		[P2M_RAM] = EPT_R | EPT_W | EPT_X | EPT_WB | EPT_AD,
		[P2M_SHARED] = EPT_R | EPT_W | EPT_WB | EPT_AD,
		[P2M_SHARED_RO] = EPT_R | EPT_WB | EPT_AD,
		[P2M_GRANT_RW] = EPT_R | EPT_W | EPT_WB | EPT_AD,
		[P2M_GRANT_RO] = EPT_R | EPT_WB | EPT_AD,
		[P2M_FOREIGN] = EPT_R | EPT_W | EPT_WB | EPT_AD,
		[P2M_MMIO] = EPT_R | EPT_W | EPT_AD,
	},
	.probe = vmx_probe,
	.cpu_init = vmx_cpu_init,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_free = vmx_vcpu_free,
	.load = vmx_load,
	.save = vmx_save,
	.run = vmx_run,
	.run_direct = vmx_run_direct,
	.direct = vmx_direct,
	.nmi = vmx_nmi,
	.mode = vmx_mode,
	.refresh_paging_state = vmx_refresh_paging_state,
	.dump = vmx_dump,
	.set_state = vmx_set_state,
	.get_state = vmx_get_state,
	.msr_exits = vmx_msr_exits,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.skip_shadow = vmx_skip_shadow,
	.cr4 = vmx_cr4,
	.set_cr2 = vmx_set_cr2,
	.request_flush = vmx_request_flush,
	.seg = vmx_seg,
};
