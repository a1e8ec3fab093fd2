; SPDX-License-Identifier: BSD-2-Clause
; Step 1: a kernel that GRUB loads. It prints a line on the first serial port and powers off.

MAGIC equ 0xe85250d6			; multiboot2, for a 32-bit x86 processor
COM1 equ 0x3f8

	section .header progbits alloc align=8
header:
	dd MAGIC, 0, .end - header, -(MAGIC + .end - header)
	dw 0, 0				; the end of the list of tags
	dd 8
.end:

	section .text
	bits 32
	global start
start:	mov esi, line
.next:	mov dx, COM1 + 5		; line status: may we send?
.wait:	in al, dx
	test al, 0x20
	jz .wait
	lodsb
	test al, al
	jz .off
	mov dx, COM1
	out dx, al
	jmp .next

.off:	mov dx, 0x604			; QEMU's ACPI: sleep state 5
	mov ax, 0x2000
	out dx, ax
	mov dx, 0x8900			; Bochs takes this word
	mov esi, word_off
	mov ecx, 8
	rep outsb
	cli
.halt:	hlt
	jmp .halt

line:	db "step 1: the first instruction was ours", 13, 10, 0
word_off: db "Shutdown"
