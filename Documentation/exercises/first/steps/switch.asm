; SPDX-License-Identifier: BSD-2-Clause
; Step 4: the world switches, and the guests. In both, rdi is the struct regs.

	bits 64
	section .text

%macro SAVE 0
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rdi
%endmacro

%macro RESTORE 0			; after rdi has been popped
	mov [rdi + 8], rbx
	mov [rdi + 16], rcx
	mov [rdi + 24], rdx
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
%endmacro

%macro LOAD 0
	mov rbx, [rdi + 8]
	mov rcx, [rdi + 16]
	mov rdx, [rdi + 24]
%endmacro

; void svm_switch(struct regs *, void *vmcb). VMRUN switches RAX, RSP, RIP, RFLAGS, the control
; registers and segments; an exit continues after it. APM2 15.5.
	global svm_switch
svm_switch:
	SAVE
	mov rax, rsi			; the VMCB's address
	LOAD
	clgi
	vmrun				; of the VMCB at RAX
	stgi
	pop rdi
	RESTORE
	ret

HOST_RSP equ 0x6c14
HOST_RIP equ 0x6c16

; bool vmx_switch(struct regs *, bool launched). An exit loads RSP and goes to HOST_RIP. Returns
; false if the entry failed. SDM 3C 27, 28.
	global vmx_switch
vmx_switch:
	SAVE
	mov eax, HOST_RSP
	vmwrite rax, rsp
	mov eax, HOST_RIP
	mov ecx, .exit
	vmwrite rax, rcx
	test esi, esi			; MOV leaves the flags alone
	mov rax, [rdi]
	LOAD
	jnz .resume
	vmlaunch
	jmp .failed
.resume:
	vmresume
.failed:
	pop rdi
	RESTORE
	xor eax, eax
	ret
.exit:	pop rdi
	mov [rdi], rax
	RESTORE
	mov eax, 1
	ret

; The guests.
	global guest_hlt, guest_cpuid
guest_hlt:
	hlt

guest_cpuid:
	mov eax, 0x40000000
	cpuid
	hlt

	section .bss
	align 16
	resb 4096
	global guest_stack
guest_stack:
