/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V: probing, set-up of each CPU and vCPU, and the rare operations of hvm_ops. APM2 15. */
#include <x86/paging.h>
#include <x86/spec.h>

#include "svm.h"

#define VM_CR_SVMDIS BIT(4)
#define FEATURE_NP BIT(0)
#define FEATURE_NRIPS BIT(3)
#define FEATURE_V_SPEC_CTRL BIT(20)

#define IOPM_PAGES 3

bool svm_inject_virq, svm_nrips;
static u32 max_asid;
u8 *svm_msrpm;
static u8 *iopm;

static bool __init svm_probe(void)
{
	u32 a, b, c, d;

	cpuid_count(0x80000000, 0, &a, &b, &c, &d);
	if (a < 0x8000000a)
		return false;
	cpuid_count(0x80000001, 0, &a, &b, &c, &d);
	if (!(c >> 2 & 1))
		return false;
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) {
		pr_err("AMD-V is disabled by firmware (VM_CR.SVMDIS): enable SVM in its setup\n");
		return false;
	}
	cpuid_count(0x8000000a, 0, &a, &b, &c, &d);
	if (!(d & FEATURE_NP)) {
		pr_err("this CPU's AMD-V has no nested paging\n");
		return false;
	}
	x86.nested_page1g = x86.page1g;
	x86.nested_dirty = PTE_D;
	svm_nrips = d & FEATURE_NRIPS;
	x86.virt_spec_ctrl = d & FEATURE_V_SPEC_CTRL;
	/*
	 * TCG's VMRUN records an EVENTINJ interrupt as an exception to raise: if one of the
	 * emulator's own requests comes before the record is cleared, the guest takes the interrupt
	 * a second time, whatever its IF is. (Bochs in turn delays a virtual interrupt that is set
	 * while IF is set.)
	 */
	svm_inject_virq = under_tcg();
	max_asid = b;
	return true;
}

static void __init make_bitmaps(void)
{
	svm_msrpm = alloc_pages(MSRPM_PAGES, NODE_ANY);
	iopm = alloc_pages(IOPM_PAGES, NODE_ANY);
	if (!svm_msrpm || !iopm)
		panic("no memory for AMD-V's permission maps\n");
	memset(svm_msrpm, 0xff, MSRPM_PAGES * PAGE_SIZE);
	memset(iopm, 0xff, IOPM_PAGES * PAGE_SIZE);
	each_direct_msr(svm_msrpm_set, svm_msrpm);
}

static int svm_cpu_init(struct cpu *c)
{
	struct svm_cpu *s = kzalloc(sizeof(*s));
	void *hsave = alloc_pages(1, c->node), *host = alloc_pages(1, c->node);

	if (!s || !hsave || !host)
		return -ENOMEM;
	if (!svm_msrpm)
		make_bitmaps();
	s->host_pa = virt_to_phys(host);
	s->max_asid = max_asid;
	s->next_asid = 1;
	s->generation = (u64)c->id << 48 | 1;
	c->hvm = s;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, virt_to_phys(hsave));
	__asm__ volatile("vmsave %0" ::"a"(s->host_pa) : "memory");
	return 0;
}

static int svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *s = kzalloc(sizeof(*s));
	struct vmcb *m = dom_alloc_meta(v->domain, 1);

	if (!s || !m) {
		kfree(s);
		if (m)
			dom_free_meta(v->domain, m, 1);
		return -ENOMEM;
	}
	v->block = m;
	v->hw_block = virt_to_phys(m);
	v->entry = ENTER_NEW_ASID | (spec.actions & SPEC_SWITCH ? ENTER_SPEC : 0);
	v->hvm = s;
	m->intercept_exc = 1U << 1 | 1U << 17 | 1U << 18; /* #DB #AC (infinite loops) and #MC */
	m->intercept_cr = INTERCEPT_CR4_READ | INTERCEPT_CR4_WRITE;
	m->intercept1 = INTERCEPT_CR0_SEL_WRITE | INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT |
			(v->domain->pmu ? 0 : INTERCEPT_RDPMC) | INTERCEPT_CPUID | INTERCEPT_RSM |
			INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IO |
			INTERCEPT_MSR | INTERCEPT_TASK_SWITCH | INTERCEPT_FERR_FREEZE |
			INTERCEPT_SHUTDOWN;
	m->intercept2 = INTERCEPT_SVM | INTERCEPT_WBINVD | INTERCEPT_MONITOR | INTERCEPT_MWAIT |
			INTERCEPT_XSETBV | INTERCEPT_RDPRU;
	m->iopm_pa = virt_to_phys(iopm);
	m->msrpm_pa = virt_to_phys(svm_msrpm);
	m->v_intr_masking = V_INTR_MASKING;
	m->np_enable = 1;
	m->n_cr3 = virt_to_phys(v->domain->p2m.pt.root);
	return 0;
}

static void svm_vcpu_free(struct vcpu *v)
{
	if (!v->hvm)
		return;
	if (vmcb_of(v)->msrpm_pa != virt_to_phys(svm_msrpm))
		dom_free_meta(v->domain, phys_to_virt(vmcb_of(v)->msrpm_pa), MSRPM_PAGES);
	dom_free_meta(v->domain, vmcb_of(v), 1);
	kfree(v->hvm);
	v->hvm = NULL;
}

/* What ends a shared guest's turn and goes on in a direct one. */
#define SHARED1 (INTERCEPT_INTR | INTERCEPT_HLT)
#define SHARED2 (INTERCEPT_MONITOR | INTERCEPT_MWAIT)

