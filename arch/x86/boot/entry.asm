; SPDX-License-Identifier: BSD-2-Clause
; The entry point: multiboot2 header, and the switch from 32-bit protected mode to 64-bit C code.
; Multiboot2 spec 3.3; long mode as in SDM 3A 10.8.5. Also the trampoline that starts the other CPUs
; from real mode.

IMAGE equ 0xffffffff80000000
DIRECTMAP equ 0xffff800000000000

MB2_MAGIC equ 0xe85250d6
MB2_ARCH_I386 equ 0
MB2_TAG_END equ 0
MB2_TAG_FRAMEBUFFER equ 5
MB2_TAG_MODULE_ALIGN equ 6
MB2_OPTIONAL equ 1
MB2_TAG_RELOCATABLE equ 10

PTE_RW equ 3
PTE_RW_2M equ 0x83
CR0_PE equ 1
CR0_MP equ 2
CR0_NE equ 1 << 5
CR0_WP equ 1 << 16
CR0_PG equ 1 << 31
CR4_PAE equ 1 << 5
EFER equ 0xc0000080
EFER_LME equ 1 << 8
EFER_NXE equ 1 << 11
CR0_ON equ CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG

	section .multiboot2 progbits alloc exec nowrite align=8
base:				; the image's first byte
header:
	dd MB2_MAGIC, MB2_ARCH_I386, header.end - header
	dd 0x100000000 - (MB2_MAGIC + MB2_ARCH_I386 + (header.end - header))
	dw MB2_TAG_MODULE_ALIGN, 0
	dd 8
	dw MB2_TAG_FRAMEBUFFER, MB2_OPTIONAL
	dd 20, 0, 0, 0, 0				; any size
	dw MB2_TAG_RELOCATABLE, 0
	dd 24, 0x200000, 0xffffffff, 0x200000, 1	; from, below, alignment, lowest first
	dw MB2_TAG_END, 0
	dd 8
.end:

	bits 32
	global start32
; eax: the loader's magic, ebx: its information. There is no stack; a reserved word of the
; information structure holds the return address of the one call that finds the load address.
start32:
	cli
	cld
	mov edi, eax
	mov esi, ebx
	rdtsc
	lea esp, [ebx + 8]
	call .here
.here:	pop ebp
	sub ebp, .here - base			; ebp: the image's physical address
	extern entry_tsc
	mov [ebp + entry_tsc - IMAGE], eax
	mov [ebp + entry_tsc + 4 - IMAGE], edx

	mov eax, 0x80000000
	cpuid
	cmp eax, 0x80000001
	jb no_long_mode
	mov eax, 0x80000001
	cpuid
	bt edx, 29
	jnc no_long_mode
	bt edx, 20				; NX
	jnc no_long_mode

	; Map 4 GiB with 2 MiB pages, at 0 and in the direct map, and the image at its linked
	; address.
	lea ebx, [ebp + boot_pd - IMAGE]
	xor ecx, ecx
.pd:	mov eax, ecx
	shl eax, 21
	or eax, PTE_RW_2M
	mov [ebx + ecx * 8], eax
	mov dword [ebx + ecx * 8 + 4], 0
	inc ecx
	cmp ecx, 2048
	jb .pd
	lea edx, [ebp + boot_pdpt - IMAGE]
	xor ecx, ecx
	lea eax, [ebx + PTE_RW]
.pdpt:	mov [edx + ecx * 8], eax
	add eax, 4096
	inc ecx
	cmp ecx, 4
	jb .pdpt
	lea ebx, [ebp + boot_pml4 - IMAGE]
	lea eax, [edx + PTE_RW]
	mov [ebx], eax
	mov [ebx + 256 * 8], eax
	lea ecx, [ebp + boot_pdpt_image - IMAGE]
	lea eax, [ecx + PTE_RW]
	mov [ebx + 511 * 8], eax
	lea edx, [ebp + boot_pd_image - IMAGE]
	lea eax, [edx + PTE_RW]
	mov [ecx + 510 * 8], eax
	lea eax, [ebp + PTE_RW_2M]
	mov [edx], eax

	mov eax, CR4_PAE
	mov cr4, eax
	mov cr3, ebx
	mov ecx, EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, CR0_ON
	mov cr0, eax

	lea eax, [ebp + boot_gdt - base]
	mov [ebp + boot_gdt_ptr + 2 - base], eax
	lgdt [ebp + boot_gdt_ptr - base]
	lea eax, [ebp + .far - base]
	mov [eax + 1], eax
	add dword [eax + 1], .low64 - .far
.far:	jmp 0x08:dword 0			; patched with the address of .low64
	bits 64
.low64:	mov rax, .high64
	jmp rax
.high64:
	lea rax, [rel boot_gdt]			; its permanent mapping: exceptions read it
	mov [rel boot_gdt_ptr + 2], rax
	lgdt [rel boot_gdt_ptr]
	mov eax, 0x10
	mov ss, eax				; gdt_load() loads the others
	lea rsp, [rel boot_stack.top]
	mov edi, edi				; magic
	mov esi, esi				; information
	mov edx, ebp				; the image's address
	xor ebp, ebp
	extern boot_main
	call boot_main
.stop:	cli
	hlt
	jmp .stop

	bits 32
no_long_mode:
	lea esi, [ebp + .text - base]
.next:	lodsb
	test al, al
	jz .stop
	mov bl, al
	mov dx, 0x3fd
.wait:	in al, dx
	test al, 0x20
	jz .wait
	mov dx, 0x3f8
	mov al, bl
	out dx, al
	jmp .next
.stop:	hlt
	jmp .stop
.text:	db "(margay) this CPU has no 64-bit mode or no NX", 13, 10, 0

	align 8
	global boot_gdt
boot_gdt:
	dq 0
	dq 0x00af9b000000ffff			; 0x08: 64-bit code
	dq 0x00cf93000000ffff			; 0x10: data
boot_gdt_ptr:
	dw $ - boot_gdt - 1
	dq 0

; The AP trampoline, copied to a page below 1 MiB. The boot CPU writes the words at its end.
	global ap_trampoline, ap_trampoline_end, ap_cr3, ap_stack, ap_entry
	section .init.ap progbits alloc noexec write align=16
	bits 16
ap_trampoline:
	cli
	cld
	mov ax, cs
	mov ds, ax
	xor ebx, ebx
	mov bx, cs
	shl ebx, 4				; address of the copy
	lea eax, [ebx + ap_gdt - ap_trampoline]
	mov [ap_gdt_ptr + 2 - ap_trampoline], eax
	lea eax, [ebx + .long - ap_trampoline]
	mov [ap_far - ap_trampoline], eax
	o32 lgdt [ap_gdt_ptr - ap_trampoline]
	mov eax, CR4_PAE
	mov cr4, eax
	mov eax, [ap_cr3 - ap_trampoline]
	mov cr3, eax
	mov ecx, EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, CR0_ON
	mov cr0, eax
	jmp far dword [ap_far - ap_trampoline]
	bits 64
.long:	mov eax, 0x10
	mov ss, eax
	extern ap_lock				; smp.c: one CPU at a time has the stack
	mov rax, ap_lock
.wait:	pause
	lock bts dword [rax], 0
	jc .wait
	mov rsp, [rel ap_stack]
	xor ebp, ebp
	jmp [rel ap_entry]

	align 8
ap_gdt:	dq 0
	dq 0x00af9b000000ffff
	dq 0x00cf93000000ffff
ap_gdt_ptr:
	dw $ - ap_gdt - 1
	dd 0
ap_far:	dd 0
	dw 0x08
	align 8
ap_cr3:	dq 0
ap_stack: dq 0
ap_entry: dq 0
ap_trampoline_end:

	section .init.bss nobits alloc noexec write align=4096
	global boot_pml4
boot_pml4: resb 4096
boot_pdpt: resb 4096
boot_pdpt_image: resb 4096
boot_pd_image: resb 4096
boot_pd: resb 4 * 4096
boot_stack: resb 8192
.top:
