/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's part of a vCPU and a domain: creation and destruction, running and dumping a
 * vCPU.
 */
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <x86/cpuid_policy.h>
#include <x86/direct.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/pmu.h>
#include <x86/vlapic.h>

/* One page holds every component of today's CPUs except AMX, which guests do not have. */
static unsigned xsave_pages(void)
{
	return (unsigned)(ALIGN_UP(x86.xsave_size, PAGE_SIZE) >> PAGE_SHIFT);
}

int arch_vcpu_init(struct vcpu *v)
{
	int rc;

	v->xsave = dom_alloc_meta(v->domain, xsave_pages());
	if (!v->xsave)
		return -ENOMEM;
	cpuid_vcpu_init(v);
	rc = hvm->vcpu_init(v);
	if (!rc)
		rc = vlapic_create(v);
	if (!rc)
		rc = pmu_create(v);
	if (!rc)
		arch_vcpu_reset(v);
	return rc;
}

void arch_vcpu_free(struct vcpu *v)
{
	pmu_destroy(v);
	vlapic_destroy(v);
	hvm->vcpu_free(v);
	if (v->xsave)
		dom_free_meta(v->domain, v->xsave, xsave_pages());
	v->xsave = NULL;
}

/* In DEBUG builds, reads the state and writes it back before each run. */
static void check_state(struct vcpu *v)
{
#ifdef DEBUG
	struct vcpu_state a, b;

	hvm->get_state(v, &a);
	hvm->set_state(v, &a);
	hvm->get_state(v, &b);
	BUG_ON(memcmp(&a, &b, sizeof(a)));
#else
	(void)v;
#endif
}

void arch_vcpu_run(struct vcpu *v)
{
	if (unlikely(opt.perf_boot))
		boot_guest_entered();
	check_state(v);
	if (unlikely(v->core))
		direct_update(v);
	if (unlikely(v->pmu))
		pmu_arm(v);
	if (unlikely(v->direct))
		hvm->run_direct(v);
	else
		hvm->run(v);
}

void arch_vcpu_dump(struct vcpu *v)
{
	static const char name[][5] = { "ES", "CS",   "SS", "DS",   "FS",
					"GS", "LDTR", "TR", "GDTR", "IDTR" };
	const struct regs *r = &v->regs;
	struct vcpu_state st;

	if (v->on_cpu && this_cpu()->loaded != v) {
		printk("%s vcpu %u runs on another CPU\n", v->domain->name, v->id);
		return;
	}
	hvm->get_state(v, &st);
	printk("%s vcpu %u: RIP %016lx RFLAGS %08lx\n", v->domain->name, v->id, r->rip, r->rflags);
	printk("RAX %016lx RBX %016lx RCX %016lx\n", r->rax, r->rbx, r->rcx);
	printk("RDX %016lx RSI %016lx RDI %016lx\n", r->rdx, r->rsi, r->rdi);
	printk("RBP %016lx RSP %016lx R8  %016lx\n", r->rbp, r->rsp, r->r8);
	printk("R9  %016lx R10 %016lx R11 %016lx\n", r->r9, r->r10, r->r11);
	printk("R12 %016lx R13 %016lx R14 %016lx\n", r->r12, r->r13, r->r14);
	printk("R15 %016lx CR2 %016lx CR3 %016lx\n", r->r15, st.cr2, st.cr3);
	printk("CR0 %08lx CR4 %08lx EFER %05lx DR6 %08lx DR7 %lx\n", st.cr0, st.cr4, st.efer,
	       st.dr6, st.dr7);
	for (unsigned i = 0; i < ARRAY_SIZE(name); i++) {
		const struct vcpu_seg *s = i < NR_SEGS  ? &st.seg[i] :
					   i == NR_SEGS ? &st.gdtr :
							  &st.idtr;

		printk("%-4s %04x attr %03x limit %08x base %016lx\n", name[i], s->sel, s->attr,
		       s->limit, s->base);
	}
	if (this_cpu()->loaded == v)
		hvm->dump(v);
}
