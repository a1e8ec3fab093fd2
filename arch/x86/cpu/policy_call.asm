; SPDX-License-Identifier: BSD-2-Clause
; Into a policy module and back, whatever it does. It runs on the CPU's policy stack with interrupts on, so
; that the timer can end it; what C wants to find in its registers again lies on Margay's own stack.

%include "arch/x86/guest/switch.inc"

	section .text
	extern policy_watch_ticks
	extern arch_policy_watch

; Offsets in struct cpu, at GS:0.
%define POLICY_STACK 24
%define POLICY_UNWIND 32
%define TIMER_TSC 40
%define POLICY_IN 48
%define POLICY_STRIKES 56

; struct policy_ret policy_call(u64 a, u64 b, u64 c, u64 d, const void *fn, struct policy *p): RAX is fn's
; value, RDX is 0; or policy_unwound was jumped to from a trap (trap_in_policy()) with RSP as it was saved
; here, and RDX is 1.
	align 16
	global policy_call
policy_call:
	PUSH_OURS
	mov r10, rdx
	rdtsc			; does a timer interrupt come in time?
	shl rdx, 32
	or rax, rdx
	mov rdx, r10
	add rax, [rel policy_watch_ticks]
	cmp rax, [gs:TIMER_TSC]
	jb .watch
.go:	mov [gs:POLICY_IN], r9
	mov dword [gs:POLICY_STRIKES], 0
	mov [gs:POLICY_UNWIND], rsp
	mov rsp, [gs:POLICY_STACK]
	sti
	call r8
	cli
	mov rsp, [gs:POLICY_UNWIND]
	mov qword [gs:POLICY_UNWIND], 0
	mov qword [gs:POLICY_IN], 0
	xor edx, edx
	add rsp, 6 * 8		; by the ABI their values are there
	ret

.watch:	push rdi
	push rsi
	push rdx
	push rcx
	push r8
	push r9
	push r9			; keeps RSP aligned
	call arch_policy_watch
	pop r9
	pop r9
	pop r8
	pop rcx
	pop rdx
	pop rsi
	pop rdi
	jmp .go

	global policy_unwound
policy_unwound:
	cld
	mov qword [gs:POLICY_IN], 0
	mov edx, 1
	POP_OURS
	ret
