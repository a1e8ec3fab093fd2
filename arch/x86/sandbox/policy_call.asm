; SPDX-License-Identifier: BSD-2-Clause
; Calls a policy module. The call runs on the CPU's policy stack with interrupts on, so that the
; timer can end it; the registers that C expects to be preserved are on Margay's own stack.

%include "x86/switch.inc"

	section .text
	extern arch_policy_watch
	extern policy_call_failed
	extern __x86_indirect_thunk_rax

; Offsets in struct cpu, at GS:0.
%define POLICY_STACK 24
%define POLICY_UNWIND 32
%define POLICY_CALLED 40
%define POLICY_WATCHED 48

; u64 policy_call(u64 a, u64 b, u64 c, u64 d, const struct policy_fn *fn): returns fn->code's
; result, or 0 when a trap jumped to policy_unwound (trap_in_policy()) with the RSP saved here.
	align 16
	global policy_call
policy_call:
	PUSH_OURS
	cmp dword [gs:POLICY_WATCHED], 0
	je .watch
.go:	mov [gs:POLICY_CALLED], r8
	mov [gs:POLICY_UNWIND], rsp
	mov rsp, [gs:POLICY_STACK]
	sti
	mov rax, [r8]
	call __x86_indirect_thunk_rax
	cli
	mov rsp, [gs:POLICY_UNWIND]
	mov qword [gs:POLICY_UNWIND], 0
	add rsp, 6 * 8		; the callee has preserved these registers
	ret

.watch:	push rdi
	push rsi
	push rdx
	push rcx
	push r8
	call arch_policy_watch
	pop r8
	pop rcx
	pop rdx
	pop rsi
	pop rdi
	jmp .go

	global policy_unwound
policy_unwound:
	cld
	sub rsp, 8		; keeps it aligned
	call policy_call_failed
	add rsp, 8
	xor eax, eax
	POP_OURS
	ret
