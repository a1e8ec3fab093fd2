/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selects the event that a vCPU takes at its next entry. Exit handlers queue exceptions;
 * vcpu_prepare_entry() selects the others: NMI, then the event channel upcall, then the local APIC.
 * An entry injects one event. The work bit of an event that cannot be injected stays in
 * v->waiting_window, and the back-end opens a window. All functions run on the vCPU's own CPU. SDM
 * 3A 6.9 and 6.15.
 */
#include <margay/policy_registry.h>
#include <margay/sched.h>
#include <x86/direct.h>
#include <x86/pmu.h>

#include "guest.h"

static bool contributory(u8 vector)
{
	return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP) || vector == X86_CP;
}

static bool page_fault(u8 vector)
{
	return vector == X86_PF || vector == X86_VE;
}

void inject_put_back(struct vcpu *v)
{
	v->inject.valid = false;
	if (v->inject.type == INJ_NMI) {
		v->nmi_blocked = false;
		v->nmi_pending = true;
		atomic_or(&v->pending, VCPU_WORK_NMI);
	} else if (v->inject.type == INJ_EXTINT) {
		/*
		 * The callback vector has no bit in the APIC; its pending byte in the shared page
		 * is still set.
		 */
		vlapic_unaccept(v, v->inject.vector);
		atomic_or(&v->pending, VCPU_WORK_EVENT | VCPU_WORK_LAPIC);
	}
}

void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	v->stats.exceptions++;
	/* A fault restarts its instruction, so its saved RFLAGS has RF set. SDM 3B 18.3.1.1. */
	if (vector != X86_DB && vector != X86_DF)
		v->regs.rflags |= RFLAGS_RF;
	if (v->inject.valid && v->inject.type == INJ_EXCEPTION) {
		u8 first = v->inject.vector;

		if (first == X86_DF && (contributory(vector) || page_fault(vector))) {
			v->inject.valid = false;
			guest_triple_fault(v);
			return;
		}
		if ((contributory(first) && contributory(vector)) ||
		    (page_fault(first) && (contributory(vector) || page_fault(vector)))) {
			vector = X86_DF;
			has_error = true;
			error = 0;
		}
	} else if (v->inject.valid) {
		inject_put_back(v);
	}
	v->inject = (struct injection){ .valid = true,
					.type = INJ_EXCEPTION,
					.vector = vector,
					.has_error = has_error,
					.error = error };
}

void vcpu_interrupted_event(struct vcpu *v, u64 info, u32 error)
{
	u8 type = info >> 8 & 7, vector = (u8)info;

	if (type == INJ_EXTINT && vector == 2)	/* how AMD-V injects NMIs */
		type = INJ_NMI;
	if (type >= INJ_SOFT || (type == INJ_EXCEPTION && (vector == X86_BP || vector == X86_OF)))
		return;
	v->inject = (struct injection){ .valid = true,
					.vector = vector,
					.type = type,
					.has_error = info & BIT(11),
					.error = error };
	if (type == INJ_NMI)
		v->nmi_blocked = false;
}

static bool upcall_pending(const struct vcpu *v)
{
	return v->info && READ_ONCE(v->info->evtchn_upcall_pending);
}

static void inject_extint(struct vcpu *v, u8 vector)
{
	v->inject = (struct injection){ .valid = true, .type = INJ_EXTINT, .vector = vector };
}

/* NMIs ignore IF. If IF is set but interrupts cannot be taken, a shadow blocks NMIs as well. */
static bool nmi_allowed(const struct vcpu *v, bool can_take)
{
	return !v->inject.valid && !v->nmi_blocked && (can_take || !(v->regs.rflags & RFLAGS_IF));
}

bool vcpu_prepare_entry(struct vcpu *v, bool can_take)
{
	u32 work = atomic_and(&v->pending, VCPU_WORK_STOP) | v->waiting_window, keep = 0;
	bool window = false;
	int vector;

	if (unlikely(vlapic_startup_pending(v)) && vlapic_handle_startup(v)) {
		can_take = false;
		if (v->sipi_wait) {
			/*
			 * v is now offline; its other work stays pending until it is online again.
			 */
			atomic_or(&v->pending, work);
			return false;
		}
	}
	if (unlikely(work & (VCPU_WORK_OBSERVE | VCPU_WORK_IPI))) {
		if (work & VCPU_WORK_OBSERVE && policy_exit(v))
			keep |= VCPU_WORK_OBSERVE;
		if (work & VCPU_WORK_IPI)
			vlapic_continue_ipi(v->vlapic);
	}
	if (work & VCPU_WORK_FLUSH)
		hvm->request_flush(v);
	if (work & VCPU_WORK_TIME)
		arch_update_time(v);

	if (unlikely(work & VCPU_WORK_PMI))
		pmu_interrupt(v);
	if (v->nmi_pending) {
		if (nmi_allowed(v, can_take)) {
			v->inject =
				(struct injection){ .valid = true, .type = INJ_NMI, .vector = 2 };
			v->nmi_pending = false;
			v->nmi_blocked = true;
			v->stats.nmis++;
		} else {
			keep |= VCPU_WORK_NMI;
			window |= !v->nmi_blocked;
		}
	}

	/*
	 * Xen ignores evtchn_upcall_mask in HVM guests. The per-vCPU vector is edge-triggered by
	 * the work bit; the callback vector is a level that the guest ends by clearing the pending
	 * byte.
	 */
	if (upcall_pending(v)) {
		if (v->upcall_vector) {
			if (work & VCPU_WORK_EVENT)
				arch_vcpu_upcall(v);
		} else if (v->domain->callback_vector) {
			if (can_take && !v->inject.valid) {
				inject_extint(v, v->domain->callback_vector);
				v->stats.events++;
			} else {
				keep |= VCPU_WORK_EVENT;
				window = true;
			}
		}
	}

	if (unlikely(v->direct))
		direct_move_irr(v);
	vector = v->vlapic->by_hardware || v->direct ? -1 : vlapic_pending(v);
	if (vector >= 0) {
		if (can_take && !v->inject.valid) {
			vlapic_accept(v, (u8)vector);
			inject_extint(v, (u8)vector);
			v->stats.interrupts++;
		} else {
			keep |= VCPU_WORK_LAPIC;
			window = true;
		}
	}

	/* Checked again when the window opens or when new work is posted. */
	v->waiting_window = keep;
	/* A guest that does not take its timer's event may arm none again: keep the poll due. */
	if (unlikely(window))
		timers_keep_poll();
	/* Last, so that the time to enter the guest does not make it early. */
	if (unlikely(v->not_before))
		vcpu_wait_deadline(v);
	return window;
}

bool arch_vcpu_has_interrupt(struct vcpu *v)
{
	if (v->inject.valid || vlapic_startup_pending(v) || (v->nmi_pending && !v->nmi_blocked))
		return true;
	if (!(v->regs.rflags & RFLAGS_IF))
		return false;
	if (vlapic_pending(v) >= 0)
		return true;
	if (!upcall_pending(v))
		return false;
	return v->upcall_vector ? v->pending & VCPU_WORK_EVENT : v->domain->callback_vector != 0;
}
