; SPDX-License-Identifier: BSD-2-Clause
; The VT-x world switch. SDM 3C 27 and 28: the VMCS switches RSP, RIP, RFLAGS, the control and
; segment
; registers; this code switches the general registers.

%include "x86/switch.inc"

	section .text

HOST_RSP equ 0x6c14

; bool vmx_switch(struct vcpu *v, bool launched, u64 *host_rsp)
; Interrupts are off on entry and return. Returns true when VMLAUNCH or VMRESUME itself failed.
; *host_rsp is the host RSP in the VMCS.
; vmx_switch_spec() and vmx_exit_spec do the same with mitigations for speculation.
%macro SWITCH 3
	align 16
	global %1, %2
%1:
	PUSH_OURS
	push rdi
	cmp rsp, [rdx]
	je %%same
	mov [rdx], rsp
	mov eax, HOST_RSP
	vmwrite rax, rsp
%%same:	mov rax, rdi
	test sil, sil
	EACH_GUEST_REG LOAD
	mov rax, G(0)
	jz %%launch
%if %3
	verw [rel verw_selector]
%endif
	vmresume
	jmp %%failed
%%launch:
%if %3
	verw [rel verw_selector]
%endif
	vmlaunch
%%failed:
	pop rdi
	mov eax, 1
	jmp %%out

; Entry point of VM exits.
	align 16
%2:
	xchg rax, [rsp]
	EACH_GUEST_REG STORE
	pop rcx
	mov G(0), rcx
	mov rdi, rax
	xor eax, eax
%%out:
%if %3
	mov esi, eax
	SPEC_EXIT rdi
	mov eax, esi
%endif
	POP_OURS
	FORGET_GUEST
	ret
%endmacro

	SWITCH vmx_switch, vmx_exit, 0
	SWITCH vmx_switch_spec, vmx_exit_spec, 1

	section .rodata
verw_selector: dw 0x10		; SEL_DATA; VERW with a register operand clears nothing
