/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU and a domain as far as the processor is concerned: their creation and end, a vCPU's run and dump. */
#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <margay/printk.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/vlapic.h>

/* One for all that CPUs of today have but AMX, which guests are not shown. */
static unsigned xsave_pages(void)
{
	return (unsigned)(ALIGN_UP(x86.xsave_size, PAGE_SIZE) >> PAGE_SHIFT);
}

int arch_vcpu_init(struct vcpu *v)
{
	int rc;

	v->xsave = alloc_pages(xsave_pages(), v->domain->node);
	if (!v->xsave)
		return -ENOMEM;
	rc = hvm->vcpu_init(v);
	if (!rc)
		rc = vlapic_create(v);
	if (!rc)
		arch_vcpu_reset(v);
	return rc;
}

void arch_vcpu_free(struct vcpu *v)
{
	vlapic_destroy(v);
	hvm->vcpu_free(v);
	if (v->xsave)
		free_pages(v->xsave, xsave_pages());
	v->xsave = NULL;
}

void arch_vcpu_run(struct vcpu *v)
{
	if (unlikely(opt.perf_boot))
		boot_guest_entered();
	hvm->run(v);
}

int arch_domain_init(struct domain *d)
{
	return cpuid_policy_init(d);
}

void arch_domain_free(struct domain *d)
{
	cpuid_policy_free(d);
}

void arch_vcpu_dump(struct vcpu *v)
{
	struct regs now = v->regs, *r = &now;

	if (hvm->regs)
		hvm->regs(v, r);
	printk("%s vcpu %u: RIP %016lx RFLAGS %08lx RSP %016lx\n", v->domain->name, v->id, r->rip,
	       r->rflags, r->rsp);
	printk("RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
	printk("RSI %016lx RDI %016lx RBP %016lx R8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
	printk("R9  %016lx R10 %016lx R11 %016lx R12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
	printk("R13 %016lx R14 %016lx R15 %016lx\n", r->r13, r->r14, r->r15);
	hvm->dump(v);
}
