; SPDX-License-Identifier: BSD-2-Clause
;
; 256 interrupt stubs that end in trap_entry(struct trap_regs *), and the pair fault_save and
; fault_resume, on which FAULT_OF() is built.

extern trap_entry
global trap_stubs, fault_save, fault_resume

section .text
bits 64
align 16
trap_stubs:				; 16 bytes each
%assign vec 0
%rep 256
	align 16, db 0xcc
	%if vec = 8 || (vec >= 10 && vec <= 14) || vec = 17 || vec = 21 || vec = 29 || vec = 30
	%else
	push 0
	%endif
	push vec
	jmp trap_common
%assign vec vec + 1
%endrep

trap_common:
	push rax
	push rcx
	push rdx
	push rbx
	push rbp
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	mov rdi, rsp
	mov rbx, rsp
	and rsp, -16
	cld
	call trap_entry
	mov rsp, rbx
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rbp
	pop rbx
	pop rdx
	pop rcx
	pop rax
	add rsp, 16
	iretq

; int fault_save(struct fault_point *): returns 0, and returns 1 again after fault_resume().
fault_save:
	mov [rdi], rbx
	mov [rdi + 8], rbp
	mov [rdi + 16], r12
	mov [rdi + 24], r13
	mov [rdi + 32], r14
	mov [rdi + 40], r15
	lea rax, [rsp + 8]
	mov [rdi + 48], rax
	mov rax, [rsp]
	mov [rdi + 56], rax
	pushfq
	pop rax
	mov [rdi + 64], rax
	xor eax, eax
	ret

; Not called: trap_entry() sets RIP to it and RDI to the fault point.
fault_resume:
	mov rbx, [rdi]
	mov rbp, [rdi + 8]
	mov r12, [rdi + 16]
	mov r13, [rdi + 24]
	mov r14, [rdi + 32]
	mov r15, [rdi + 40]
	mov rsp, [rdi + 48]
	push qword [rdi + 64]
	popfq
	mov eax, 1
	jmp [rdi + 56]