static void svm_direct(struct vcpu *v, bool on)
{
	struct vmcb *m = vmcb_of(v);

	m->intercept1 = on ? m->intercept1 & ~SHARED1 : m->intercept1 | SHARED1;
	m->intercept2 = on ? m->intercept2 & ~SHARED2 : m->intercept2 | SHARED2;
	m->v_intr_masking = on ? 0 : V_INTR_MASKING;
}

static void svm_load(struct vcpu *v)
{
	const struct svm_cpu *c = v->cpu->hvm;

	v->hw_host = c->host_pa;
	if (svm(v)->asid_generation != c->generation)
		v->entry |= ENTER_NEW_ASID;
}

static void svm_mode(struct vcpu *v, struct vcpu_mode *out)
{
	const struct vmcb *m = vmcb_of(v);

	out->cr0 = m->cr0 | svm(v)->cr0_kept;
	out->cr2 = m->cr2;
	out->cr3 = m->cr3;
	out->cr4 = m->cr4 & ~CR4_MCE;
	out->efer = m->efer & ~EFER_SVME;
	out->cpl = m->cpl;
	out->width = (m->efer & EFER_LMA) && (m->cs.attr & 0x200) ? 64 :
		     m->cs.attr & 0x400                           ? 32 :
								    16;
	out->cs_base = out->width == 64 ? 0 : m->cs.base;
}

static bool svm_refresh_paging_state(struct vcpu *v)
{
	const struct vmcb *m = vmcb_of(v);
	struct paging_state *p = &v->paging;

	p->cr3 = m->cr3;
	if (likely(p->cr0 == m->cr0 && p->cr4 == m->cr4 && p->efer == m->efer))
		return false;
	*p = (struct paging_state){ m->cr0, m->cr3, m->cr4, m->efer };
	return true;
}

static struct msr_read svm_get_msr(struct vcpu *v)
{
	const struct vmcb *m = vmcb_of(v);

	return (struct msr_read){ (u32)v->regs.rcx == MSR_EFER ? m->efer & ~EFER_SVME : m->g_pat,
				  0 };
}

static void svm_set_msr(struct vcpu *v, u32 msr, u64 val)
{
	if (msr == MSR_EFER)
		vmcb_of(v)->efer = val | EFER_SVME;
	else
		vmcb_of(v)->g_pat = val;
}

static void svm_skip_shadow(struct vcpu *v)
{
	struct vmcb *m = vmcb_of(v);

	m->int_state &= ~INT_SHADOW;
	if (unlikely(v->regs.rflags & RFLAGS_TF))
		m->dr6 |= DR6_BS;
}

static u64 svm_cr4(struct vcpu *v)
{
	return vmcb_of(v)->cr4 & ~CR4_MCE;
}

static void svm_set_cr2(struct vcpu *v, u64 cr2)
{
	vmcb_of(v)->cr2 = cr2;
	write_cr2(cr2);	/* VMRUN loads CR2; Bochs 2.7 does not */
}

static void svm_request_flush(struct vcpu *v)
{
	struct svm_cpu *c = v->cpu->hvm;

	/* Once all are used, only the entry itself can flush them. */
	if (likely(c->next_asid < c->max_asid))
		svm_take_asid(c, v);
	else
		v->entry |= ENTER_NEW_ASID;
}

static struct vcpu_seg svm_seg(struct vcpu *v, unsigned seg)
{
	return (&vmcb_of(v)->es)[seg];
}

static void svm_dump(struct vcpu *v)
{
	const struct vmcb *m = vmcb_of(v);

	printk("exit %#lx info %lx %lx intinfo %lx CPL %u\n", m->exitcode, m->exitinfo1,
	       m->exitinfo2, m->exitintinfo, m->cpl);
}

#define NPT_LEAF (PTE_P | PTE_U | PTE_A | PTE_D)
#define NPT_DATA (NPT_LEAF | PTE_NX) /* only the domain's own memory is executable */

const struct hvm_ops svm_ops = {
	.name = "AMD-V",
	.call_insn = { 0x0f, 0x01, 0xd9 }, /* VMMCALL */
	.leaf = {
		[P2M_RAM] = NPT_LEAF | PTE_W,
		[P2M_SHARED] = NPT_DATA | PTE_W,
		[P2M_SHARED_RO] = NPT_DATA,
		[P2M_GRANT_RW] = NPT_DATA | PTE_W,
		[P2M_GRANT_RO] = NPT_DATA,
		[P2M_FOREIGN] = NPT_DATA | PTE_W,
		[P2M_MMIO] = NPT_DATA | PTE_W | PTE_PCD | PTE_PWT,
	},
	.probe = svm_probe,
	.cpu_init = svm_cpu_init,
	.vcpu_init = svm_vcpu_init,
	.vcpu_free = svm_vcpu_free,
	.load = svm_load,
	.run = svm_run,
	.run_direct = svm_run_direct,
	.direct = svm_direct,
	.mode = svm_mode,
	.refresh_paging_state = svm_refresh_paging_state,
	.dump = svm_dump,
	.set_state = svm_set_state,
	.get_state = svm_get_state,
	.msr_exits = svm_msr_exits,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.skip_shadow = svm_skip_shadow,
	.cr4 = svm_cr4,
	.set_cr2 = svm_set_cr2,
	.request_flush = svm_request_flush,
	.seg = svm_seg,
};
