; SPDX-License-Identifier: BSD-2-Clause
;
; The first instructions of a guest: the PVH entry (32-bit flat, EBX = hvm_start_info), the switch
; to long mode, and the entries of application processors: real mode after a SIPI, 32-bit flat or
; 64-bit after VCPUOP_initialise.

CR0_PE	equ 1 << 0
CR0_MP	equ 1 << 1
CR0_NE	equ 1 << 5
CR0_WP	equ 1 << 16
CR0_PG	equ 1 << 31
CR4_PAE	equ 1 << 5
CR4_OSFXSR equ 3 << 9			; OSFXSR and OSXMMEXCPT
EFER	equ 0xc0000080
EFER_LME equ 1 << 8
EFER_NXE equ 1 << 11
PTE_P_RW equ 3
PTE_PS	equ 1 << 7
STACK_SIZE equ 16384			; as in cpu.h

extern guest_start, ap_start, boot_stack

global start, page_tables, boot_gdt, boot_gdt_end
global ap_trampoline, ap_trampoline_end, ap_entry32, ap_entry64, ap_stack

section .note.Xen note alloc noexec nowrite align=4
	dd 4, 4, 18			; name size, data size, XEN_ELFNOTE_PHYS32_ENTRY
	db "Xen", 0
	dd start

section .text
bits 32
start:
	cli
	cld
	mov esp, boot_stack + STACK_SIZE
	mov ebp, ebx

	; Identity map of 4 GiB with 2 MiB pages, for the kernel only.
	mov edi, page_tables + 0x2000
	mov eax, PTE_P_RW | PTE_PS
	xor edx, edx
.pd:	mov [edi], eax
	mov [edi + 4], edx
	add edi, 8
	add eax, 0x200000
	jnc .pd
	mov edi, page_tables + 0x1000
	mov eax, page_tables + 0x2000 + PTE_P_RW
	mov ecx, 4
.pdpt:	mov [edi], eax
	mov [edi + 4], edx
	add edi, 8
	add eax, 0x1000
	loop .pdpt
	mov dword [page_tables], page_tables + 0x1000 + PTE_P_RW

	lgdt [gdt_ptr]
	mov ebx, boot64
	jmp 0x08:enter_long

; Enters 64-bit mode at EBX. Loads the GDT and CS.
enter_long:
	mov eax, 0x18
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	mov eax, CR4_PAE | CR4_OSFXSR
	mov cr4, eax
	mov eax, page_tables
	mov cr3, eax
	mov ecx, EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG
	mov cr0, eax
	push dword 0x10
	push ebx
	retf

; Entry from VCPUOP_initialise in 32-bit mode and from the trampoline below.
ap_entry32:
	cli
	cld
	lgdt [gdt_ptr]
	mov esp, [ap_stack]
	mov ebx, ap_entry64
	jmp 0x08:enter_long

bits 64
boot64:
	mov esp, boot_stack + STACK_SIZE
	mov edi, ebp
	xor ebp, ebp
	call guest_start
	ud2

; Entry from VCPUOP_initialise in 64-bit mode as well: relies on no segment but CS.
ap_entry64:
	lgdt [gdt_ptr]
	mov eax, 0x18
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov rsp, [ap_stack]
	push 0x10
	lea rax, [rel .cs]
	push rax
	retfq
.cs:	xor ebp, ebp
	call ap_start
	ud2

; Copied to a page under 1 MiB; CS = page >> 4.
bits 16
ap_trampoline:
	cli
	mov ax, cs
	mov ds, ax
	o32 lgdt [ap_gdt_ptr - ap_trampoline]
	mov eax, cr0
	or al, CR0_PE
	mov cr0, eax
	jmp dword 0x08:ap_flat
ap_gdt_ptr:
	dw boot_gdt_end - boot_gdt - 1
	dd boot_gdt
ap_trampoline_end:

bits 32
ap_flat:
	mov eax, 0x18
	mov ds, eax
	mov ss, eax
	jmp ap_entry32

section .data
align 16
boot_gdt:
	dq 0
	dq 0x00cf9b000000ffff		; 0x08: 32-bit code
	dq 0x00af9b000000ffff		; 0x10: 64-bit code
	dq 0x00cf93000000ffff		; 0x18: data
	dq 0x00cffb000000ffff		; 0x20: user 32-bit code, as SYSRET wants the order
	dq 0x00cff3000000ffff		; 0x28: user data
	dq 0x00affb000000ffff		; 0x30: user 64-bit code
	dq 0, 0				; 0x38: for a TSS
boot_gdt_end:
gdt_ptr:
	dw boot_gdt_end - boot_gdt - 1
	dq boot_gdt

section .bss
alignb 4096
page_tables:				; PML4, PDPT, four page directories
	resb 6 * 4096
ap_stack:
	resq 1
