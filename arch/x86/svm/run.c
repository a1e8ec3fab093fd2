/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V's run loop: the work before an entry, the entry, and the switch over exit codes. This file
 * and state.c copy the guest's registers between VMCB and struct vcpu. APM2 15.5 to 15.12,
 * appendix C.
 */
#include <margay/hypercall.h>
#include <margay/sched.h>
#include <x86/cpuid_policy.h>
#include <x86/decode.h>
#include <x86/direct.h>
#include <x86/spec.h>

#include "svm.h"

#define clgi() __asm__ volatile("clgi" ::: "memory")
#define stgi() __asm__ volatile("stgi" ::: "memory")

/* Calls a world switch, which preserves only v, RSP and RBP. */
#define WORLD_SWITCH(which, v)                                                                 \
	__asm__ volatile("call " which                                                         \
			 : "+b"(v)                                                             \
			 :                                                                     \
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", \
			   "r13", "r14", "r15", "memory", "cc")

#define TRACE_SWITCH (TRACE_BIT(EXIT) | TRACE_BIT(ENTRY))

/* Makes the next entry inject v->inject; called after whatever may have set it. */
static inline void request_event(struct vcpu *v)
{
	if (unlikely(v->inject.valid))
		v->entry |= ENTER_EVENT;
}

/* Assigns an ASID of this CPU that no stale translation uses. */
static void assign_asid(struct vcpu *v)
{
	struct svm_cpu *c = v->cpu->hvm;

	if (c->next_asid >= c->max_asid) {
		c->generation++;
		c->next_asid = 1;
		vmcb_of(v)->tlb_control = TLB_FLUSH_ALL;
	}
	svm_take_asid(c, v);
}

/*
 * Injects events by EVENTINJ. An NMI becomes an interrupt with vector 2, so that the guest's handler
 * cannot block Margay's NMIs; the intercept of IRET shows where that handler ends. QEMU's TCG may
 * deliver an EVENTINJ interrupt twice: there an interrupt is a virtual one, and an NMI an NMI, which
 * blocks none.
 * vcpu_prepare_entry() selects an interrupt only when the guest can take it, so either way it is
 * taken before the next instruction.
 */
static void write_event(struct vcpu *v, struct vmcb *m)
{
	const struct injection *e = &v->inject;
	u8 type = e->type == INJ_NMI && !svm_inject_virq ? INJ_EXTINT : e->type;

	v->inject.valid = false;
	trace(INJECT, v, e->vector | (u64)e->type << 8, e->error);
	if (svm_inject_virq && e->type == INJ_EXTINT) {
		m->v_irq = V_IRQ;
		m->v_intr_prio = V_IGN_TPR | 0xf;
		m->v_vector = e->vector;
		return;
	}
	m->eventinj = e->vector | (u64)type << 8 | (e->has_error ? EVENT_ERROR : 0) | EVENT_VALID |
		      (u64)e->error << 32;
	if (e->type == INJ_NMI) {
		v->nmi_blocked = true;
		m->intercept1 |= INTERCEPT_IRET;
	}
}

/* Enters the guest with the work of ENTER_SLOW. */
static __noinline void svm_enter_slow(struct vcpu *v)
{
	struct vmcb *m = vmcb_of(v);
	u8 how = v->entry;

	v->entry = how & ENTER_SPEC;
	if (how & ENTER_NEW_ASID)
		assign_asid(v);
	if (how & ENTER_SPEC) {
		m->spec_ctrl = v->spec_ctrl; /* for CPUs that switch it in VMRUN */
		spec_enter(v);
		WORLD_SWITCH("svm_switch_spec", v);
		if (x86.virt_spec_ctrl)
			v->spec_ctrl = (u32)m->spec_ctrl;
	} else if (how & ENTER_IN_SHADOW) {
		WORLD_SWITCH("svm_switch_shadow", v);
	} else {
		WORLD_SWITCH("svm_switch", v);
	}
	m->tlb_control = 0;
}

static bool can_take_interrupt(struct vcpu *v)
{
	return (v->regs.rflags & RFLAGS_IF) && !(vmcb_of(v)->int_state & INT_SHADOW);
}

/*
 * Sets a virtual interrupt that is never delivered: its exit shows that the guest can take
 * interrupts.
 */
static void open_intr_window(struct vmcb *m)
{
	m->v_irq = V_IRQ;
	m->v_intr_prio = V_IGN_TPR | 0xf;
	m->v_vector = 0;
	m->intercept1 |= INTERCEPT_VINTR;
}

static void close_intr_window(struct vmcb *m)
{
	m->v_irq = 0;
	m->intercept1 &= ~INTERCEPT_VINTR;
}

/*
 * Single-steps over the IRET that ends an NMI handler while another NMI is pending: the step shows
 * when the IRET is complete. APM2 15.20.
 */
static void step_over_iret(struct vcpu *v, struct svm_vcpu *s)
{
	if (!v->nmi_pending || v->nmi_blocked || s->iret_rip != vmcb_of(v)->rip)
		return;
	v->nmi_blocked = true;
	s->nmi_step = true;
	vmcb_of(v)->rflags = v->regs.rflags |= RFLAGS_TF;
}

static void svm_prepare_entry(struct vcpu *v)
{
	struct svm_vcpu *s = svm(v);
	struct vmcb *m = vmcb_of(v);
	bool window;

	if (unlikely(s->iret_rip))
		step_over_iret(v, s);
	window = vcpu_prepare_entry(v, can_take_interrupt(v));
	/*
	 * There is one V_IRQ: the next interrupt's window waits for this one's IRET or any earlier
	 * exit.
	 */
	if (window && svm_inject_virq && v->inject.valid && v->inject.type == INJ_EXTINT) {
		window = false;
		if (!v->nmi_blocked)
			m->intercept1 |= INTERCEPT_IRET;
	}
	if (unlikely(window && m->int_state & INT_SHADOW))
		v->entry |= ENTER_IN_SHADOW;
	if (window)
		open_intr_window(m);
	else if (m->intercept1 & INTERCEPT_VINTR)
		close_intr_window(m);
	m->v_tpr = vlapic_get_cr8(v);
	m->tpr_at_entry = m->v_tpr;
	m->tsc_offset = v->tsc_offset;
	/*
	 * MOV to CR8 exits only while an interrupt waits for a lower TPR or a window is open: QEMU
	 * 7.2 crashes if it does not exit then.
	 */
	if (unlikely(window || vlapic_held_by_tpr(v)))
		m->intercept_cr |= INTERCEPT_CR8_WRITE;
	else
		m->intercept_cr &= ~INTERCEPT_CR8_WRITE;
}

/* Handles a guest's write to CR8, and a virtual interrupt that it did not take before the exit. */
static void sync_virtual_interrupt(struct vcpu *v, struct vmcb *m)
{
	if (m->v_irq & V_IRQ && !(m->intercept1 & INTERCEPT_VINTR)) {
		v->inject = (struct injection){ .valid = true,
						.type = INJ_EXTINT,
						.vector = m->v_vector };
		inject_put_back(v);
		m->v_irq = 0;
	}
	if ((m->v_tpr & 15) != m->tpr_at_entry)
		vlapic_set_cr8(v, m->v_tpr & 15);
}

static unsigned insn_len(const struct vmcb *m, unsigned known)
{
	u64 len = m->nrip - m->rip;

	return len - 1 < 15 ? (unsigned)len : known;
}

static void handle_io(struct vcpu *v, const struct vmcb *m)
{
	u64 i = m->exitinfo1;
	struct io_exit io = {
		.port = (u16)(i >> 16), .size = i >> 4 & 7, .in = i & IOIO_IN,
		.string = i & IOIO_STRING, .rep = i & IOIO_REP, .next_rip = m->exitinfo2,
	};

	exit_io(v, &io);
}

static void handle_npf(struct vcpu *v, const struct vmcb *m)
{
	struct npf_exit npf = {
		.gpa = m->exitinfo2, .write = m->exitinfo1 & NPF_WRITE,
		.fetch = m->exitinfo1 & NPF_FETCH, .in_walk = m->exitinfo1 & NPF_IN_WALK,
		.insn = m->insn_len ? m->insn : NULL, .insn_len = m->insn_len & 15,
	};

	exit_npf(v, &npf);
}

/* The length is not read: the hypercall page uses no prefix before VMMCALL, and none is useful. */
#define VMMCALL_LEN 3

/*
 * Counts an exit. The most frequent exits skip exit_reason_of() and keep RAX, RSP and RIP in the VMCB,
 * not in v->regs; only RFLAGS is up to date there.
 */
static inline void count_frequent_exit(struct vcpu *v, const struct vmcb *m, enum exit_reason r)
{
	v->exits[r]++;
	if (unlikely(tracing(TRACE_SWITCH | (r == EXIT_HYPERCALL ? TRACE_BIT(HYPERCALL) : 0)))) {
		v->entry |= ENTER_TRACED;
		svm_read_regs(m, &v->regs);
		trace_exit(v, r);
	}
}

static __noinline void finish_frequent_insn(struct vcpu *v, struct vmcb *m, u64 next)
{
	unsigned len = (unsigned)(next - m->rip);

	svm_read_regs(m, &v->regs);
	v->regs.rip = next;
	finish_insn(v, len);
	svm_write_regs(m, &v->regs);
	request_event(v);
}

/* any_code: next may lie beyond 32-bit code or beyond the canonical addresses. */
static inline void skip_frequent_insn(struct vcpu *v, struct vmcb *m, u64 next, bool any_code)
{
	if (unlikely((m->int_state & INT_SHADOW) || (v->regs.rflags & (RFLAGS_TF | RFLAGS_RF)) ||
		     (any_code && (u32)next < INSN_MAX_LEN)))
		finish_frequent_insn(v, m, next);
	else
		m->rip = next;
}

/* CPUID, RDMSR and WRMSR are two bytes long without prefixes. */
static inline u64 next_rip(const struct vmcb *m)
{
	u64 next = m->rip + 2;

	return svm_nrips ? m->nrip : next;
}

static __noinline void handle_vmmcall_32(struct vcpu *v, struct vmcb *m)
{
	long ret = HCALL_NOT_KERNEL;

	if (!m->cpl && (m->cr0 & CR0_PE))
		ret = hypercall_32(v, (u32)m->rax, &v->regs);
	if (ret == HCALL_RESTART) {
		m->rflags |= RFLAGS_RF;
		return;
	}
	m->rax = (u64)ret;
	skip_frequent_insn(v, m, m->rip + VMMCALL_LEN, true);
}

static void handle_vmmcall(struct vcpu *v, struct vmcb *m)
{
	long ret;

	count_frequent_exit(v, m, EXIT_HYPERCALL);
	if (unlikely(m->cpl || !(m->cs.attr & 0x200) || !(m->efer & EFER_LMA))) {
		handle_vmmcall_32(v, m);
		return;
	}
	ret = hypercall(v, m->rax, &v->regs);
	if (unlikely(ret == HCALL_RESTART)) {
		m->rflags |= RFLAGS_RF;
		return;
	}
	m->rax = (u64)ret;
	skip_frequent_insn(v, m, m->rip + VMMCALL_LEN, false);
}

static inline void handle_cpuid(struct vcpu *v, struct vmcb *m)
{
	const struct cpuid_regs *r;

	count_frequent_exit(v, m, EXIT_CPUID);
	r = cpuid_guest(v, (u32)m->rax, (u32)v->regs.rcx);
	m->rax = r->eax;
	v->regs.rbx = r->ebx;
	v->regs.rcx = r->ecx;
	v->regs.rdx = r->edx;
	skip_frequent_insn(v, m, next_rip(m), true);
}

static inline void handle_msr(struct vcpu *v, struct vmcb *m)
{
	long rc;

	if (m->exitinfo1) {
		count_frequent_exit(v, m, EXIT_WRMSR);
		rc = guest_wrmsr(v, (u32)v->regs.rcx, v->regs.rdx << 32 | (u32)m->rax);
	} else {
		struct msr_read r;

		count_frequent_exit(v, m, EXIT_RDMSR);
		r = guest_rdmsr(v, (u32)v->regs.rcx);
		rc = r.err;
		if (likely(!rc)) {
			m->rax = (u32)r.val;
			v->regs.rdx = r.val >> 32;
		}
	}
	if (likely(!rc)) {
		skip_frequent_insn(v, m, next_rip(m), false);
		return;
	}
	v->stats.msrs++;
	svm_read_regs(m, &v->regs);	/* for the dump if this fault is a triple fault */
	inject_gp(v);
	svm_write_regs(m, &v->regs);
	request_event(v);
}

/*
 * Sets the cause in DR6. The intercept shows DR6 as the handler will see it; Bochs exits before it
 * writes DR6, so the cause is derived from the armed breakpoints and TF.
 */
static void set_dr6_cause(const struct vcpu *v, struct vmcb *m)
{
	if (m->dr6 & (DR6_BS | DR6_BD | DR6_B))
		return;
	if (v->regs.rflags & RFLAGS_TF)
		m->dr6 |= DR6_BS;
	for (unsigned i = 0; i < 4 && !(v->regs.rflags & RFLAGS_TF); i++)
		if (m->dr7 >> 2 * i & 3)
			m->dr6 |= BIT(i);
}

/*
 * Handles #DB: Margay's step over an IRET, or the guest's. A #DB may repeat forever, so poll
 * interrupts.
 */
static void handle_debug(struct vcpu *v, struct vmcb *m)
{
	arch_poll_irqs();
	if (likely(!svm(v)->nmi_step)) {
		set_dr6_cause(v, m);
		inject_exception(v, 1, false, 0);
		return;
	}
	svm(v)->nmi_step = false;
	svm(v)->iret_rip = 0;
	m->dr6 &= ~DR6_BS;
	v->nmi_blocked = false;
	atomic_or(&v->pending, VCPU_WORK_NMI);
}

static void handle_unexpected(struct vcpu *v, struct vmcb *m)
{
	if ((u32)m->exitcode != (u32)VMEXIT_INVALID)
		domain_crash(v->domain, v, "unexpected exit %#lx", m->exitcode);
	else
		domain_crash(v->domain, v, "AMD-V refuses the guest's state (VMEXIT_INVALID)");
}

static enum exit_reason exit_reason_of(const struct vcpu *v, const struct vmcb *m)
{
	switch (m->exitcode) {
	case VMEXIT_CR0_READ:
	case VMEXIT_CR4_READ:
	case VMEXIT_CR0_WRITE:
	case VMEXIT_CR4_WRITE:
	case VMEXIT_CR8_WRITE:
	case VMEXIT_CR0_SEL_WRITE: return EXIT_CR;
	case VMEXIT_DB:
	case VMEXIT_FERR_FREEZE:
	case VMEXIT_AC: return EXIT_EXCEPTION;
	case VMEXIT_MC: return EXIT_MCE;
	case VMEXIT_NMI: return EXIT_NMI;
	case VMEXIT_INIT: return EXIT_INIT;
	case VMEXIT_VINTR: return EXIT_WINDOW;
	case VMEXIT_RDPMC: return EXIT_RDPMC;
	case VMEXIT_IRET: return EXIT_IRET;
	case VMEXIT_HLT: return EXIT_HLT;
	case VMEXIT_IOIO: return EXIT_IO;
	case VMEXIT_TASK_SWITCH: return EXIT_TASK_SWITCH;
	case VMEXIT_SHUTDOWN: return EXIT_SHUTDOWN;
	case VMEXIT_INVD:
	case VMEXIT_WBINVD: return EXIT_WBINVD;
	case VMEXIT_XSETBV: return EXIT_XSETBV;
	case VMEXIT_RSM:
	case VMEXIT_INVLPGA:
	case VMEXIT_VMRUN:
	case VMEXIT_VMLOAD ... VMEXIT_SKINIT:
	case VMEXIT_RDPRU: return EXIT_UNDEF;
	case VMEXIT_MONITOR ... VMEXIT_MWAIT_ARMED:
		return v->domain->native ? EXIT_PAUSE : EXIT_UNDEF;
	case VMEXIT_NPF: return npf_reason(m->exitinfo2);
	default: return EXIT_OTHER;
	}
}

/* Handles the rarer exits. Not inlined: keeps its stack frame off the fast path. */
static __noinline void svm_handle_exit(struct vcpu *v, struct vmcb *m)
{
	enum exit_reason r = exit_reason_of(v, m);

	count_exit(v, r);
	switch (r) {
	case EXIT_NPF_APIC:
	case EXIT_NPF: handle_npf(v, m); break;
	case EXIT_IO: handle_io(v, m); break;
	case EXIT_IRET:
		/* The guest is about to execute the IRET; see step_over_iret(). */
		m->intercept1 &= ~INTERCEPT_IRET;
		svm(v)->iret_rip = v->regs.rip;
		v->nmi_blocked = false;
		atomic_or(&v->pending, VCPU_WORK_NMI);
		break;
	case EXIT_CR:
		svm_cr_exit(v);
		break;
	case EXIT_NMI:
		break; /* Margay's IDT took it when GIF was set. */
	case EXIT_EXCEPTION:
		if (m->exitcode == VMEXIT_DB)
			handle_debug(v, m);
		else if (m->exitcode == VMEXIT_FERR_FREEZE)
			inject_exception(v, 16, false, 0); /* CR0.NE is clear; there is no IRQ 13 */
		else
			inject_exception(v, 17, true, 0);
		break;
	case EXIT_OTHER:
		handle_unexpected(v, m);
		break;
	case EXIT_WINDOW:
		close_intr_window(m); /* fall through */
	default:
		exit_handlers[r](v, insn_len(m, r == EXIT_HLT                       ? 1 :
						r == EXIT_XSETBV || r == EXIT_PAUSE ? 3 :
										      2));
	}
}

static inline u8 upcall_pending(const struct vcpu *v)
{
	return READ_ONCE(v->info->evtchn_upcall_pending);
}

/*
 * Handles pending work of v with GIF set. Returns true, with GIF clear, when no new work is
 * pending; false, with GIF set, when this CPU has other work than v.
 */
static inline bool svm_do_pending_work(struct cpu *c, struct vcpu *v, bool direct)
{
	for (;;) {
		WRITE_ONCE(v->in_guest, false);
		stgi();
		if ((c->work && sched_wanted(c)) || (v->pending & VCPU_WORK_STOP) ||
		    direct != v->direct) {	/* an INIT ended it */
			request_event(v);
			return false;
		}
		svm_prepare_entry(v);
		if (direct != v->direct)
			continue;
		clgi();
		if (direct)
			direct_outside(v);
		vcpu_set_in_guest(v);
		smp_mb();
		if (!(c->work | v->pending))
			return true;
		if (direct)
			direct_inside(v);
	}
}

/*
 * Runs v until this CPU has other work. GIF stays clear from the last check of the work bits to
 * VMRUN. direct: only until v is direct no more.
 */
static __always_inline void run(struct vcpu *v, bool direct)
{
	struct cpu *c = this_cpu();

	write_cr2(vmcb_of(v)->cr2); /* VMRUN loads CR2; Bochs 2.7 does not */
	time_exit(v);
	while (!direct || v->direct) {
		struct vmcb *m;
		u64 work;

		clgi();
		vcpu_set_in_guest(v);
		smp_mb();
		/* The pending byte is a level: there is work until the guest clears it. */
		work = with_cpu_work(upcall_pending(v));
		if (!direct && likely(!(work | v->entry_work))) {
			time_entry(v);
			hold_over();
			WORLD_SWITCH("svm_switch", v);
		} else {
			if ((direct || v->pending || upcall_pending(v) || v->waiting_window ||
			     c->work) &&
			    !svm_do_pending_work(c, v, direct))
				break;
			trace(ENTRY, v, vmcb_of(v)->rip, 0);
			if (v->inject.valid)
				write_event(v, vmcb_of(v));
			time_entry(v);
			hold_over();
			v->entry &= ENTER_SLOW;
			if (unlikely(v->entry))
				svm_enter_slow(v);
			else
				WORLD_SWITCH("svm_switch", v);
		}
		hold_begin();
		m = vmcb_of(v);
		time_exit(v);
		v->regs.rflags = m->rflags;
		WRITE_ONCE(v->in_guest, false);
		if (direct)
			direct_inside(v);
		stgi();
		if (unlikely(m->v_tpr_irq != m->tpr_at_entry))
			sync_virtual_interrupt(v, m);
		if (likely(m->exitcode == VMEXIT_VMMCALL)) {
			handle_vmmcall(v, m);
			if (unlikely(c->work) && sched_wanted(c))
				break;
			continue;
		}
		if (m->exitcode == VMEXIT_MSR) {
			handle_msr(v, m);
			continue;
		}
		if (m->exitcode == VMEXIT_CPUID) {
			handle_cpuid(v, m);
			continue;
		}
		svm_read_regs(m, &v->regs);
		v->shadow = m->int_state & INT_SHADOW;
		if (unlikely(m->exitintinfo & EVENT_VALID)) {
			vcpu_interrupted_event(v, m->exitintinfo, (u32)(m->exitintinfo >> 32));
			/*
			 * An event that is never delivered, such as a #DB that raises itself,
			 * blocks interrupts.
			 */
			arch_poll_irqs();
		}
		if (m->exitcode == VMEXIT_INTR) {
			count_exit(v, EXIT_INTR);
			arch_poll_irqs();
		} else {
			svm_handle_exit(v, m);
			svm_write_regs(m, &v->regs);
		}
		request_event(v);
		if (unlikely(tracing(TRACE_SWITCH)))
			v->entry |= ENTER_TRACED;
		/* Saves the attempt to enter if the vCPU sleeps now. */
		if (c->work && sched_wanted(c))
			break;
	}
	time_entry(v);
}

void svm_run(struct vcpu *v)
{
	run(v, false);
}

void svm_run_direct(struct vcpu *v)
{
	run(v, true);
}
