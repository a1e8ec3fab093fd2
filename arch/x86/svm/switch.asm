; SPDX-License-Identifier: BSD-2-Clause
; The AMD-V world switch. APM2 15.5: VMRUN swaps RAX, RSP, RIP, RFLAGS, the control registers and the
; visible segments; VMLOAD/VMSAVE the rest; the general registers are ours to swap.

	section .text

; Offsets in struct vcpu: regs.gpr[] in encoding order.
%define G(n) [rax + 8 * n]

; void svm_switch(struct vcpu *v, paddr_t vmcb, paddr_t host)
; GIF is clear on entry and return, so that no interrupt comes between. STI under GIF=0 makes RFLAGS.IF
; set at VMRUN, by which physical interrupts end the guest (V_INTR_MASKING, APM2 15.21.1).
; svm_switch_shadow() is for a guest in the shadow of STI. The VMCB says so, but QEMU does not look there:
; it takes the shadow of whatever STI came last before the guest's first instruction. So that of ours is
; over before VMRUN in the one and not in the other.
%macro SWITCH 2
	align 16
	global %1
%1:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rdx
	push rdi
	push rsi
	mov rax, rdi
	mov rcx, G(1)
	mov rdx, G(2)
	mov rbx, G(3)
	mov rbp, G(5)
	mov rsi, G(6)
	mov rdi, G(7)
	mov r8, G(8)
	mov r9, G(9)
	mov r10, G(10)
	mov r11, G(11)
	mov r12, G(12)
	mov r13, G(13)
	mov r14, G(14)
	mov r15, G(15)
	pop rax
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
	mov G(1), rcx
	mov G(2), rdx
	mov G(3), rbx
	mov G(5), rbp
	mov G(6), rsi
	mov G(7), rdi
	mov G(8), r8
	mov G(9), r9
	mov G(10), r10
	mov G(11), r11
	mov G(12), r12
	mov G(13), r13
	mov G(14), r14
	mov G(15), r15
	pop rax
	vmload
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	; What a guest left in the others must not steer our speculation.
	xor ecx, ecx
	xor edx, edx
	xor esi, esi
	xor edi, edi
	xor r8d, r8d
	xor r9d, r9d
	xor r10d, r10d
	xor r11d, r11d
	ret
%endmacro

	SWITCH svm_switch, 0
	SWITCH svm_switch_shadow, 1
