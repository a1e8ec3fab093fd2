/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x's run loop: the work before an entry, the entry, and the switch over exit reasons. This
 * file, vcpu.c and state.c copy the guest's registers between VMCS and struct vcpu. VMREAD and
 * VMWRITE are slow, so fields that a hypercall does not need are not read, and unchanged fields are
 * not written. SDM 3C 26 to 28.
 */
#include <margay/hypercall.h>
#include <margay/sched.h>
#include <x86/apic_regs.h>
#include <x86/direct.h>
#include <x86/posting.h>
#include <x86/spec.h>
#include <x86/traps.h>

#include "vmx.h"

static void set_cpu_controls(struct vmx_vcpu *s, u32 want)
{
	if (s->cpu_controls != want)
		vmwrite(CPU_CONTROLS, s->cpu_controls = want);
}

/*
 * Reads the blocking state and clears the shadow of STI or MOV SS if the exited instruction is
 * complete. Runs only when work is pending: otherwise a stale shadow saves an access and delays an
 * event by at most one instruction.
 */
static u64 read_blocking(struct vcpu *v, const struct vmx_vcpu *s)
{
	u64 b = vmread(INTERRUPTIBILITY);

	if ((b & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)) && v->regs.rip != s->rip) {
		b &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
		vmwrite(INTERRUPTIBILITY, b);
	}
	return b;
}

/* Turns hardware delivery of the vLAPIC's interrupts on or off. SDM 3C 30.2, 30.5. */
void vmx_intr_delivery(struct vmx_vcpu *s, bool by_hardware)
{
	s->by_hardware = by_hardware;
	vmwrite(CPU_CONTROLS2, s->controls.cpu2 | (by_hardware ? CPU2_APICV : 0));
	vmwrite(MSR_BITMAP, vmx_msr_bitmap(s));
	if (!by_hardware)
		s->tpr_threshold = ~0U; /* forces a write */
}

/* Lets hardware's EOI of level-triggered interrupts exit. SDM 3C 30.1.4. */
static __noinline void set_eoi_exits(struct vcpu *v, struct vmx_vcpu *s)
{
	u64 want[4];

	vlapic_eoi_exits(v, want);
	for (unsigned i = 0; i < 4; i++)
		if (s->eoi_exits[i] != want[i])
			vmwrite(EOI_EXIT0 + 2 * i, s->eoi_exits[i] = want[i]);
}

/* Lets hardware take posted interrupts if their notifications come to this CPU. SDM 3C 30.6. */
static void set_posting(struct vcpu *v, struct vmx_vcpu *s)
{
	paddr_t at = 0;
	u8 vector = s->by_hardware ? posting_vector(v, &at) : 0;

	if (s->posted_vector == vector)
		return;
	vmwrite(PIN_CONTROLS, s->controls.pin | (vector ? PIN_POSTED : 0));
	vmwrite(POSTED_VECTOR, s->posted_vector = vector);
	vmwrite(POSTED_DESCRIPTOR, at);
}

static void vmx_prepare_entry(struct vcpu *v)
{
	struct vmx_vcpu *s = vmx(v);
	u64 blocked = read_blocking(v, s);
	u32 controls = s->controls.cpu;
	bool can_take = (v->regs.rflags & RFLAGS_IF) &&
			!(blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));

	if (vlapic_by_hardware(v, vmx_caps.apicv && !v->direct) != s->by_hardware)
		vmx_intr_delivery(s, !s->by_hardware);
	if (unlikely(x86.posting))
		set_posting(v, s);
	/* NMIs cannot be injected after MOV SS either. SDM 3C 27.3.1.5. */
	v->nmi_blocked = blocked & (BLOCKED_BY_NMI | BLOCKED_BY_MOV_SS);
	if (vcpu_prepare_entry(v, can_take))
		controls |= CPU_INTR_WINDOW;
	if (v->nmi_pending)
		controls |= CPU_NMI_WINDOW;
	set_cpu_controls(s, controls);

	if (s->by_hardware) {
		if (unlikely(v->domain->hardware))
			set_eoi_exits(v, s);
		vmwrite(GUEST_INT_STATUS, vlapic_sync_irr_to_page(v));
	} else {
		/* MOV to CR8 exits only while an interrupt waits for a lower TPR. */
		u32 threshold = vlapic_held_by_tpr(v) ? vlapic_get_cr8(v) : 0;

		if (unlikely(s->tpr_threshold != threshold))
			vmwrite(TPR_THRESHOLD, s->tpr_threshold = threshold);
	}
	if (unlikely(s->tsc_offset != v->tsc_offset))
		vmwrite(TSC_OFFSET, s->tsc_offset = v->tsc_offset);
}

