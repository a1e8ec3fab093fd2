; SPDX-License-Identifier: BSD-2-Clause
; The targets of Margay's indirect branches: GCC (-mindirect-branch=thunk-extern) and assembly call or
; jump to the thunk of a register instead. As built, a thunk is a retpoline: its RET is predicted
; from the return stack, so no guest can steer it, and speculation ends in the loop. spec_init()
; replaces the thunks by plain jumps where the CPU needs no retpolines.

THUNK_SIZE equ 32	; spec.c has the same
	section .text

%macro THUNK 1-*
%rep %0
	align THUNK_SIZE
	global __x86_indirect_thunk_%1
__x86_indirect_thunk_%1:
	call .branch
.wait:	pause
	lfence
	jmp .wait
.branch:
	mov [rsp], %1
	ret
%rotate 1
%endrep
%endmacro

	align THUNK_SIZE
	global indirect_thunks
indirect_thunks:	; in encoding order; nothing branches to RSP
	THUNK rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
