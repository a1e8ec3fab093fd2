; SPDX-License-Identifier: BSD-2-Clause
; The AMD-V world switch. APM2 15.5: VMRUN switches RAX, RSP, RIP, RFLAGS, the control registers and
; the
; visible segments; VMLOAD/VMSAVE switch the rest; this code switches the general registers.

%include "x86/switch.inc"

	section .text

; Offsets in struct vcpu, after the registers.
%define VMCB 18 * 8
%define HOST 19 * 8

; Takes and returns v in RBX. Changes all other registers but RSP and RBP (WORLD_SWITCH() lists
; them). Saves all of the guest's registers in v. GIF is clear on entry and return, so no interrupt
; comes in between. STI under GIF=0 sets RFLAGS.IF at VMRUN, so that physical interrupts end the
; guest (V_INTR_MASKING, APM2 15.21.1).
; svm_switch_shadow() is for a guest in the shadow of STI. The VMCB says so, but QEMU ignores that
; field: it uses the shadow of the last STI before the guest's first instruction. So the shadow of
; the STI here is over before VMRUN in svm_switch() but not in svm_switch_shadow().
%macro LOAD_BY_RBX 2
	mov %1, [rbx + 8 * %2]
%endmacro

%macro SWITCH 3
	align 16
	global %1
%1:
	push rbp
	push rbx
	mov rax, [rbx + VMCB]
	EACH_GUEST_REG LOAD_BY_RBX
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
	mov rbx, rax
	mov rax, [rax + HOST]
	vmload
%if %3
	SPEC_EXIT rbx
%endif
	pop rbp
	FORGET_GUEST
	xor r12d, r12d
	xor r13d, r13d
	xor r14d, r14d
	xor r15d, r15d
	ret
%endmacro

	SWITCH svm_switch, 0, 0
	SWITCH svm_switch_shadow, 1, 0
	SWITCH svm_switch_spec, 0, 1
