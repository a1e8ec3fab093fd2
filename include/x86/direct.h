/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts straight to the guest. arch/x86/guest/direct.c */
#pragma once

#include <x86/hvm.h>

/*
 * Before v runs on its CPU: gives it the CPU's local APIC, if it may have it, or takes it back. Own CPU.
 */
void direct_update(struct vcpu *v);
/* Takes it back now: v leaves the CPU, or its local APIC is reset. */
void direct_leave(struct vcpu *v);
/*
 * Around the time in the guest: grace periods leave the CPU out, and the priority of its local APIC is
 * the guest's. Otherwise it holds back the vectors below 32, which are exceptions here.
 */
void direct_outside(struct vcpu *v);
void direct_inside(struct vcpu *v);
/* Handles an interrupt that an isolated CPU takes outside of its guest. */
void direct_interrupt(struct cpu *c, u8 vector);
/* Moves interrupts that came by software to the CPU's local APIC. */
void direct_move_irr(struct vcpu *v);
/* Makes an interrupt that the CPU has accepted, but not delivered, pending again. */
void direct_put_back(u8 vector);
/* Around a change of the timer's mode or of the guest's TSC: takes the timer back, and gives it. */
void direct_timer(struct vcpu *v, bool direct);