static void write_event(struct vcpu *v)
{
	const struct injection *e = &v->inject;
	/* Real mode has no error codes. SDM 3C 27.2.1.3. */
	bool error = e->has_error && (vmread(GUEST_CR0) & CR0_PE);

	trace(INJECT, v, e->vector | (u64)e->type << 8, e->error);
	if (error)
		vmwrite(ENTRY_EVENT_ERROR, e->error);
	if (e->insn_len)
		vmwrite(ENTRY_INSN_LEN, e->insn_len);
	vmwrite(ENTRY_EVENT,
		e->vector | (u64)e->type << 8 | (error ? EVENT_ERROR : 0) | EVENT_VALID);
	v->inject.valid = false;
}

/* Sets a pending single step if TF is set in a shadow, or the entry would fail. SDM 3C 27.3.1.5. */
static __noinline void set_pending_step(void)
{
	if (vmread(INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		vmwrite(PENDING_DEBUG, vmread(PENDING_DEBUG) | DR6_BS);
}

static __noinline bool vmx_switch_slow(struct vcpu *v, struct vmx_vcpu *s)
{
	if (s->slow & VMX_FLUSH)
		invept(INV_SINGLE, s->eptp);
	s->slow &= ~VMX_FLUSH;
	if (!s->slow)
		return vmx_switch(v, s->launched, &s->host_rsp);
	spec_enter(v);
	return vmx_switch_spec(v, s->launched, &s->host_rsp);
}

/* Enters the guest. Returns the exit reason, or ~0 when the entry failed. */
static u64 vmx_enter(struct vcpu *v, struct vmx_vcpu *s)
{
	u64 reason;

	if (v->inject.valid)
		write_event(v);
	if (v->regs.rip != s->rip)
		vmwrite(GUEST_RIP, v->regs.rip);
	if (v->regs.rsp != s->rsp)
		vmwrite(GUEST_RSP, v->regs.rsp);
	if (v->regs.rflags != s->rflags)
		vmwrite(GUEST_RFLAGS, v->regs.rflags);
	if (unlikely(v->regs.rflags & RFLAGS_TF))
		set_pending_step();
	if (unlikely(s->slow ? vmx_switch_slow(v, s) : vmx_switch(v, s->launched, &s->host_rsp)))
		return ~0UL;
	s->launched = true;
	reason = vmread(EXIT_REASON);
	v->regs.rip = s->rip = vmread(GUEST_RIP);
	v->regs.rflags = s->rflags = vmread(GUEST_RFLAGS);
	/* No hypercall needs RSP: until the next read, v->regs.rsp keeps the value last read. */
	if (reason != VMEXIT_VMCALL)
		v->regs.rsp = s->rsp = vmread(GUEST_RSP);
	return reason;
}

/*
 * Blocks NMIs again: an IRET that ended an NMI handler faulted, so the handler continues. SDM 3C
 * 28.2.3.
 */
static void block_nmis_again(void)
{
	vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

static __noinline enum exit_reason exit_reason_of_event(void)
{
	u64 info = vmread(EXIT_EVENT);

	if ((info >> 8 & 7) == INJ_NMI)
		return EXIT_NMI;
	return (u8)info == VEC_MC ? EXIT_MCE : EXIT_EXCEPTION;
}

static void handle_exception(struct vcpu *v)
{
	u64 info = vmread(EXIT_EVENT), causes;

	if ((info & EVENT_NMI_UNBLOCKED) && (u8)info != 8 && !v->inject.valid)
		block_nmis_again();
	/* An event that is never delivered, such as a #DB that raises itself, blocks interrupts. */
	arch_poll_irqs();
	if ((u8)info != 1) {
		inject_exception(v, (u8)info, info & EVENT_ERROR, 0);
		return;
	}
	/* INT1 is a trap and does not change DR6. */
	if ((info >> 8 & 7) == INJ_INT1) {
		v->stats.exceptions++;
		v->inject = (struct injection){ .valid = true,
						.vector = 1,
						.type = INJ_INT1,
						.insn_len = (u8)vmread(EXIT_INSN_LEN) };
		return;
	}
	causes = vmread(QUALIFICATION) & DBQ_CAUSES;
	write_dr6((read_dr6() & ~DR6_B) | causes);
	if (causes & DR6_BD)
		vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~DR7_GD);
	inject_exception(v, 1, false, 0);
}

static void handle_io(struct vcpu *v, unsigned len)
{
	u64 q = vmread(QUALIFICATION);
	struct io_exit io = {
		.port = (u16)(q >> 16), .size = (u8)((q & 7) + 1), .in = q & IOQ_IN,
		.string = q & IOQ_STRING, .rep = q & IOQ_REP, .next_rip = v->regs.rip + len,
	};

	exit_io(v, &io);
}

static void handle_ept_violation(struct vcpu *v)
{
	u64 q = vmread(QUALIFICATION);
	struct npf_exit npf = {
		.gpa = vmread(GUEST_PHYSICAL), .write = q & EPTV_WRITE, .fetch = q & EPTV_FETCH,
		.in_walk = (q & EPTV_LINEAR) && !(q & EPTV_FINAL),
	};

	if ((q & EVENT_NMI_UNBLOCKED) && !v->inject.valid)
		block_nmis_again();
	exit_npf(v, &npf);
}

/*
 * Handles a change of a host-owned CR0 bit. Writes the shadow, and the guest retries the
 * instruction: then the bit causes no exit, and the CPU makes all other changes and checks.
 */
static void write_cr0_shadow(struct vcpu *v, u64 val)
{
	if (val >> 32 || ((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
		inject_gp(v);
	else
		vmwrite(CR0_SHADOW, val & CR0_OWNED);
}

static void handle_cr_access(struct vcpu *v)
{
	u64 q = vmread(QUALIFICATION), val = v->regs.gpr[q >> 8 & 15];

	switch (q & CRQ_MASK) {
	case CRQ_TO(0):
		/* Outside 64-bit mode registers have no upper halves. */
		write_cr0_shadow(v, vmread(GUEST_CS_RIGHTS) & RIGHTS_L ? val : (u32)val);
		break;
	case CRQ_TO(4):
		inject_gp(v);	/* a bit that it may not set: its shadow is 0 */
		break;
	default:
		domain_crash(v->domain, v, "unexpected access to a control register (%lx)", q);
	}
}

/* The length is not read: the hypercall page uses no prefix before VMCALL, and none is useful. */
#define VMCALL_LEN 3

static void handle_vmcall(struct vcpu *v)
{
	long ret;

	if (unlikely(vmread(GUEST_SS_RIGHTS) & RIGHTS_DPL))
		ret = HCALL_NOT_KERNEL;
	else if (unlikely(!(vmread(GUEST_CS_RIGHTS) & RIGHTS_L)))
		ret = vmread(GUEST_CR0) & CR0_PE ? hypercall_32(v, (u32)v->regs.rax, &v->regs) :
						   HCALL_NOT_KERNEL;
	else
		ret = hypercall(v, v->regs.rax, &v->regs);
	if (unlikely(ret == HCALL_RESTART)) {
		v->regs.rflags |= RFLAGS_RF;
		return;
	}
	v->regs.rax = (u64)ret;
	guest_skip(v, VMCALL_LEN);
}

/*
 * Handles a self IPI to a vector below 16, which hardware leaves to software: reports the error.
 * SDM 3C 30.1.5.
 */
static void handle_self_ipi(struct vcpu *v)
{
	const u32 *reg = (const u32 *)((u8 *)vlapic_page(v) + APIC_SELF_IPI);

	(void)!vlapic_wrmsr(v, MSR_X2APIC_BASE + APIC_SELF_IPI / 16, *reg & 0xff);
}

/* Saves an event whose delivery the exit interrupted. SDM 3C 28.2.4. */
static void save_interrupted_event(struct vcpu *v)
{
	u64 info = vmread(IDT_EVENT);

	if (likely(!(info & EVENT_VALID)))
		return;
	vcpu_interrupted_event(v, info, info & EVENT_ERROR ? (u32)vmread(IDT_EVENT_ERROR) : 0);
	/* An undelivered NMI does not block NMIs: inject it again, or leave it pending. */
	if ((info >> 8 & 7) == INJ_NMI)
		vmwrite(INTERRUPTIBILITY, vmread(INTERRUPTIBILITY) & ~BLOCKED_BY_NMI);
}

static void handle_unexpected(struct vcpu *v, u64 reason)
{
	if (reason == ~0UL)
		domain_crash(v->domain, v, "VT-x refuses the entry (instruction error %lu)",
			     vmread(INSN_ERROR));
	else if (reason & EXIT_ENTRY_FAILED)
		domain_crash(v->domain, v, "VT-x refuses the guest's state (entry failure %lu)",
			     (u64)(u16)reason);
	else
		domain_crash(v->domain, v, "unexpected exit %#lx", reason);
}

static enum exit_reason exit_reason_of(const struct vcpu *v, u64 reason)
{
	switch (reason) {
	case VMEXIT_EVENT: return exit_reason_of_event();
	case VMEXIT_PREEMPTION_TIMER: return EXIT_NMI;
	case VMEXIT_EXTINT: return EXIT_INTR;
	case VMEXIT_TRIPLE_FAULT: return EXIT_SHUTDOWN;
	case VMEXIT_INIT:
	case VMEXIT_SIPI: return EXIT_INIT;
	case VMEXIT_INTR_WINDOW:
	case VMEXIT_NMI_WINDOW: return EXIT_WINDOW;
	case VMEXIT_TASK_SWITCH: return EXIT_TASK_SWITCH;
	case VMEXIT_CPUID: return EXIT_CPUID;
	case VMEXIT_HLT: return EXIT_HLT;
	case VMEXIT_INVD:
	case VMEXIT_WBINVD: return EXIT_WBINVD;
	case VMEXIT_RDPMC: return EXIT_RDPMC;
	case VMEXIT_CR:
	case VMEXIT_TPR_BELOW: return EXIT_CR;
	case VMEXIT_IO: return EXIT_IO;
	case VMEXIT_RDMSR: return EXIT_RDMSR;
	case VMEXIT_WRMSR:
	case VMEXIT_EOI:
	case VMEXIT_APIC_WRITE: return EXIT_WRMSR;
	case VMEXIT_PAUSE: return EXIT_PAUSE;
	case VMEXIT_MWAIT:
	case VMEXIT_MONITOR: return v->domain->native ? EXIT_PAUSE : EXIT_UNDEF;
	case EXIT_ENTRY_FAILED | VMEXIT_ENTRY_MC: return EXIT_MCE;
	case VMEXIT_EPT_VIOLATION: return npf_reason(vmread(GUEST_PHYSICAL));
	case VMEXIT_XSETBV: return EXIT_XSETBV;
	case VMEXIT_GETSEC:
	case VMEXIT_RSM:
	case VMEXIT_VMCLEAR ... VMEXIT_VMXON:
	case VMEXIT_INVEPT:
	case VMEXIT_INVVPID: return EXIT_UNDEF;
	default: return EXIT_OTHER;
	}
}

static void vmx_handle_exit(struct vcpu *v, u64 reason)
{
	const struct vmx_vcpu *s = vmx(v);
	enum exit_reason r;
	unsigned len;

	/* The most frequent exit skips exit_reason_of(). */
	if (likely(reason == VMEXIT_VMCALL)) {
		count_exit(v, EXIT_HYPERCALL);
		handle_vmcall(v);
		return;
	}
	len = (unsigned)vmread(EXIT_INSN_LEN);
	r = exit_reason_of(v, reason);
	count_exit(v, r);
	if (reason == VMEXIT_EVENT || reason == VMEXIT_EPT_VIOLATION ||
	    reason == VMEXIT_TASK_SWITCH)
		save_interrupted_event(v);
	switch (r) {
	case EXIT_NPF_APIC:
	case EXIT_NPF: handle_ept_violation(v); break;
	case EXIT_IO: handle_io(v, len); break;
	case EXIT_CR:
		if (reason == VMEXIT_CR)
			handle_cr_access(v);
		else
			atomic_or(&v->pending, VCPU_WORK_LAPIC);
		break;
	case EXIT_NMI:
		if (reason == VMEXIT_PREEMPTION_TIMER)	/* vmx_nmi() */
			vmwrite(PIN_CONTROLS, s->controls.pin);
		else
			__asm__ volatile("int $2"); /* the handler's IRET unblocks NMIs */
		break;
	case EXIT_EXCEPTION:
		handle_exception(v);
		break;
	case EXIT_OTHER:
		handle_unexpected(v, reason);
		break;
	case EXIT_INTR:
		if (s->controls.exit & EXIT_ACK)
			trap_interrupt((u8)vmread(EXIT_EVENT));
		exit_handlers[r](v, len);
		break;
	case EXIT_WRMSR:
		/* SELF_IPI and EOI are the only registers whose writes exit after the write. */
		if (reason == VMEXIT_APIC_WRITE) {
			handle_self_ipi(v);
			break;
		}
		if (reason == VMEXIT_EOI) {
			vlapic_end_level(v, (u8)vmread(QUALIFICATION));
			break;
		}
		/* fall through */
	default:
		exit_handlers[r](v, len);
	}
}

/*
 * Runs v until this CPU has other work. Interrupts are off: a late one causes an immediate exit.
 * direct: only until v is direct no more.
 */
static __always_inline void run(struct vcpu *v, bool direct)
{
	struct cpu *c = this_cpu();
	struct vmx_vcpu *s = vmx(v);
	u64 reason;

	time_exit(v);
	while (!direct || v->direct) {
		/* The pending byte is a level: there is work until the guest clears it. */
		if (unlikely(v->pending | v->waiting_window | v->info->evtchn_upcall_pending))
			vmx_prepare_entry(v);
		if (direct && !v->direct)	/* by an INIT */
			continue;
		if (direct)
			direct_outside(v);
		vcpu_set_in_guest(v);
		smp_mb();
		if (unlikely(c->work | v->pending)) {
			WRITE_ONCE(v->in_guest, false);
			if (direct)
				direct_inside(v);
			if ((c->work && sched_wanted(c)) || (v->pending & VCPU_WORK_STOP))
				break;
			continue;
		}
		trace(ENTRY, v, v->regs.rip, 0);
		time_entry(v);
		hold_over();
		reason = vmx_enter(v, s);
		hold_begin();
		time_exit(v);
		WRITE_ONCE(v->in_guest, false);
		if (direct)
			direct_inside(v);
		vmx_handle_exit(v, reason);
	}
	time_entry(v);
}

void vmx_run(struct vcpu *v)
{
	run(v, false);
}

void vmx_run_direct(struct vcpu *v)
{
	run(v, true);
}
