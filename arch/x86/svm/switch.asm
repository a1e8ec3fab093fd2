; SPDX-License-Identifier: BSD-2-Clause
; The AMD-V world switch. APM2 15.5: VMRUN swaps RAX, RSP, RIP, RFLAGS, the control registers and the
; visible segments; VMLOAD/VMSAVE the rest; the general registers are ours to swap.

%include "x86/switch.inc"

	section .text

; Offsets in struct vcpu, after the registers.
%define VMCB 18 * 8
%define HOST 19 * 8

; v in RDI, in and out. Changes all other registers but RSP and RBP: WORLD_SWITCH() says so to the compiler. All of the guest's
; are saved in v. GIF is clear on entry and return, so that no interrupt comes between. STI under GIF=0 makes RFLAGS.IF
; set at VMRUN, by which physical interrupts end the guest (V_INTR_MASKING, APM2 15.21.1).
; svm_switch_shadow() is for a guest in the shadow of STI. The VMCB says so, but QEMU does not look there:
; it takes the shadow of whatever STI came last before the guest's first instruction. So that of ours is
; over before VMRUN in the one and not in the other.
%macro SWITCH 3
	align 16
	global %1
%1:
	push rbp
	push rdi
	mov rax, rdi
	EACH_GUEST_REG LOAD
	mov rax, [rax + VMCB]
%if %2
	vmload
	sti
%else
	sti
	vmload
%endif
	vmrun
	cli
	vmsave
	pop rax
	EACH_GUEST_REG STORE
	mov rdi, rax
	mov rax, [rax + HOST]
	vmload
%if %3
	SPEC_EXIT
%endif
	pop rbp
	FORGET_GUEST
	ret
%endmacro

	SWITCH svm_switch, 0, 0
	SWITCH svm_switch_shadow, 1, 0
	SWITCH svm_switch_spec, 0, 1
