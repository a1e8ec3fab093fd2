; SPDX-License-Identifier: BSD-2-Clause
; Entry points of the 256 interrupt vectors. Each pushes its number and, where the CPU pushes no
; error code, a zero; the common part saves the registers in the order of struct trap_frame. SDM 3A
; 6.14.

	section .text
	extern trap_handler

; Exceptions that push an error code: 8, 10-14, 17, 21, 29, 30.
%define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 || (v) == 29 || (v) == 30)

	align 16
	global trap_stubs
trap_stubs:
%assign v 0
%rep 256
	align 16
%if !HAS_ERROR(v)
	push 0
%endif
	push v
	jmp trap_common
%assign v v + 1
%endrep

%macro push_each 1-*
%rep %0
	push %1
%rotate 1
%endrep
%endmacro
%macro pop_each 1-*
%rep %0
	pop %1
%rotate 1
%endrep
%endmacro

trap_common:	cld
	push_each rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	mov rdi, rsp
	call trap_handler
	pop_each r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	add rsp, 16
	iretq

; void stack_switch(void *top, void (*fn)(void *), void *arg): calls fn on another stack; never
; returns.
	global stack_switch
stack_switch:
	mov rsp, rdi
	mov rdi, rdx
	xor ebp, ebp
	extern __x86_indirect_thunk_rsi
	call __x86_indirect_thunk_rsi
	ud2
