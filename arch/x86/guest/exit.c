/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of the frequent exits, shared by both back-ends. They run on the vCPU's own CPU, in its
 * run loop, with v->regs up to date and no lock held. MSRs are in msr.c, ports in io.c, nested page
 * faults in mmio.c.
 */
#include <margay/evtchn.h>
#include <margay/sched.h>
#include <x86/cpuid_policy.h>

#include "guest.h"

/*
 * Wraps RIP to the code's width. Returns true, with RIP back at the instruction, when RIP left the
 * canonical addresses: the caller raises #GP at the instruction, since VT-x only enters at
 * canonical addresses. SDM 3C 27.3.1.4.
 */
static bool leaves_code(struct vcpu *v, unsigned insn_len)
{
	struct vcpu_mode m;

	hvm->mode(v, &m);
	if (m.width != 64)
		v->regs.rip = (u32)v->regs.rip;
	else if (!is_canonical(v->regs.rip, m.cr4))
		v->regs.rip -= insn_len;
	else
		return false;
	return m.width == 64;
}

void finish_insn(struct vcpu *v, unsigned insn_len)
{
	if ((u32)v->regs.rip < insn_len && leaves_code(v, insn_len)) {
		inject_gp(v);
		return;
	}
	v->regs.rflags &= ~RFLAGS_RF;
	hvm->skip_shadow(v);
	/* Raise the single-step trap of this instruction; skip_shadow() has updated DR6. */
	if (v->regs.rflags & RFLAGS_TF)
		inject_exception(v, X86_DB, false, 0);
}

static void exit_cpuid(struct vcpu *v, unsigned insn_len)
{
	u32 leaf = (u32)v->regs.rax;
	const struct cpuid_regs *r;

	/* With VT-x, a guest changes most bits of CR4 without an exit. */
	if (leaf == 1 || leaf == 7)
		cpuid_follow(v);
	r = cpuid_guest(v, leaf, (u32)v->regs.rcx);
	v->regs.rax = r->eax;
	v->regs.rbx = r->ebx;
	v->regs.rcx = r->ecx;
	v->regs.rdx = r->edx;
	guest_skip(v, insn_len);
}

static void exit_rdmsr(struct vcpu *v, unsigned insn_len)
{
	struct msr_read r = guest_rdmsr(v, (u32)v->regs.rcx);

	if (r.err) {
		v->stats.msrs++;
		inject_gp(v);
		return;
	}
	v->regs.rax = (u32)r.val;
	v->regs.rdx = r.val >> 32;
	guest_skip(v, insn_len);
}

static void exit_wrmsr(struct vcpu *v, unsigned insn_len)
{
	if (guest_wrmsr(v, (u32)v->regs.rcx, v->regs.rdx << 32 | (u32)v->regs.rax)) {
		v->stats.msrs++;
		inject_gp(v);
	} else {
		guest_skip(v, insn_len);
	}
}

/* Returns true when every vCPU is offline or halted with interrupts off: none can wake another. */
static bool halted_for_good(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		const struct vcpu *v = d->vcpus[i];
		enum run_state s = READ_ONCE(v->state);

		if (s != RUN_OFFLINE && !(s == RUN_BLOCKED && READ_ONCE(v->halted)))
			return false;
	}
	return true;
}

/*
 * As on Xen, CLI; HLT on the last vCPU powers the guest off. Each vCPU checks after it has blocked.
 */
static void exit_hlt(struct vcpu *v, unsigned insn_len)
{
	guest_skip(v, insn_len);
	/* End a poll that an interrupt ended, so that a masked event does not end this HLT. */
	evtchn_poll_end(v);
	v->halted = !(v->regs.rflags & RFLAGS_IF);
	vcpu_block(v);
	if (unlikely(v->halted) && halted_for_good(v->domain))
		domain_shutdown(v->domain, SHUTDOWN_poweroff);
}

bool xcr0_valid(const struct domain *d, u64 val)
{
	u64 avx512 = val & XCR0_AVX512;

	if (!(val & XCR0_X87) || (val & ~cpuid_xcr0_allowed(d)))
		return false;
	if ((val & XCR0_AVX) && !(val & XCR0_SSE))
		return false;
	return !avx512 || (avx512 == XCR0_AVX512 && (val & XCR0_AVX));
}

/* The CPU takes the intercept before it checks the privilege level. */
static void exit_xsetbv(struct vcpu *v, unsigned insn_len)
{
	u64 val = v->regs.rdx << 32 | (u32)v->regs.rax;
	struct vcpu_mode m;

	hvm->mode(v, &m);
	if (!(m.cr4 & CR4_OSXSAVE)) {
		inject_ud(v);
	} else if (m.cpl != 0 || (u32)v->regs.rcx != 0 || !xcr0_valid(v->domain, val)) {
		inject_gp(v);
	} else {
		v->xcr0 = val;
		/* The CPU holds the guest's XCR0 while the vCPU is loaded (eager switching). */
		write_xcr0(val);
		guest_skip(v, insn_len);
	}
}

void guest_triple_fault(struct vcpu *v)
{
	pr_warn("guest %s: triple fault on vCPU %u\n", v->domain->name, v->id);
	arch_vcpu_dump(v);
	domain_shutdown(v->domain, (unsigned)v->domain->hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON]);
}

static void exit_interrupt(struct vcpu *v __unused, unsigned insn_len __unused)
{
	arch_poll_irqs();
}

static void exit_window(struct vcpu *v, unsigned insn_len __unused)
{
	atomic_or(&v->pending, VCPU_WORK_WINDOW);
}

/* Yields: the vCPU that the guest waits for may be runnable on this CPU. */
static void exit_pause(struct vcpu *v, unsigned insn_len)
{
	guest_skip(v, insn_len);
	arch_poll_irqs();
	vcpu_yield(v);
}

static void exit_undefined(struct vcpu *v, unsigned insn_len __unused)
{
	inject_ud(v);
}

static void exit_refused(struct vcpu *v, unsigned insn_len __unused)
{
	inject_gp(v);
}

static void exit_triple_fault(struct vcpu *v, unsigned insn_len __unused)
{
	guest_triple_fault(v);
}

static void exit_nothing(struct vcpu *v __unused, unsigned insn_len __unused)
{
}

static void exit_unexpected(struct vcpu *v, unsigned insn_len __unused)
{
	domain_crash(v->domain, v, "unexpected exit");
}

const char *const exit_names[NR_EXITS] = {
#define EXIT(id, name, handler) [EXIT_##id] = name,
#include <margay/exits.def>
};

void (*const exit_handlers[NR_EXITS])(struct vcpu *v, unsigned insn_len) = {
#define EXIT(id, name, handler) [EXIT_##id] = handler,
#include <margay/exits.def>
};
