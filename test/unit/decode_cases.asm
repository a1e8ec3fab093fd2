; SPDX-License-Identifier: BSD-2-Clause
; Instructions with the results expected from the decoder. NASM assembles them, so that the bytes
; and the length do not come from Margay. One record (struct decode_case in test_decode.c) per line.

R	equ 1	; memory is read
W	equ 2	; memory is written
G	equ 0	; other operand: register
I	equ 4	; other operand: immediate
H	equ 8	; the register is a high byte
F	equ 16	; memory comes first, but is not written

; CASE bits, "operation", size, memory size, flags, register, immediate, instruction
%macro CASE 8+
	bits %1
	db %1, %3, %4, %5, %6, %%end - %%code
	dq %7
%%op:	db %2, 0
	times 8 - ($ - %%op) db 0
%%code:	%8
%%end:	times 16 - ($ - %%code) db 0x90
%defstr CASE_TEXT %8
%%text:	db CASE_TEXT, 0
	times 64 - ($ - %%text) db 0
%endmacro

section .rodata
global decode_cases, decode_cases_end
decode_cases:

; Forms that Linux uses on the LAPIC page, 64-bit mode
CASE 64, "mov", 4, 4, W|G, 6, 0, mov [rdi], esi
CASE 64, "mov", 4, 4, W|G, 6, 0, mov [0xffffffffff5fc0b0], esi
CASE 64, "mov", 4, 4, R|G, 0, 0, mov eax, [rdi+0x20]
CASE 64, "mov", 4, 4, R|G, 0, 0, mov eax, [rdi-0xa03000]
CASE 64, "mov", 4, 4, W|I, 0, 0, mov dword [0xffffffffff5fc0b0], 0
CASE 64, "mov", 4, 4, W|I, 0, 0x100ff, mov dword [rdi+rax*8+0x320], 0x100ff
CASE 64, "xchg", 4, 4, R|W|G, 0, 0, xchg [rdi], eax
CASE 64, "test", 4, 4, R|F|I, 0, 0x1000, test dword [rax+0x300], 0x1000
CASE 64, "mov", 4, 4, R|G, 0, 0, a32 mov eax, [edi]
; 64-bit mode, registers and sizes
CASE 64, "mov", 8, 8, W|G, 15, 0, mov [r15], r15
CASE 64, "mov", 8, 8, R|G, 8, 0, mov r8, [rel decode_cases]
CASE 64, "mov", 2, 2, W|G, 9, 0, mov [r12], r9w
CASE 64, "mov", 1, 1, W|G, 0, 0, mov [r13], al
CASE 64, "mov", 1, 1, W|G, 0, 0, mov [rax], al
CASE 64, "mov", 1, 1, W|G|H, 3, 0, mov [rax], bh
CASE 64, "mov", 1, 1, W|G|H, 0, 0, mov [rax], ah
CASE 64, "mov", 1, 1, W|G, 4, 0, mov [rax], spl
CASE 64, "mov", 1, 1, W|G, 7, 0, mov [rax], dil
CASE 64, "mov", 1, 1, R|G, 14, 0, mov r14b, [rbp+r13*4-1]
CASE 64, "mov", 8, 8, W|I, 0, -1, mov qword [rax], -1
CASE 64, "mov", 8, 8, W|I, 0, -0x80000000, mov qword [rax], -0x80000000
CASE 64, "mov", 2, 2, W|I, 0, -2, mov word [rax], 0xfffe
CASE 64, "mov", 1, 1, W|I, 0, -128, mov byte [rax], 0x80
CASE 64, "mov", 4, 4, R|G, 0, 0, mov eax, [qword 0x1122334455667788]
CASE 64, "mov", 8, 8, W|G, 0, 0, mov [qword 0x1122334455667788], rax
CASE 64, "mov", 1, 1, R|G, 0, 0, mov al, [qword 0xfee00030]
CASE 64, "movzx", 4, 1, R|G, 1, 0, movzx ecx, byte [rsp]
CASE 64, "movzx", 8, 2, R|G, 10, 0, movzx r10, word [rsp+8]
CASE 64, "movzx", 2, 1, R|G, 2, 0, movzx dx, byte [rsi]
CASE 64, "movsx", 4, 1, R|G, 1, 0, movsx ecx, byte [rsp]
CASE 64, "movsx", 8, 2, R|G, 10, 0, movsx r10, word [rsp+8]
CASE 64, "movsx", 8, 4, R|G, 11, 0, movsxd r11, dword [rbp]
CASE 64, "xchg", 1, 1, R|W|G, 5, 0, xchg [rax], bpl
CASE 64, "xchg", 8, 8, R|W|G, 2, 0, lock xchg [rax], rdx
CASE 64, "mov", 4, 4, W|G, 3, 0, mov [gs:rax], ebx
; Arithmetic
CASE 64, "or", 4, 4, R|W|G, 0, 0, or [rdi], eax
CASE 64, "or", 4, 4, R|G, 0, 0, or eax, [rdi]
CASE 64, "and", 4, 4, R|W|I, 0, -17, and dword [rdi], byte -17
CASE 64, "and", 4, 4, R|W|I, 0, 0x7fffffff, lock and dword [rdi], 0x7fffffff
CASE 64, "add", 8, 8, R|W|I, 0, 0x12345678, add qword [rdi], 0x12345678
CASE 64, "sub", 1, 1, R|W|I, 0, 1, sub byte [rdi], 1
CASE 64, "sub", 2, 2, R|G, 1, 0, sub cx, [rdi]
CASE 64, "xor", 2, 2, R|W|I, 0, 0x1234, xor word [rdi], 0x1234
CASE 64, "xor", 1, 1, R|W|G|H, 2, 0, xor [rdi], dh
CASE 64, "cmp", 4, 4, R|F|G, 0, 0, cmp [rdi], eax
CASE 64, "cmp", 4, 4, R|G, 0, 0, cmp eax, [rdi]
CASE 64, "cmp", 4, 4, R|F|I, 0, 5, cmp dword [rdi], byte 5
CASE 64, "test", 1, 1, R|F|I, 0, 0x10, test byte [rdi+1], 0x10
CASE 64, "test", 4, 4, R|F|G, 0, 0, test [rdi], eax
CASE 64, "test", 8, 8, R|F|I, 0, -2, test qword [rdi], -2
CASE 64, "not", 4, 4, R|W, 0, 0, not dword [rdi]
CASE 64, "not", 1, 1, R|W, 0, 0, lock not byte [rdi]
; 32-bit mode
CASE 32, "mov", 4, 4, W|G, 0, 0, mov [0xfee000b0], eax
CASE 32, "mov", 4, 4, W|G, 1, 0, mov [0xfee000b0], ecx
CASE 32, "mov", 4, 4, W|I, 0, 0, mov dword [0xfee000b0], 0
CASE 32, "mov", 4, 4, R|G, 5, 0, mov ebp, [esp+4]
CASE 32, "mov", 2, 2, R|G, 5, 0, mov bp, [ebp]
CASE 32, "mov", 1, 1, R|G|H, 1, 0, mov ch, [ebx+esi*2+0x1000]
CASE 32, "mov", 4, 4, R|G, 5, 0, a16 mov ebp, [bx+si]
CASE 32, "mov", 4, 4, R|G, 0, 0, a16 mov eax, [0x1234]
CASE 32, "movzx", 4, 2, R|G, 0, 0, movzx eax, word [eax*8]
CASE 32, "xchg", 4, 4, R|W|G, 0, 0, xchg [0xfee00300], eax
; 16-bit mode
CASE 16, "mov", 2, 2, W|G, 0, 0, mov [0x30], ax
CASE 16, "mov", 2, 2, W|G, 3, 0, mov [bp+2], bx
CASE 16, "mov", 2, 2, W|G, 3, 0, mov [0x1234], bx
CASE 16, "mov", 4, 4, R|G, 0, 0, mov eax, [di+0x300]
CASE 16, "mov", 4, 4, W|I, 0, 0xc4500, a32 mov dword [fs:ebx+0x300], 0xc4500
CASE 16, "mov", 2, 2, W|I, 0, 1, mov word [bx], 1
CASE 16, "and", 2, 2, R|W|I, 0, 0x101, and word [bx+di], 0x101
decode_cases_end:

section .note.GNU-stack noalloc noexec nowrite progbits
