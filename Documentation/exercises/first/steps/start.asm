; SPDX-License-Identifier: BSD-2-Clause
; Step 2: from GRUB's 32-bit protected mode to 64-bit C code. SDM 3A 10.8.5, APM2 14.6.

MAGIC equ 0xe85250d6

	section .header progbits alloc align=8
header:
	dd MAGIC, 0, .end - header, -(MAGIC + .end - header)
	dw 0, 0
	dd 8
.end:

	section .text
	bits 32
	global start
	extern main
start:	cli
	cld
	mov esp, stack_top

	; The first GiB maps to itself: one PML4 entry, one PDPT entry, 512 pages of 2 MiB.
	mov dword [pml4], pdpt + 3	; present, writable
	mov dword [pdpt], pd + 3
	mov eax, 0x83			; present, writable, large
	xor ecx, ecx
.fill:	mov [pd + ecx * 8], eax
	add eax, 0x200000
	inc ecx
	cmp ecx, 512
	jb .fill

	mov eax, cr4
	or eax, 1 << 5			; PAE
	mov cr4, eax
	mov eax, pml4
	mov cr3, eax
	mov ecx, 0xc0000080		; EFER
	rdmsr
	or eax, 1 << 8			; LME
	wrmsr
	mov eax, cr0
	or eax, 1 << 31 | 1		; PG, PE: from here on in compatibility mode
	mov cr0, eax
	lgdt [gdt_pointer]
	jmp CODE:.long			; and here in 64-bit mode

	bits 64
.long:	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	call main
.halt:	hlt
	jmp .halt

	section .data
	align 16
	global gdt, gdt_end
gdt:	dq 0
CODE equ $ - gdt
	dq 0x00209b0000000000		; 64-bit code
DATA equ $ - gdt
	dq 0x00cf93000000ffff		; data
	dq 0x00008b0000000067, 0	; a TSS at 0, for VT-x (step 4): the selector is 0x18
gdt_end:
gdt_pointer:
	dw gdt_end - gdt - 1
	dd gdt

	section .bss
	align 4096
	global pml4
pml4:	resb 4096
pdpt:	resb 4096
pd:	resb 4096
	resb 16384
stack_top:
