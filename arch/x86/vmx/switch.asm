; SPDX-License-Identifier: BSD-2-Clause
; The VT-x world switch. SDM 3C 26 and 27: the VMCS swaps RSP, RIP, RFLAGS, the control and segment
; registers; the general registers are ours to swap.

	section .text

HOST_RSP equ 0x6c14

; Offsets in struct vcpu: regs.gpr[] in encoding order.
%define G(n) [rax + 8 * n]

; bool vmx_switch(struct vcpu *v, bool launched, u64 *host_rsp)
; Interrupts are off on entry and return. True when VMLAUNCH or VMRESUME itself failed. *host_rsp is what
; the VMCS has as our RSP.
	align 16
	global vmx_switch, vmx_exit
vmx_switch:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rdi
	cmp rsp, [rdx]
	je .same
	mov [rdx], rsp
	mov eax, HOST_RSP
	vmwrite rax, rsp
.same:	mov rax, rdi
	test sil, sil
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
	mov rax, G(0)
	jz .launch
	vmresume
	jmp .failed
.launch:
	vmlaunch
.failed:
	pop rdi
	mov eax, 1
	jmp out

; The guest's exits come here.
	align 16
vmx_exit:
	xchg rax, [rsp]
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
	pop rcx
	mov G(0), rcx
	xor eax, eax
out:	pop r15
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
